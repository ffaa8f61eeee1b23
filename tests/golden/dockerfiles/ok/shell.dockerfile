FROM busybox
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
RUN a | b
