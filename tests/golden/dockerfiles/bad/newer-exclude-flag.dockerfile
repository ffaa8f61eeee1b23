FROM a
COPY --exclud=x b c
