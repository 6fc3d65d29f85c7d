#!/usr/bin/env bash
# All GPU figures in one call of at most eight minutes, without a network:
#   benchmarks/gpu.sh [--cpu] [--wheels DIR] [--bundle models/NAME/VERSION] [--workers N] [--python python3]
# --wheels   what benchmarks/gpu_wheels.sh fetched; without it the Python's own packages are used
# --cpu      a rehearsal on the CPU provider: every step, small numbers, no meaning
# Prints: model alone by batch, precision, search and CUDA graphs with the share of the card's limit; explain's cost;
# requests a second and latencies over HTTP, closed loop and open loop at 80 %.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
provider=cuda wheels="" bundle=models/brain-mri-efficientnet-lite0/2 workers="" python=${PYTHON:-python3}
while [ $# -gt 0 ]; do
    case $1 in
    --cpu) provider=cpu ;;
    --wheels) wheels=$(cd "$2" && pwd) && shift ;;
    --bundle) bundle=$2 && shift ;;
    --workers) workers=$2 && shift ;;
    --python) python=$2 && shift ;;
    *) sed -n '2,9s/^# \{0,1\}//p' "$0" && exit 2 ;;
    esac
    shift
done
cd "$root"
started=$SECONDS
deadline=480
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
left() { echo $((deadline - (SECONDS - started))); }
step() { # seconds at most, then the command; a step that fails or runs out of time does not cost the others theirs
    local most=$1 && shift
    most=$((most < $(left) ? most : $(left)))
    if [ "$most" -le 5 ]; then echo "== left out, no time: $*" && return; fi
    echo "== $* (at most $most s)"
    timeout --kill-after=10 "$most" "$@" || echo "== ended with status $?: $*"
}

if [ -n "$wheels" ]; then
    (cd "$wheels" && sha256sum --quiet --check SHA256SUMS)
    mkdir "$scratch/wheels"
    for wheel in "$wheels"/*.whl; do [ -e "$wheel" ] && ln -s "$wheel" "$scratch/wheels/"; done
    for first in "$wheels"/*.part-00; do
        [ -e "$first" ] || continue
        name=$(basename "${first%.part-00}")
        cat "$wheels/$name".part-* >"$scratch/wheels/$name"
        (cd "$scratch/wheels" && sha256sum --quiet --check "$wheels/$name.sha256")
    done
    step 120 "$python" -m pip install --quiet --no-index --no-deps --no-compile --target "$scratch/site" "$scratch"/wheels/*.whl
    # ONNX Runtime looks for CUDA beside itself; an image that brings PyTorch has it among the Python's own packages.
    nvidia=$("$python" -c 'import nvidia; print(list(nvidia.__path__)[0])' 2>/dev/null || true)
    if [ -n "$nvidia" ] && [ ! -e "$scratch/site/nvidia" ]; then ln -s "$nvidia" "$scratch/site/nvidia"; fi
    export PYTHONPATH="$scratch/site:$root"
else
    export PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}"
fi
# A package that is not installed has no version to show at /openapi.json.
if ! "$python" -c 'import importlib.metadata as m; m.version("neurotriage")' 2>/dev/null; then
    mkdir -p "$scratch/site/neurotriage-0.dist-info"
    printf 'Metadata-Version: 2.1\nName: neurotriage\nVersion: 0\n' >"$scratch/site/neurotriage-0.dist-info/METADATA"
    export PYTHONPATH="$scratch/site:$PYTHONPATH"
fi

cores=$("$python" -c 'from service.cpus import usable_cpus; print(usable_cpus())')
nvidia-smi --query-gpu=name,driver_version,memory.total,clocks.max.sm --format=csv,noheader 2>/dev/null || echo "no NVIDIA GPU"
echo "$cores cores; $("$python" --version)"

if [ "$provider" = cpu ]; then
    echo "REHEARSAL on the CPU provider: these figures say nothing of a GPU"
    step 120 "$python" -m benchmarks.gpu "$bundle" --provider cpu --seconds 0.2 --batches 1 4
    step 120 "$python" -m benchmarks.workers "$bundle" --provider cpu --workers "${workers:-2}" --rounds 1 --seconds 2 --connections 8 --open
else
    # A quarter of the cores sends; on one machine the sender's share is part of the picture, and is printed.
    senders=$((cores > 6 ? cores / 4 : 1))
    fronts=${workers:-$((cores - senders - 2 > 1 ? cores - senders - 2 : 1))}
    step 220 "$python" -m benchmarks.gpu "$bundle" --provider cuda --seconds 0.6
    for connections in 128 512; do
        NEUROTRIAGE_MAX_BATCH_SIZE=64 NEUROTRIAGE_MAX_QUEUE_SIZE=1024 step 80 "$python" -m benchmarks.workers "$bundle" \
            --provider cuda --workers "$fronts" --rounds 3 --seconds 5 --connections "$connections" --processes "$senders" --open
    done
fi
echo "== all in $((SECONDS - started)) s"
