From busybox
Run a
cMd ["x"]
