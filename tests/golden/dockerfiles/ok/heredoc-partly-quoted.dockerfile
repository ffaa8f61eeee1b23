FROM busybox
COPY <<E"O"F /x
$a
EOF
