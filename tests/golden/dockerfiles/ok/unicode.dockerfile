FROM busybox
ENV NAME=Ünïcödé
LABEL 説明=日本語
