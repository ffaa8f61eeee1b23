FROM a
RUN --mount=type=secret,id=a,mode=rwx a
