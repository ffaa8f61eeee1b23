FROM busybox
ENV a=b=c OPTS="-Da=b -Dc=d"
