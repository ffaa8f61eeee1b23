FROM busybox
ONBUILD COPY . /app
ONBUILD  RUN   make  all
onbuild env a=b
