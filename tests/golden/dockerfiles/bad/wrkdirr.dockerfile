FROM busybox
WRKDIRR /
