FROM busybox
RUN cat <<<word
