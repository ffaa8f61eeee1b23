FROM busybox
RUN <<EOF
FROM nothing
RUN \
# no comment
EOF
