FROM busybox
RUNN ls
