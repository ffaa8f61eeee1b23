# foo=bar
# escape=`
FROM busybox
RUN a `
