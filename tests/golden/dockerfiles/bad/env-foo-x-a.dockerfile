FROM busybox
ENV --foo=x a
