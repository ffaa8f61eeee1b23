
FROM busybox


RUN a

