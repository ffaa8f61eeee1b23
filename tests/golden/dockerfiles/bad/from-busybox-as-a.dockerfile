FROM busybox AS "a"
