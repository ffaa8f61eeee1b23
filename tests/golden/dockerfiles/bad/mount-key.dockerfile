FROM a
RUN --mount=type=cache,targt=/x a
