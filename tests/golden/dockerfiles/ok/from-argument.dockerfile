ARG TAG=latest
ARG IMAGE=busybox:${TAG}
FROM ${IMAGE} AS a
ARG TAG
RUN echo $TAG
