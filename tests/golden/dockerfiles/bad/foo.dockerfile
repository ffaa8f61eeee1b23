FROM busybox
FOO
BAR=x
