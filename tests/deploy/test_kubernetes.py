"""The manifests against Kubernetes' own schemas, which kubernetes-validate brings, and against the service."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from service.settings import PREFIX, Settings

FOLDER = Path(__file__).resolve().parents[2] / "deploy" / "kubernetes"
VERSION = "1.33"
KSERVE_FIELDS = {"minReplicas", "maxReplicas", "scaleMetric", "scaleTarget"}
"""Of KServe's ComponentExtensionSpec; a predictor's other fields are a PodSpec's."""

Manifest = dict[str, Any]


def manifests() -> list[Manifest]:
    listed = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())["resources"]
    return [yaml.safe_load((FOLDER / name).read_text()) for name in listed]


def manifest(kind: str) -> Manifest:
    return next(each for each in manifests() if each["kind"] == kind)


def inference_service() -> Manifest:
    found: Manifest = yaml.safe_load((FOLDER / "kserve" / "inference-service.yaml").read_text())
    return found


def pod_specs() -> dict[str, Manifest]:
    predictor = inference_service()["spec"]["predictor"]
    return {
        "deployment": manifest("Deployment")["spec"]["template"]["spec"],
        "kserve": {name: value for name, value in predictor.items() if name not in KSERVE_FIELDS},
    }


def test_every_manifest_in_the_folder_is_listed() -> None:
    listed = set(yaml.safe_load((FOLDER / "kustomization.yaml").read_text())["resources"])
    others = {"kustomization.yaml", "prometheus-adapter.yaml"}
    assert {path.name for path in FOLDER.glob("*.yaml")} == listed | others


@pytest.mark.parametrize("kind", [each["kind"] for each in manifests()])
def test_a_manifest_keeps_to_its_schema(kind: str) -> None:
    kubernetes_validate.validate(manifest(kind), VERSION, strict=True)


def test_a_mistyped_field_would_be_seen() -> None:
    broken = manifest("Deployment")
    broken["spec"]["template"]["spec"]["containers"][0]["readinessProb"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, VERSION, strict=True)


def test_the_inference_service_is_a_pod_and_kserves_own_fields() -> None:
    service = inference_service()
    assert (service["apiVersion"], service["kind"]) == ("serving.kserve.io/v1beta1", "InferenceService")
    assert set(service["spec"]) == {"predictor"}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": service["metadata"], "spec": pod_specs()["kserve"]}
    kubernetes_validate.validate(pod, VERSION, strict=True)
    assert pod["spec"]["containers"][0]["name"] == "kserve-container"


@pytest.mark.parametrize("where", ["deployment", "kserve"])
def test_a_pod_is_confined_and_keeps_the_services_names_free(where: str) -> None:
    pod = pod_specs()[where]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["runAsUser"] == 10001
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod["automountServiceAccountToken"] is pod["enableServiceLinks"] is False
    assert container["resources"]["limits"]["memory"]


@pytest.mark.parametrize("where", ["deployment", "kserve"])
def test_a_pod_is_given_settings_that_exist_and_time_to_drain(where: str) -> None:
    pod = pod_specs()[where]
    given = {each["name"].removeprefix(PREFIX).lower(): each["value"] for each in pod["containers"][0]["env"]}
    settings = Settings(**given)
    probe = pod["containers"][0]["readinessProbe"]
    assert set(given) <= set(Settings.model_fields)
    assert pod["terminationGracePeriodSeconds"] > settings.drain_seconds > settings.drain_notice_seconds
    assert settings.drain_notice_seconds >= probe["periodSeconds"] * probe["failureThreshold"]


@pytest.mark.parametrize("where", ["deployment", "kserve"])
def test_probes_ask_what_the_service_answers(where: str) -> None:
    (container,) = pod_specs()[where]["containers"]
    paths = {probe: container[f"{probe}Probe"]["httpGet"]["path"] for probe in ("startup", "readiness", "liveness")}
    assert paths == {"startup": "/readyz", "readiness": "/readyz", "liveness": "/livez"}


def test_it_scales_on_the_queues_time_and_on_the_cpu() -> None:
    metrics = manifest("HorizontalPodAutoscaler")["spec"]["metrics"]
    (rule,) = yaml.safe_load((FOLDER / "prometheus-adapter.yaml").read_text())["rules"]["custom"]
    assert [each["pods"]["metric"]["name"] for each in metrics if each["type"] == "Pods"] == [rule["name"]["as"]]
    assert [each["resource"]["name"] for each in metrics if each["type"] == "Resource"] == ["cpu"]
    assert 'stage="queue"' in rule["metricsQuery"]


def test_every_selector_finds_the_pods() -> None:
    labels = manifest("Deployment")["spec"]["template"]["metadata"]["labels"]
    assert manifest("Deployment")["spec"]["selector"]["matchLabels"] == labels
    assert manifest("Service")["spec"]["selector"] == labels
    assert manifest("NetworkPolicy")["spec"]["podSelector"]["matchLabels"] == labels
    assert manifest("PodDisruptionBudget")["spec"]["selector"]["matchLabels"] == labels


def test_kustomize_builds_all_of_it_into_one_namespace() -> None:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not installed")
    done = subprocess.run([kubectl, "kustomize", str(FOLDER)], check=True, capture_output=True, text=True)
    built = {each["kind"]: each for each in yaml.safe_load_all(done.stdout)}
    assert set(built) == {each["kind"] for each in manifests()}
    for kind, each in built.items():
        kubernetes_validate.validate(each, VERSION, strict=True)
        assert each["metadata"]["namespace"] == "neurotriage", kind
    assert re.fullmatch(r"neurotriage:\w+", built["Deployment"]["spec"]["template"]["spec"]["containers"][0]["image"])
