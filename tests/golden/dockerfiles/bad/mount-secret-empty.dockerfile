FROM a
RUN --mount=type=secret a
