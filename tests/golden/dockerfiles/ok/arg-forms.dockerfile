FROM busybox
ARG a
ARG b=1
ARG c="x y" d='z' e
ARG f=$a${b:-2}
ARG g=
