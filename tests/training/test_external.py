import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from service.contract.card import MODEL_FILE
from service.contract.preprocess import preprocess
from service.contract.probabilities import probabilities, tumor_probability
from training.__main__ import main
from training.calibrate import read_temperature
from training.config import read_recipe
from training.data.index import read_index
from training.errors import DataError, RecipeError
from training.external import External, evaluate_folder
from training.graph import Graph
from training.index import INDEX
from training.register import register
from training.run import RECIPE, input_spec


@pytest.fixture
def elsewhere(pictures: Path, tmp_path: Path) -> Path:
    """A folder of yes and no, one of its files broken."""
    folder = tmp_path / "elsewhere"
    shutil.copytree(pictures / "drawn" / "glioma", folder / "yes")
    shutil.copytree(pictures / "drawn" / "no_tumor", folder / "no")
    (folder / "no" / "broken.jpg").write_bytes(b"text")
    return folder


def called_tumors(run: Path, pictures: list[Path]) -> int:
    """How many pictures the run's graph calls a tumour, asked as the service asks it."""
    recipe = read_recipe(run / RECIPE)
    seen = [preprocess(Image.open(path), input_spec(recipe)) for path in pictures]
    probs = probabilities(Graph(run / MODEL_FILE)(np.stack(seen)).logits, read_temperature(run))
    return int((tumor_probability(probs, recipe.class_names) >= 0.5).sum())


def test_a_folder_of_yes_and_no_is_measured(finished: Path, elsewhere: Path, tmp_path: Path) -> None:
    report = evaluate_folder(finished, elsewhere, tmp_path, resamples=100)
    assert report.slices == {"no_tumor": 10, "tumor": 10}
    assert report.groups == {"no_tumor": 5, "tumor": 5}
    assert report.unreadable == 1
    rows = read_index(finished / INDEX)
    assert report.learnt == sum(row.fold in {1, 2, 3, 4} for row in rows if row.label in {"glioma", "no_tumor"}) > 0
    assert set(report.figures) == {"sensitivity", "specificity", "accuracy", "auroc", "specificity_at_95"}
    assert {label: sum(answers) for label, answers in report.confusion.items()} == report.slices
    yes, no = (called_tumors(finished, sorted((elsewhere / name).glob("*.png"))) for name in ("yes", "no"))
    told = {name: report.figures[name].value for name in ("sensitivity", "specificity", "accuracy")}
    assert told == pytest.approx(
        {"sensitivity": yes / 10, "specificity": 1 - no / 10, "accuracy": (yes + 10 - no) / 20}
    )
    assert (tmp_path / "external-elsewhere.png").stat().st_size > 5000
    assert External.model_validate_json((tmp_path / "external-elsewhere.json").read_bytes()) == report


def test_a_bundle_answers_as_its_run_does(finished: Path, elsewhere: Path, tmp_path: Path) -> None:
    bundle = register(finished, tmp_path / "models", "First version.")
    ours = evaluate_folder(bundle, elsewhere, tmp_path, resamples=100)
    theirs = evaluate_folder(finished, elsewhere, tmp_path, resamples=100)
    assert ours == theirs.model_copy(update={"learnt": None})


def test_a_folder_without_healthy_slices_is_refused(finished: Path, elsewhere: Path, tmp_path: Path) -> None:
    shutil.rmtree(elsewhere / "no")
    with pytest.raises(DataError, match="slices without one"):
        evaluate_folder(finished, elsewhere, tmp_path)


def test_a_folder_that_is_no_label_does_not_count_as_tumours(finished: Path, elsewhere: Path, tmp_path: Path) -> None:
    shutil.copytree(elsewhere / "no", elsewhere / "pred")
    with pytest.raises(DataError, match="pred, which is neither yes, no nor a class"):
        evaluate_folder(finished, elsewhere, tmp_path, resamples=100)


def test_a_network_that_only_tells_tumours_apart_is_not_asked_for_one(
    finished: Path, elsewhere: Path, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(finished, tmp_path / "run"))
    recipe = json.loads((run / RECIPE).read_text())
    recipe["class_names"] = ["glioma", "meningioma", "other", "pituitary"]
    recipe["data"]["shares"] = dict.fromkeys(recipe["class_names"], 1)
    (run / RECIPE).write_text(json.dumps(recipe))
    with pytest.raises(RecipeError, match="only tells tumours apart"):
        evaluate_folder(run, elsewhere, tmp_path, resamples=100)


def test_the_report_s_folder_need_not_be_there(finished: Path, elsewhere: Path, tmp_path: Path) -> None:
    evaluate_folder(finished, elsewhere, tmp_path / "reports" / "away", resamples=100)
    assert (tmp_path / "reports" / "away" / "external-elsewhere.json").exists()


def test_the_report_on_another_folder_of_the_same_name_is_kept(
    finished: Path, elsewhere: Path, pictures: Path, tmp_path: Path
) -> None:
    first = evaluate_folder(finished, elsewhere, tmp_path, resamples=100)
    other = tmp_path / "other" / elsewhere.name
    for kind, label in (("yes", "pituitary"), ("no", "no_tumor")):
        shutil.copytree(pictures / "drawn" / label, other / kind)
    with pytest.raises(DataError, match="another folder of this name"):
        evaluate_folder(finished, other, tmp_path, resamples=100)
    assert evaluate_folder(finished, elsewhere, tmp_path, resamples=100) == first
    assert evaluate_folder(finished, other, tmp_path / "apart", resamples=100).pictures_sha256 != first.pictures_sha256


def test_the_command_takes_one_of_data_and_folder(
    finished: Path, elsewhere: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["training", "evaluate", "--run", str(finished), "--out", str(tmp_path), "--resamples", "1000"]
    folder = ["--folder", str(elsewhere)]
    for given, code in (folder, 0), ([], 2), ([*folder, "--remark", "From a phone."], 2):
        monkeypatch.setattr(sys, "argv", [*words, *given])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == code
