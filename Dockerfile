# syntax=docker/dockerfile:1
# docker build -t neurotriage:cpu .                                for CPUs: plain ONNX Runtime, no CUDA
# docker build --target cuda -t neurotriage:cuda .                 for an NVIDIA GPU, x86-64
# docker build --target sbom --output type=local,dest=. .          sbom.cdx.json: what the CPU image holds (CycloneDX)
# The base's digest is docker-library/repo-info's of 2026-08-25. Take the newest patch release with every release of ours.
ARG PYTHON=python:3.11.16-slim-bookworm@sha256:0bee7276f83efd4a1ee05bbbf4281d95ed28e079220a9457f25a93e3f1e3c31b

FROM ${PYTHON} AS tools
WORKDIR /build
COPY deploy/requirements-build.txt deploy/
RUN python -m venv /tools \
    && /tools/bin/pip install --no-cache-dir --require-hashes --only-binary :all: --requirement deploy/requirements-build.txt
COPY pyproject.toml README.md LICENSE ./
COPY service/ service/
RUN /tools/bin/pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /wheels .

# An environment holds neither pip nor a compiler, and nothing but wheels whose hashes are known.
FROM tools AS environment-cpu
COPY deploy/requirements-cpu.txt deploy/
RUN python -m venv --without-pip /venv \
    && /tools/bin/pip --python /venv/bin/python install --no-cache-dir --require-hashes --only-binary :all: \
        --requirement deploy/requirements-cpu.txt \
    && /tools/bin/pip --python /venv/bin/python install --no-cache-dir --no-deps --no-index /wheels/*.whl \
    && /tools/bin/cyclonedx-py environment --output-file /venv/sbom.cdx.json /venv/bin/python

FROM tools AS environment-cuda
COPY deploy/requirements-cuda.txt deploy/
RUN python -m venv --without-pip /venv \
    && /tools/bin/pip --python /venv/bin/python install --no-cache-dir --require-hashes --only-binary :all: \
        --requirement deploy/requirements-cuda.txt \
    && /tools/bin/pip --python /venv/bin/python install --no-cache-dir --no-deps --no-index /wheels/*.whl \
    && /tools/bin/cyclonedx-py environment --output-file /venv/sbom.cdx.json /venv/bin/python

FROM scratch AS sbom
COPY --from=environment-cpu /venv/sbom.cdx.json /

FROM ${PYTHON} AS base
# It listens beyond loopback, so it starts only with NEUROTRIAGE_KEYS or NEUROTRIAGE_OPEN_TO_ALL=true. Nothing else
# runs in its container, so lanes may give way to the event loop.
ENV PATH=/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    NEUROTRIAGE_HOST=0.0.0.0 \
    NEUROTRIAGE_PORT=8000 \
    NEUROTRIAGE_LANES_NICE=10
RUN useradd --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin neurotriage
WORKDIR /app
COPY models/ models/
USER 10001:10001
EXPOSE 8000
STOPSIGNAL SIGTERM
# By HTTPS where the service speaks it, and never by the proxy that a container may be told of.
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import os, ssl, urllib.request as r; r.build_opener(r.ProxyHandler({}), r.HTTPSHandler(context=ssl._create_unverified_context())).open(f'http{\"s\" * (\"NEUROTRIAGE_TLS_CERT\" in os.environ)}://127.0.0.1:{os.environ[\"NEUROTRIAGE_PORT\"]}/readyz', timeout=2)"]
CMD ["python", "-m", "service"]

FROM base AS cuda
# NVIDIA's runtime puts the driver in; `cuda` refuses to start without it, rather than be slow without a word.
ENV NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    NEUROTRIAGE_PROVIDER=cuda
COPY --from=environment-cuda /venv /venv

FROM base AS cpu
ENV NEUROTRIAGE_PROVIDER=cpu
COPY --from=environment-cpu /venv /venv
