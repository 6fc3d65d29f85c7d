#!/usr/bin/env bash
# Build the CPU image and start it, where no Docker engine and no registry can be reached: the Dockerfile itself, by
# buildah, on a base of Debian's own packages; then as a container under crun: read-only root, uid 10001, no capability.
#
#   sudo deploy/prove.sh SLICE [WORK]      needs debootstrap, buildah, crun, curl; WORK keeps the base between runs
#
# PROVE_BUILD holds more options for `buildah bud`, such as --volume of a folder of certificates.
# It prints the image's size, what the service answers, and ends with `proved`. It is not the published base image that
# is tried here, and neither are Docker's own engine, a registry, a cluster or a GPU.
set -euo pipefail
if [ -z "${PROVE_INSIDE:-}" ]; then # mounts are this run's own, and crun takes no host that mixes both kinds of cgroups
    PROVE_INSIDE=1 exec unshare --mount "$0" "$@"
fi
umount /sys/fs/cgroup/unified 2>/dev/null || true
cd "$(dirname "$0")/.."
slice=$(realpath "$1")
work=$(realpath -m "${2:-/var/tmp/neurotriage-prove}")
tag=localhost/neurotriage:proved
base=localhost/python:bookworm
export STORAGE_DRIVER=vfs BUILDAH_ISOLATION=chroot
name=neurotriage-$$
mkdir -p "$work"

if ! buildah inspect "$base" >"$work/base.json" 2>&1; then
    root=$work/bookworm
    [ -e "$root/etc/debian_version" ] || debootstrap --variant=minbase bookworm "$root" http://deb.debian.org/debian
    chroot "$root" apt-get install -y -qq --no-install-recommends python3 python3-venv ca-certificates netbase tzdata
    chroot "$root" apt-get clean
    rm -rf "$root"/var/lib/apt/lists/*
    ln -sf python3 "$root/usr/bin/python"
    container=$(buildah from scratch)
    buildah add --quiet "$container" "$root" /
    buildah commit --quiet --rm "$container" "$base"
fi

# shellcheck disable=SC2086 # options are meant to be split
buildah bud --quiet --layers --format docker --pull-never --build-arg "PYTHON=$base" --target cpu --tag "$tag" ${PROVE_BUILD:-} .
container=$(buildah from --pull-never "$tag")
root=$(buildah mount "$container")
bundle=$work/$name
mkdir -p "$bundle"
finish() {
    crun --cgroup-manager=disabled delete --force "$name" 2>/dev/null || true
    buildah rm "$container" >/dev/null
    rm -rf "$bundle"
}
trap finish EXIT

echo "tree: $(du -sm "$root" | cut -f1) MB, of which environment $(du -sm "$root/venv" | cut -f1), models $(du -sm "$root/app/models" | cut -f1)"
echo "packages in the bill of materials: $(grep -c '"bom-ref": "' "$root/venv/sbom.cdx.json")"
for forbidden in gcc cc torch onnxruntime_gpu; do
    found=$(find "$root/venv" "$root/usr/bin" "$root/usr/local/bin" \( -name "$forbidden" -o -name "${forbidden}-*.dist-info" \) -print -quit)
    [ -z "$found" ] || { echo "the image holds $forbidden: $found" >&2; exit 1; }
done

buildah inspect --type image "$tag" >"$bundle/image.json"
(cd "$bundle" && crun spec)
python3 deploy/bundle.py "$bundle" "$root"
crun --cgroup-manager=disabled run --bundle "$bundle" "$name" >"$bundle/service.log" 2>&1 &
running=$!
port=$(cat "$bundle/port")
for _ in $(seq 300); do
    curl --silent --fail --output /dev/null "http://127.0.0.1:$port/readyz" && break
    kill -0 $running 2>/dev/null || { cat "$bundle/service.log" >&2; exit 1; }
    sleep 0.2
done
status=$(crun --cgroup-manager=disabled exec "$name" cat /proc/1/status)
grep -E '^(Uid|CapEff|CapBnd|NoNewPrivs):' <<<"$status"
grep -qE '^Uid:\s+10001\s+10001' <<<"$status"
grep -qE '^CapBnd:\s+0+$' <<<"$status"
if crun --cgroup-manager=disabled exec "$name" python -c "open('/app/written', 'w')" 2>"$bundle/refused"; then
    echo "the root file system can be written to" >&2
    exit 1
fi
tail -1 "$bundle/refused"
curl --silent --fail --form "file=@$slice" "http://127.0.0.1:$port/predict"
echo
crun --cgroup-manager=disabled kill "$name" TERM
wait $running
echo proved
