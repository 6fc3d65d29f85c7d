from pathlib import Path
from typing import Any

import pytest
from fastapi import Request, routing
from fastapi.testclient import TestClient

from service.app import create_app
from service.keys import KeyList, make_key, write_keys
from service.settings import Settings
from tests.pictures import png

WAYS = ["/predict", "/predict?model=tiny"]


def test_both_ways_give_the_same_answer(client: TestClient) -> None:
    for seed in range(5):
        answers = [client.post(way, content=png(seed)).json()["probabilities"] for way in WAYS]
        assert answers[0] == answers[1]


def test_without_a_query_the_solver_of_dependencies_is_not_asked(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    solve, queries = routing.solve_dependencies, []  # type: ignore[attr-defined]  # FastAPI does not export it

    async def counted(*, request: Request, **rest: Any) -> Any:
        queries.append(request.url.query)
        return await solve(request=request, **rest)

    monkeypatch.setattr(routing, "solve_dependencies", counted)
    assert [client.post(way, content=png(1)).status_code for way in WAYS] == [200, 200]
    assert queries == ["model=tiny"]


@pytest.mark.parametrize("way", WAYS)
def test_both_ways_ask_for_a_key_with_the_scope(models: Path, tmp_path: Path, way: str) -> None:
    (good, key), (other, another) = make_key("good", frozenset({"predict"})), make_key("other", frozenset({"explain"}))
    write_keys(tmp_path / "keys.json", KeyList(keys=(key, another)))
    with TestClient(create_app(Settings(models=models, provider="cpu", keys=tmp_path / "keys.json"))) as client:
        assert client.post(way, content=png(1)).status_code == 401
        assert client.post(way, content=png(1), headers={"X-API-Key": "0123.x"}).status_code == 401
        assert client.post(way, content=png(1), headers={"X-API-Key": other}).status_code == 403
        assert client.post(way, content=png(1), headers={"Authorization": f"bearer {good}"}).status_code == 200


@pytest.mark.parametrize("way", WAYS)
def test_both_ways_count_against_the_rate(models: Path, way: str) -> None:
    settings = Settings(models=models, provider="cpu", rate_per_minute=0.001, rate_burst=2)
    with TestClient(create_app(settings)) as client:
        assert [client.post(way, content=png(1)).status_code for _ in range(3)] == [200, 200, 429]


@pytest.mark.parametrize("way", WAYS)
def test_both_ways_refuse_while_draining(client: TestClient, way: str) -> None:
    app: Any = client.app
    app.state.intake.draining = True
    sent = client.post(way, content=png(1))
    assert (sent.status_code, sent.json()["type"]) == (503, "urn:neurotriage:problem:not-ready")


@pytest.mark.parametrize("way", WAYS)
def test_both_ways_heed_a_shorter_deadline(client: TestClient, way: str) -> None:
    sent = [client.post(way, content=png(1), headers={"X-Request-Timeout-Ms": ms}) for ms in ("0", "60000")]
    assert [each.status_code for each in sent] == [422, 200]
