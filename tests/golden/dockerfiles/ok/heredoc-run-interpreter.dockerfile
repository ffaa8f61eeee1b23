FROM busybox
RUN python3 <<'EOF'
print("$x")
EOF
