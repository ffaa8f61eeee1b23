FROM busybox
CMD echo  a   b
CMD ["echo", "a"]
CMD []
CMD
