FROM busybox
ADD <<EOF /x
y
EOF
