FROM busybox
VOLUME /a
VOLUME /b /c
VOLUME ["/d e", " /f "]
