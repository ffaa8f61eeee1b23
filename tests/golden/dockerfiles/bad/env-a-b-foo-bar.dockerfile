FROM busybox
ENV a=${b:?foo bar}
