FROM busybox
RUN --mount=type=ssh,id=default,target=/agent,required ssh git@example.com
