FROM busybox
RUN --foo ls
