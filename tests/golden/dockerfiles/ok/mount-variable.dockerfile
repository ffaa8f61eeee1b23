FROM busybox
ARG P=/x
RUN --mount=type=cache,target=$P/cache,uid=$ID ls
