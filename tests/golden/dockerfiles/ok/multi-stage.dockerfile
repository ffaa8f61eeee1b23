FROM busybox AS build
RUN make
FROM debian AS test
COPY --from=build /out /out
FROM scratch
COPY --from=0 /out/app /app
COPY --from=test /log /log
COPY --from=nginx:latest /etc/nginx /n
