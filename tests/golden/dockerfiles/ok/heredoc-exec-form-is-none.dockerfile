FROM busybox
COPY ["<<EOF", "/x"]
