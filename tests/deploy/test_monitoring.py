"""Every metric, label and problem that a dashboard, an alert or an autoscaler asks for is one that the service has."""

import json
import re
import shutil
import subprocess
from itertools import product
from pathlib import Path

import pytest
import yaml
from fastapi.testclient import TestClient

from service.app import WORK, create_app
from service.metrics import FAULTS, REFUSALS
from service.settings import Settings
from tests.explainable import write_explainable_bundle
from tests.pictures import png
from tests.service.test_errors import tree

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
READERS = ["grafana/dashboard.json", "prometheus/alerts.yaml", "kubernetes/prometheus-adapter.yaml"]
DERIVED = {"neurotriage_queue_seconds"}
"""What prometheus-adapter makes of the others."""


@pytest.fixture
def exposition(tmp_path: Path) -> str:
    """`/metrics` of a service that has predicted, explained and refused."""
    write_explainable_bundle(tmp_path / "models", "explains")
    with TestClient(create_app(Settings(models=tmp_path / "models", provider="cpu"))) as client:
        assert client.post("/predict", content=png(1)).status_code == 200
        assert client.post("/explain", content=png(1)).status_code == 200
        client.post("/predict", content=b"no picture")
        return client.get("/metrics").text


@pytest.mark.parametrize("reader", READERS)
def test_every_metric_and_stage_that_is_asked_for_is_there(exposition: str, reader: str) -> None:
    text = (DEPLOY / reader).read_text()
    names = set(re.findall(r"\bneurotriage_[a-z_]+", text)) - DERIVED
    assert len(names) >= 2
    assert {name for name in names if not re.search(rf"^{name}\{{?", exposition, re.MULTILINE)} == set()
    for stage in re.findall(r'stage="([^"]+)"', text.replace("\\", "")):
        assert f'stage="{stage}"' in exposition


@pytest.mark.parametrize("reader", READERS[:2])
def test_every_label_that_is_asked_for_is_there(exposition: str, reader: str) -> None:
    text = (DEPLOY / reader).read_text().replace("\\", "")
    given = set(re.findall(r'(\w+)="', exposition)) | {"job", "instance"}
    asked = {name for names in re.findall(r"by \(([^)]+)\)", text) for name in names.split(", ")}
    asked |= set(re.findall(r'(\w+)=~?"[^"]+"[,}]', text))
    assert len(asked) >= 4
    assert asked - given == set()


def test_every_problem_that_raises_an_alert_exists_and_is_counted_from_0(models: Path) -> None:
    text = (DEPLOY / "prometheus/alerts.yaml").read_text()
    asked = {slug for slugs in re.findall(r'problem=~?"([^"]+)"', text) for slug in slugs.split("|")}
    assert asked == {*FAULTS, *REFUSALS}
    assert asked - {kind().slug for kind in tree()} == set()
    with TestClient(create_app(Settings(models=models, provider="cpu"))) as client:
        told, paths = client.get("/metrics").text, client.get("/openapi.json").json()["paths"]
    begun = set(re.findall(r'neurotriage_problems_total{problem="([^"]+)",route="([^"]+)"} 0.0', told))
    assert begun == set(product(asked, WORK))
    assert set(WORK) <= set(paths)
    failures = re.findall(r'neurotriage_failures_total{model="tiny",problem="([^"]+)",version="1"} 0.0', told)
    assert set(failures) == set(FAULTS)


def test_every_stage_is_measured_in_buckets_from_a_tenth_of_a_millisecond(exposition: str) -> None:
    for stage in ("decoder_queue", "decode", "preprocess", "queue", "infer", "postprocess"):
        bounds = re.findall(rf'neurotriage_stage_seconds_bucket{{le="([^"]+)",.*stage="{stage}"', exposition)
        assert [float(bound) for bound in bounds][:2] == [0.0001, 0.00025], stage


def test_no_two_panels_lie_on_each_other_and_all_read_the_provisioned_source() -> None:
    dashboard = json.loads((DEPLOY / "grafana/dashboard.json").read_text())
    source = yaml.safe_load((DEPLOY / "grafana/provisioning/datasources/prometheus.yaml").read_text())["datasources"][0]
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in dashboard["panels"]]
    assert len(set(places)) == len(places) == len({panel["id"] for panel in dashboard["panels"]})
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            assert target["datasource"]["uid"] == source["uid"]


@pytest.mark.parametrize(
    "arguments", ["check rules alerts.yaml", "check config prometheus.yaml", "test rules alerts.test.yaml"]
)
def test_prometheus_takes_rules_and_settings_and_alerts_fire_when_they_should(arguments: str) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (Debian's package prometheus has it)")
    done = subprocess.run(
        [promtool, *arguments.split()], cwd=DEPLOY / "prometheus", check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
