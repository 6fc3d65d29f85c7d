#!/usr/bin/env bash
# Write the images' lock files again: every package with the hashes of its files. Needs uv and the network.
set -euo pipefail
cd "$(dirname "$0")/.."
lock() {
    uv pip compile "$@" --constraint constraints.txt --python-version 3.11 --python-platform x86_64-manylinux_2_28 \
        --generate-hashes --no-annotate --quiet --default-index https://pypi.org/simple \
        --custom-compile-command deploy/lock.sh
}
lock pyproject.toml --extra otel --override deploy/cpu.override.txt --output-file deploy/requirements-cpu.txt
lock pyproject.toml --extra otel --extra cuda --output-file deploy/requirements-cuda.txt
lock deploy/requirements-build.in --output-file deploy/requirements-build.txt
