FROM busybox
RUN <<EOF
#!/usr/bin/env python
print("x")
EOF
