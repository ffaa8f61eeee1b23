FROM busybox
COPY --fro=a b c
