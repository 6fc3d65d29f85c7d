import hashlib
import tarfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import SimpleITK
import yaml

from service.contract.probabilities import NO_TUMOR
from training import index
from training.config import Recipe
from training.data.index import read_index
from training.dataconfig import UNKNOWN_TUMOR
from training.errors import DataError
from training.heads import ASKED, heads, read_heads
from training.index import INDEX

Give = Callable[..., Path]
HEADS = "heads"
BOX = {"z": [40, 45], "y": [20, 27], "x": [24, 31]}
"""Where `tumour` lies, as a list gives it."""


def head(seed: int) -> np.ndarray:
    """A head of 60 mm: an ellipsoid with texture of its own."""
    texture = np.random.default_rng(seed).uniform(60, 200, (60, 60, 60)).astype(np.float32)
    z, y, x = np.ogrid[-30:30, -30:30, -30:30]
    return np.where((z / 28) ** 2 + (y / 26) ** 2 + (x / 22) ** 2 < 1, texture, 0).astype(np.float32)


def tumour() -> np.ndarray:
    inside = np.zeros((60, 60, 60), np.uint8)
    inside[40:46, 20:28, 24:32] = 1
    return inside


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with one archive of volumes, and a server of it whose address is in its file `address`."""
    folder = tmp_path_factory.mktemp("served")
    volumes = {"learnt.nii.gz": head(1), "asked.nrrd": head(2), "outline.nrrd": tumour(), "small.nrrd": tumour()[:9]}
    with tarfile.open(folder / "heads.tar.gz", "w:gz") as archive:
        for name, voxels in volumes.items():
            SimpleITK.WriteImage(SimpleITK.GetImageFromArray(voxels), str(folder / name))
            archive.add(folder / name, f"heads-1.0/{name}")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        (folder / "address").write_text(f"http://127.0.0.1:{server.server_port}/heads.tar.gz")
        yield folder
        server.shutdown()


@pytest.fixture
def give(served: Path, tmp_path: Path, pictures: Path, recipe: Recipe) -> Give:
    """Writes a list of the served volumes, changed as asked, and published data with an index."""
    sha256 = hashlib.sha256((served / "heads.tar.gz").read_bytes()).hexdigest()
    published = tmp_path / "published"
    published.mkdir()
    (published / "drawn").symlink_to(pictures / "drawn")
    index.index(recipe, pictures, tmp_path / "run").rename(published / INDEX)

    def written(
        outline: str = "outline.nrrd",
        member: str = "learnt.nii.gz",
        sha256: str = sha256,
        box: dict[str, tuple[int, int]] | None = None,
    ) -> Path:
        here = {"url": (served / "address").read_text(), "sha256": sha256, "licence": "drawn here"}
        asked = {"archive": "here", "member": "heads-1.0/asked.nrrd", "outline": f"heads-1.0/{outline}"}
        listed = {
            "archives": {"here": here},
            "learnt": {HEADS: {"one": {"archive": "here", "member": f"heads-1.0/{member}", "box": box}}},
            "asked": {"two": asked},
        }
        (tmp_path / "heads.yaml").write_text(yaml.safe_dump(listed))
        return tmp_path / "heads.yaml"

    return written


def test_heads_are_learnt_from_beside_the_published_pictures(give: Give, tmp_path: Path, recipe: Recipe) -> None:
    heads(tmp_path / "published", tmp_path / "data", give())
    rows = read_index(tmp_path / "data" / INDEX)
    assert [row for row in rows if row.dataset == "drawn"] == read_index(tmp_path / "published" / INDEX)
    ours = [row for row in rows if row.dataset == HEADS]
    assert {(row.label, row.fold) for row in ours} == {(NO_TUMOR, 1)}
    assert {row.path.split("-")[1] for row in ours} == {"axial", "coronal", "sagittal"}
    assert max(Counter(row.group for row in ours).values()) == 3  # slabs of 9 mm, a slice every 3
    wider = recipe.model_copy(update={"data": recipe.data.model_copy(update={"datasets": ("drawn", HEADS)})})
    found = index.find(wider, tmp_path / "data")
    assert not found.unreadable
    assert len(found.rows) == len(rows)


def test_what_is_asked_about_lies_apart_and_near_a_tumour_nothing_is_said(give: Give, tmp_path: Path) -> None:
    heads(tmp_path / "published", tmp_path / "data", give())
    asked = {kind: {path.stem for path in (tmp_path / "data" / ASKED / kind).iterdir()} for kind in ("yes", "no")}
    axial = {
        kind: sorted(int(name[-3:]) for name in names if name.startswith("two-axial")) for kind, names in asked.items()
    }
    assert axial["yes"] == [42, 45]
    assert max(axial["no"]) == 12  # 25 mm clear of the first outlined slice
    assert not asked["yes"] & asked["no"]
    assert not any("two" in row.path for row in read_index(tmp_path / "data" / INDEX))


def test_a_head_with_a_tumour_in_a_box_is_learnt_apart_from_what_lies_near_it(give: Give, tmp_path: Path) -> None:
    heads(tmp_path / "published", tmp_path / "data", give(box=BOX))
    learnt = [row for row in read_index(tmp_path / "data" / INDEX) if row.dataset == HEADS]
    axial = {
        label: sorted(int(Path(row.path).stem[-3:]) for row in learnt if row.label == label and "axial" in row.path)
        for label in (UNKNOWN_TUMOR, NO_TUMOR)
    }
    assert axial == {UNKNOWN_TUMOR: [42, 45], NO_TUMOR: [9, 12]}
    assert all((tmp_path / "data" / row.path).parent.name == row.label for row in learnt)


def test_again_gives_the_same_and_nothing_of_another_list_is_left(give: Give, tmp_path: Path) -> None:
    heads(tmp_path / "published", tmp_path / "data", give())
    first = (tmp_path / "data" / INDEX).read_text()
    heads(tmp_path / "published", tmp_path / "data", give())
    assert (tmp_path / "data" / INDEX).read_text() == first
    heads(tmp_path / "published", tmp_path / "data", give(member="asked.nrrd"))
    assert (tmp_path / "data" / INDEX).read_text() != first
    assert len(list((tmp_path / "data" / HEADS / NO_TUMOR).iterdir())) == len(
        [row for row in read_index(tmp_path / "data" / INDEX) if row.dataset == HEADS]
    )


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"sha256": "0" * 64}, "hash"),
        ({"member": "none.nii.gz"}, "none.nii.gz"),
        ({"outline": "small.nrrd"}, "does not fit"),
        ({"box": {**BOX, "z": [55, 60]}}, "does not lie in it"),
        ({"box": {**BOX, "z": [45, 40]}}, "does not lie in it"),
    ],
)
def test_another_archive_or_volume_than_listed_is_refused(
    give: Give, tmp_path: Path, changed: dict[str, str], told: str
) -> None:
    with pytest.raises(DataError, match=told):
        heads(tmp_path / "published", tmp_path / "data", give(**changed))


BOTH = "{archive: a, member: m, outline: o, box: {z: [0, 1], y: [0, 1], x: [0, 1]}}"
"""A head whose tumour is said to lie in two ways."""


@pytest.mark.parametrize(
    "text",
    [
        "learnt: {}",
        "{",
        "archives: {here: {url: a, sha256: b}}",
        f"{{archives: {{}}, learnt: {{}}, asked: {{a: {BOTH}}}}}",
    ],
)
def test_what_is_no_list_of_heads_is_told_in_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "heads.yaml").write_text(text)
    with pytest.raises(DataError, match=r"^.*no list of heads: .*$"):
        read_heads(tmp_path / "heads.yaml")


def test_the_published_data_stay_as_they_are(give: Give, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="another folder"):
        heads(tmp_path / "published", tmp_path / "published", give())
    heads(tmp_path / "published", tmp_path / "data", give())
    with pytest.raises(DataError, match="published data alone"):
        heads(tmp_path / "data", tmp_path / "more", give())


def test_links_follow_to_other_published_data(give: Give, tmp_path: Path) -> None:
    heads(tmp_path / "published", tmp_path / "data", give())
    (tmp_path / "published").rename(tmp_path / "moved")
    heads(tmp_path / "moved", tmp_path / "data", give())
    assert (tmp_path / "data" / "drawn").resolve() == (tmp_path / "moved" / "drawn").resolve()
    assert (tmp_path / "data" / "drawn" / NO_TUMOR).is_dir()


def test_the_projects_own_list_names_no_volume_twice() -> None:
    listed = read_heads()
    learnt = {name: head for heads in listed.learnt.values() for name, head in heads.items()}
    assert len(learnt) == sum(map(len, listed.learnt.values()))
    both = [*learnt.values(), *listed.asked.values()]
    assert len({one.member for one in both}) == len(both)
    assert {one.archive for one in both} == set(listed.archives)
    assert not set(learnt) & set(listed.asked)
