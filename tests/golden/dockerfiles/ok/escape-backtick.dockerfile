# escape=`
FROM busybox
COPY a c:\
RUN dir `
  c:\
