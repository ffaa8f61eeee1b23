FROM busybox
ENV a=b
COPY $a ${a}/c
COPY --chown=$a:${a} x y
