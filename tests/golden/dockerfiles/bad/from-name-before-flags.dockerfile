FROM --a=b busybox AS 1
