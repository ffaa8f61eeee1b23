FROM busybox
ADD ["a"]
