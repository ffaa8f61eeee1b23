FROM a
RUN --mount=target=/x,size=1 a
