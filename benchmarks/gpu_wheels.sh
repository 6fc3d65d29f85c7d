#!/usr/bin/env bash
# Fetch what benchmarks/gpu.sh needs on a machine without a network:
#   benchmarks/gpu_wheels.sh DIR [PYTHON_VERSION] [EXTRA]     e.g.  benchmarks/gpu_wheels.sh wheels 3.12 '[cuda]'
# Wheels for Linux x86-64 and that Python; those above 48 MB in parts, which gpu.sh joins; SHA256SUMS of all.
# EXTRA '[cuda]' brings the CUDA and cuDNN libraries too (1.5 GB), for machines that do not have them.
set -euo pipefail
target=${1:?a folder for the wheels} version=${2:-3.12} extra=${3:-}
part_bytes=48000000
root=$(cd "$(dirname "$0")/.." && pwd)
python=${PYTHON:-$root/.venv/bin/python}
mkdir -p "$target"

platforms=()
for glibc in 28 27 24 17; do platforms+=(--platform "manylinux_2_${glibc}_x86_64"); done
platforms+=(--platform manylinux2014_x86_64 --platform manylinux1_x86_64)

# The project's own needs at the pinned versions; onnx and httpx2 are the benchmark's.
"$python" - "$root" "$extra" >"$target/requirements.txt" <<'NEEDS'
import pathlib, sys, tomllib
project = tomllib.loads(pathlib.Path(sys.argv[1], "pyproject.toml").read_text())["project"]
needs = [need.partition(";")[0].strip() for need in project["dependencies"] if "!= 'linux'" not in need]
if sys.argv[2]:
    needs += [need.partition(";")[0].strip() for need in project["optional-dependencies"]["cuda"]]
print("\n".join([*needs, *(need for need in project["optional-dependencies"]["dev"] if need.startswith(("onnx>", "httpx2")))]))
NEEDS
"$python" -m pip download --quiet --only-binary=:all: --implementation cp --python-version "$version" \
    "${platforms[@]}" --constraint "$root/constraints.txt" --requirement "$target/requirements.txt" --dest "$target"

cd "$target"
for wheel in *.whl; do
    if [ "$(stat -c %s "$wheel")" -gt "$part_bytes" ]; then
        sha256sum "$wheel" >"$wheel.sha256"
        split --bytes="$part_bytes" --numeric-suffixes "$wheel" "$wheel.part-"
        rm "$wheel"
    fi
done
find . -type f ! -name SHA256SUMS -printf '%P\n' | sort | xargs -d '\n' sha256sum >SHA256SUMS
echo "$(find . -name '*.whl*' | wc -l) files, $(du -sh . | cut -f1) in $target"
