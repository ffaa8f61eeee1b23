FROM busybox
COPY --link=foo a b
