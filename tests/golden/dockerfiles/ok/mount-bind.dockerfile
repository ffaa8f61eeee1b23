FROM busybox
RUN --mount=type=bind,source=.,target=/src --mount=target=/b,from=build,rw ls
