FROM busybox
COPY a b
COPY a b c/
COPY . .
COPY a*.txt [bc]?.md /d/
