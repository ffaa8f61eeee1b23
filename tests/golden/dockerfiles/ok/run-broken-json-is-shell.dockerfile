FROM busybox
RUN [ "$a" = b ] && echo c
