FROM busybox
COPY --chown="a b" --from='x' a b
