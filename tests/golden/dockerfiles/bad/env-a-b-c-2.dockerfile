FROM busybox AS B
ENV a b   c
ENV c=1 d
