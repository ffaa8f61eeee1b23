FROM busybox
RUN a \
 && cat <<EOF
b
EOF
