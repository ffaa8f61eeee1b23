FROM busybox
RUN --mount='type=bind,"source=a,b",target=/c' ls
