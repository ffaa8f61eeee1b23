FROM busybox
COPY --chmod=600 <<a <<b c /d/
first
a
second
b
