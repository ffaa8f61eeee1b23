FROM busybox
RUN echo "<<EOF" '<<A' \<<B
