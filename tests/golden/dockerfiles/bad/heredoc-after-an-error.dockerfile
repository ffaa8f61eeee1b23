FROM busybox
ENV a
COPY <<EOF /x
