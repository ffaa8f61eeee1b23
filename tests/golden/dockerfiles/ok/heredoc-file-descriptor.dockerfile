FROM busybox
RUN 3<<EOF cat <&3
a
EOF
