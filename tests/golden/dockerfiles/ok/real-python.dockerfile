# syntax=docker/dockerfile:1
ARG PYTHON=3.12

FROM python:${PYTHON}-slim AS base
ENV PYTHONUNBUFFERED=1 \
    PIP_NO_CACHE_DIR=1
WORKDIR /app

FROM base AS wheels
COPY requirements.txt .
RUN --mount=type=cache,target=/root/.cache/pip \
    pip wheel -r requirements.txt -w /wheels

FROM base
RUN --mount=type=bind,from=wheels,source=/wheels,target=/wheels \
    pip install --no-index /wheels/*.whl && \
    useradd --create-home app
COPY --chown=app:app . .
USER app
EXPOSE 8000
HEALTHCHECK --interval=30s CMD ["python", "-m", "app.health"]
ENTRYPOINT ["python", "-m"]
CMD ["app"]
