FROM busybox
RUNaa /
