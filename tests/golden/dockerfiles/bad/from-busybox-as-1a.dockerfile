FROM busybox as 1a
