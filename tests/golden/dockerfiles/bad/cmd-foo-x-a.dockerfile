FROM busybox
CMD --foo=x a
