FROM busybox
HEALTHCHECK --foo=x CMD a
