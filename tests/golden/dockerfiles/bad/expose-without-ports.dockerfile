FROM busybox
EXPOSE --a=b
