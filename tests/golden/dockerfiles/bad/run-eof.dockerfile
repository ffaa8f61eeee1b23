FROM busybox
RUN <<EOF
ls
