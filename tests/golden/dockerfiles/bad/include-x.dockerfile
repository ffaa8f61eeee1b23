FROM busybox
INCLUDE x
