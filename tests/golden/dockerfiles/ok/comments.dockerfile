# head
FROM busybox
  # indented
RUN a # not a comment
#RUN b
