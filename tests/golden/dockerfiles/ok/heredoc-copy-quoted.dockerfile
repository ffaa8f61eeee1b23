FROM busybox
COPY <<"EOF" /etc/a
a = $b
EOF
