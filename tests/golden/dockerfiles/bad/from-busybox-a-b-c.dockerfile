FROM busybox a b c
