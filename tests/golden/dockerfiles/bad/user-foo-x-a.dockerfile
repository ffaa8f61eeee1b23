FROM busybox
USER --foo=x a
