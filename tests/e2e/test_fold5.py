import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from service.contract.card import read_card
from tests.e2e.conftest import ROOT, Server, start
from training.config import Recipe
from training.data.arrange import arrange
from training.data.index import read_index

NAME = "brain-mri-efficientnet-lite0"
BUNDLE = ROOT / "models" / NAME / "2"
REPORT = json.loads((BUNDLE / "report.json").read_text())

Answer = dict[str, Any]


@pytest.fixture(scope="module")
def slices(shared_data: Path) -> list[tuple[bytes, str]]:
    """Content and label of every test slice of known class, split as the model's recipe did."""
    recipe = Recipe.model_validate(read_card(BUNDLE).training.recipe)
    rows = arrange(read_index(shared_data / "index.csv", recipe.data.datasets), recipe.data, recipe.seed)
    tested = [row for row in rows if row.fold in recipe.data.test_folds and row.label in recipe.class_names]
    return [((shared_data / row.path).read_bytes(), row.label) for row in tested]


@pytest.fixture(scope="module")
def real_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of the committed models."""
    server = start(tmp_path_factory.mktemp("server"), ROOT / "models", max_queue_size="200")
    yield server
    assert server.stop() == 0


def test_over_http_the_accuracy_is_the_reports_to_the_last_digit(
    real_server: Server, slices: list[tuple[bytes, str]]
) -> None:
    assert len(slices) == sum(map(sum, REPORT["confusion"]))
    answers = asyncio.run(ask(real_server.url, [content for content, _ in slices], callers=8))
    right = sum(answer["label"] == label for answer, (_, label) in zip(answers, slices, strict=True))
    assert right / len(slices) == REPORT["figures"]["accuracy"]["value"]


def test_two_hundred_real_slices_at_once_get_the_answers_they_get_alone(
    real_server: Server, slices: list[tuple[bytes, str]]
) -> None:
    contents = [content for content, _ in slices[::4][:200]]
    alone = asyncio.run(ask(real_server.url, contents, callers=1))
    together = asyncio.run(ask(real_server.url, contents, callers=200))
    assert max(answer["batch_size"] for answer in together) > 1
    for one, other in zip(alone, together, strict=True):
        assert other["probabilities"] == pytest.approx(one["probabilities"], abs=1e-4)


async def ask(url: str, pictures: list[bytes], callers: int) -> list[Answer]:
    """The answer to each picture, `callers` at a time."""
    places = asyncio.Semaphore(callers)

    async def answer(client: httpx2.AsyncClient, picture: bytes) -> Answer:
        async with places:
            response = await client.post(f"/predict?model={NAME}&version={BUNDLE.name}", content=picture)
            assert response.status_code == 200, response.text
            return dict(response.json())

    limits = httpx2.Limits(max_connections=callers)
    async with httpx2.AsyncClient(base_url=url, limits=limits, timeout=60) as client:
        return await asyncio.gather(*(answer(client, picture) for picture in pictures))
