FRMx busybox
