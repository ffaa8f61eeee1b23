FROM busybox
RUN echo a\\
RUN b
