FROM busybox
RUN --mount=type=cache,x"y,target=/a b
