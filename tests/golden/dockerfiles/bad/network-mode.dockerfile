FROM a
RUN --network=non a
