# foo=bar
# escape=`
FROM busybox
run echo a `
  b
