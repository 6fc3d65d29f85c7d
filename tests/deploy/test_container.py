"""What the Dockerfile, the compose file and the images' lock files promise, as far as text can show it."""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.settings import PREFIX, Settings
from tests.bundles import write_bundle
from tests.certificates import write_certificate
from tests.e2e.conftest import Server, free_port, start

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
DIGEST = re.compile(r"[\w./-]+:[\w.-]+@sha256:[0-9a-f]{64}")


def locked(name: str) -> dict[str, str]:
    """Package and version of every line of an image's lock file."""
    text = (ROOT / "deploy" / f"requirements-{name}.txt").read_text()
    return dict(re.findall(r"^([a-z0-9.-]+)==(\S+)", text, re.MULTILINE))


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pins() -> dict[str, str]:
    lines = [line.partition("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line]
    return {normal(name): version for name, _, version in lines}


def test_every_base_image_is_pinned_by_its_digest() -> None:
    (base,) = re.findall(r"^ARG PYTHON=(\S+)", DOCKERFILE, re.MULTILINE)
    assert DIGEST.fullmatch(base)
    stages = re.findall(r"^FROM (\S+) AS (\S+)", DOCKERFILE, re.MULTILINE)
    assert {source for source, _ in stages} - {stage for _, stage in stages} == {"${PYTHON}", "scratch"}
    for name, service in COMPOSE.items():
        assert "build" in service or DIGEST.fullmatch(service["image"]), name


@pytest.mark.parametrize("image", ["cpu", "cuda"])
def test_an_image_holds_the_tested_versions_with_their_hashes_and_one_runtime(image: str) -> None:
    packages, tested = locked(image), pins()
    tested = {name: version for name, version in tested.items() if name in packages}
    assert {name: packages[name] for name in tested} == tested
    assert {name for name in packages if name.startswith("onnxruntime")} == {
        "onnxruntime" if image == "cpu" else "onnxruntime-gpu"
    }
    assert not {"torch", "pip", "setuptools"} & set(packages)
    text = (ROOT / "deploy" / f"requirements-{image}.txt").read_text()
    assert len(re.findall(r"==\S+ \\\n    --hash=sha256:", text)) == len(packages)


@pytest.mark.parametrize("image", ["cpu", "cuda"])
def test_an_image_holds_all_that_the_service_needs(image: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = {normal(re.split(r"[\[>=; ]", line)[0]) for line in project["dependencies"]}
    assert {name for name in needed if not name.startswith("onnxruntime")} <= set(locked(image))


@pytest.mark.parametrize("service", COMPOSE)
def test_every_container_is_confined_and_published_on_loopback_alone(service: str) -> None:
    container = COMPOSE[service]
    assert container["read_only"] is True
    assert container["cap_drop"] == ["ALL"]
    assert container["security_opt"] == ["no-new-privileges:true"]
    assert all(port.startswith("127.0.0.1:") for port in container["ports"])


def test_profiles_are_the_cpu_by_default_the_gpu_and_monitoring() -> None:
    profiles = {name: service.get("profiles", []) for name, service in COMPOSE.items()}
    assert profiles == {"triage": [], "triage-gpu": ["gpu"], "prometheus": ["monitoring"], "grafana": ["monitoring"]}
    targets = {COMPOSE[name]["build"]["target"] for name in ("triage", "triage-gpu")}
    assert targets <= set(re.findall(r"^FROM \S+ AS (\S+)", DOCKERFILE, re.MULTILINE))


def test_containers_are_given_settings_that_exist() -> None:
    given = set(re.findall(rf"{PREFIX}([A-Z_]+)[=:]", DOCKERFILE))
    given |= {name.removeprefix(PREFIX) for name in COMPOSE["triage"]["environment"]}
    assert given - {name.upper() for name in Settings.model_fields} == set()


def test_what_compose_mounts_is_there() -> None:
    for service in COMPOSE.values():
        for volume in service["volumes"]:
            source = volume.partition(":")[0]
            assert not source.startswith(".") or (ROOT / source).exists(), volume


def test_what_the_dockerfile_copies_is_let_through_by_dockerignore() -> None:
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE)
    for source in {each for line in copied for each in line.split()}:
        assert any(Path(source).match(pattern) for pattern in [*allowed, "LICENSE"]), source
        assert (ROOT / source).exists()


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_the_health_check_asks_the_service_itself_as_it_speaks(tmp_path: Path, scheme: str) -> None:
    write_bundle(tmp_path / "models")
    given: dict[str, str] = {}
    if scheme == "https":
        cert, key = write_certificate(tmp_path)
        given = {"tls_cert": str(cert), "tls_key": str(key)}
    server = start(tmp_path, tmp_path / "models", port=None, log=None, **given)
    try:
        assert health(server, given) == 0
        assert server.stop() == 0
        assert health(server, given) != 0
    finally:
        server.process.kill()
        server.process.wait(20)


def health(server: Server, given: dict[str, str]) -> int:
    """The exit status of the image's health check, where a proxy is named that is of no use within the container."""
    (check,) = re.findall(r"^HEALTHCHECK .*\\\n +CMD (.+)$", DOCKERFILE, re.MULTILINE)
    proxy = f"http://127.0.0.1:{free_port()}"
    environment = {**os.environ, "HTTP_PROXY": proxy, "HTTPS_PROXY": proxy, "NEUROTRIAGE_PORT": str(server.port)}
    environment |= {f"{PREFIX}{name.upper()}": value for name, value in given.items()}
    command = [sys.executable, *json.loads(check)[1:]]
    return subprocess.run(command, env=environment, check=False, capture_output=True, timeout=30).returncode
