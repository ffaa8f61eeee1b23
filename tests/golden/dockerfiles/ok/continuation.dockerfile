FROM busybox
RUN apt-get update && \
    apt-get install -y \
      a \
      b
