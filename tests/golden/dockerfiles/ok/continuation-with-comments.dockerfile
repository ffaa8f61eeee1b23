FROM busybox
RUN a \
# one
  # two
    && b
