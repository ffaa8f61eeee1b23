FROM busybox
COPY --chown=1:2 --chmod=0755 --link a b
COPY --chown=user:group a b
COPY --link=false --parents=true a/b c
COPY --exclude=*.md --exclude=d/** . /x
COPY --parents a/./b/c /x
