FROM busybox
SHELL ls
