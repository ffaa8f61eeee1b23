FROM busybox
ENV a
FOO
