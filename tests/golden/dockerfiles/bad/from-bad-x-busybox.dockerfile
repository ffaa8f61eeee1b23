FROM --bad=x busybox
