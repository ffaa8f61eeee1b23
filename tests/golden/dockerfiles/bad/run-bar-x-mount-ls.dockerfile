FROM busybox
RUN --bar=x --mount ls
