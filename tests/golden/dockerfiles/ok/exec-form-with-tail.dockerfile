FROM busybox
CMD ["a", "b"] and the rest
