# syntax=docker/dockerfile:1
# CPU by default. For an NVIDIA GPU: docker build --build-arg EXTRA='[cuda]' -t neurotriage:cuda .
ARG PYTHON=3.11-slim-bookworm

FROM python:${PYTHON} AS build
ARG EXTRA=""
WORKDIR /build
RUN python -m venv /venv
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY service/ service/
RUN /venv/bin/pip install --no-cache-dir --constraint constraints.txt ".${EXTRA}"

FROM python:${PYTHON}
# It listens beyond loopback, so it starts only with NEUROTRIAGE_KEYS or NEUROTRIAGE_OPEN_TO_ALL=true.
ENV PATH=/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    NEUROTRIAGE_HOST=0.0.0.0 \
    NEUROTRIAGE_PORT=8000
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin neurotriage
WORKDIR /app
COPY --from=build /venv /venv
COPY models/ models/
USER 10001
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f'http://127.0.0.1:{os.environ[\"NEUROTRIAGE_PORT\"]}/readyz', timeout=2)"]
CMD ["python", "-m", "service"]
