import asyncio
import csv
import json
from pathlib import Path

import httpx2

from tests.e2e.conftest import ROOT, start

BUNDLE = ROOT / "models" / "brain-mri-efficientnet-lite0" / "1"


def test_over_http_the_accuracy_is_the_reports_to_the_last_digit(tmp_path: Path, shared_data: Path) -> None:
    report = json.loads((BUNDLE / "report.json").read_text())
    with (shared_data / "index.csv").open(newline="") as lines:
        asked = [
            (row["path"], row["label"])
            for row in csv.DictReader(lines)
            if row["dataset"] in ("figshare", "br35h")
            and int(row["fold"]) in report["folds"]["test"]
            and row["label"] in report["class_names"]
        ]
    assert len(asked) == 964
    server = start(tmp_path, ROOT / "models")
    answers = asyncio.run(ask(server.url, [(shared_data / path).read_bytes() for path, _ in asked]))
    assert server.stop() == 0
    right = sum(answer == label for answer, (_, label) in zip(answers, asked, strict=True))
    assert right / len(asked) == report["figures"]["accuracy"]["value"]


async def ask(url: str, pictures: list[bytes]) -> list[str]:
    """The label of each picture, eight callers at a time."""
    callers = asyncio.Semaphore(8)

    async def label(client: httpx2.AsyncClient, picture: bytes) -> str:
        async with callers:
            response = await client.post("/predict?model=brain-mri-efficientnet-lite0&version=1", content=picture)
            return str(response.json()["label"])

    async with httpx2.AsyncClient(base_url=url, timeout=30) as client:
        return await asyncio.gather(*(label(client, picture) for picture in pictures))
