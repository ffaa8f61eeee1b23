FROM a
RUN --security=none a
