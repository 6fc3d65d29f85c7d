"""A finished run is quantised, measured, held against its base and registered, or not."""

import shutil
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from service.contract.card import CARD_FILE, EXPLAIN_FILE, MODEL_FILE, REPORT_FILE, read_card
from service.contract.probabilities import probabilities
from training import calibrate, checkpoint, evaluate, export
from training.calibrate import CALIBRATION, read_temperature
from training.config import read_recipe
from training.data.index import sha256_of
from training.errors import OrderError, RecipeError, RegisterError, TrainingError
from training.graph import Graph
from training.modelcard import MODEL_CARD
from training.register import register, verify
from training.report import Bar
from training.run import RECIPE, load_folds
from training.variants.guard import QUANTIZATION
from training.variants.integers import precision_of
from training.variants.judge import judge_variant
from training.variants.quantize import Quantization, quantize
from training.variants.ranges import METHODS, find_ranges, pick
from training.variants.report import VARIANT, VariantReport, beside, read_variant


@pytest.fixture(scope="module")
def base(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The finished run as a bundle."""
    return register(finished, tmp_path_factory.mktemp("models"), "To have a base.")


@pytest.fixture(scope="module")
def quantised(finished: Path, pictures: Path, base: Path) -> Path:
    """The finished run in integers, measured and judged; tests that write take a copy."""
    run = finished.parent / "tiny-int8"
    quantize(pictures, finished, run)
    evaluate.evaluate(pictures, run, resamples=100)
    judge_variant(pictures, run, base, resamples=100)
    return run


@pytest.fixture
def run(quantised: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(quantised, tmp_path / "run"))


def let_pass(run: Path) -> VariantReport:
    """The comparison as it would be had the tiny network, which no integers make faster, kept every bar."""
    found = read_variant(run / VARIANT)
    kept = found.model_copy(update={"bars": (Bar(figure="speed", at_least=1.15, value=2.0),)})
    (run / VARIANT).write_text(kept.model_dump_json())
    return kept


def test_convolutions_become_integers_and_the_way_in_and_out_stays_float(quantised: Path, finished: Path) -> None:
    graph = onnx.load(quantised / MODEL_FILE)
    assert precision_of(quantised / MODEL_FILE) == "int8"
    assert precision_of(finished / MODEL_FILE) == "fp32"
    assert (quantised / MODEL_FILE).stat().st_size < (finished / MODEL_FILE).stat().st_size
    made = {output: node for node in graph.graph.node for output in node.output}
    convolutions = [node for node in graph.graph.node if node.op_type == "Conv"]
    assert {made[node.input[0]].op_type for node in convolutions} == {"DequantizeLinear"}
    (head,) = [node for node in graph.graph.node if node.op_type in {"Gemm", "MatMul"}]
    assert made[head.input[0]].op_type != "DequantizeLinear"


def test_no_weight_is_so_large_that_two_products_overflow_16_bits(quantised: Path) -> None:
    graph = onnx.load(quantised / MODEL_FILE)
    weights = {each.name: onnx.numpy_helper.to_array(each) for each in graph.graph.initializer}
    integers = [each for each in weights.values() if each.dtype == np.int8 and each.ndim == 4]
    summed, single = ([each for each in integers if (each.shape[1] == 1) == alone] for alone in (False, True))
    assert len(summed) > 10
    assert max(int(np.abs(each.astype(int)).max()) for each in summed) <= 64
    assert max(int(np.abs(each.astype(int)).max()) for each in single) == 127
    assert np.iinfo(np.int16).max > 255 * 64 * 2


def test_the_graph_answers_any_batch_nearly_as_the_float_one(quantised: Path, finished: Path, pictures: Path) -> None:
    recipe = read_recipe(quantised / RECIPE)
    pixels = load_folds(recipe, pictures, quantised, (5,)).pixels
    alone, together = (Graph(quantised / MODEL_FILE)(pixels, size).logits for size in (1, 8))
    assert together == pytest.approx(alone, abs=1e-5)
    ours, theirs = probabilities(alone, 1.0), probabilities(Graph(finished / MODEL_FILE)(pixels).logits, 1.0)
    assert 0 < np.abs(ours - theirs).max() < 0.1


def test_ranges_come_from_training_slices_alone_and_the_choice_from_validation(quantised: Path, finished: Path) -> None:
    found = Quantization.model_validate_json((quantised / QUANTIZATION).read_bytes())
    assert found.folds == (1, 2, 3)
    assert found.float_sha256 == sha256_of(finished / MODEL_FILE)
    assert set(found.tried) == set(METHODS)
    assert found.tried[found.chosen].divergence == min(tried.divergence for tried in found.tried.values())
    assert all(tried.divergence > 0 for tried in found.tried.values())
    assert read_recipe(quantised / RECIPE).name == "tiny-int8"
    assert {path.name for path in quantised.glob("*.onnx")} == {MODEL_FILE}


def test_the_temperature_is_the_integers_own(quantised: Path, finished: Path) -> None:
    assert read_temperature(quantised) != read_temperature(finished)


def test_integers_of_a_refit_keep_its_temperature(refitted: Path, pictures: Path, tmp_path: Path) -> None:
    """The slices that theirs would be fitted on were learnt."""
    quantize(pictures, refitted, tmp_path / "int8", methods=["minmax"])
    assert read_temperature(tmp_path / "int8") == read_temperature(refitted)


@pytest.mark.parametrize("method", METHODS)
def test_every_way_spans_what_it_sees(finished: Path, pictures: Path, method: str) -> None:
    recipe = read_recipe(finished / RECIPE)
    pixels = pick(load_folds(recipe, pictures, finished, (1, 2, 3)), 2, seed=0)
    assert len(pixels) == 2 * len(recipe.class_names)
    ranges = find_ranges(finished / MODEL_FILE, pixels, method)
    assert all(np.max(low) <= np.min(high) for low, high in (each.range_value for each in ranges.values()))


def test_integers_are_not_quantised_again(quantised: Path, pictures: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="quantised already"):
        quantize(pictures, quantised, tmp_path / "again")


def test_a_run_that_was_trained_is_not_written_over(finished: Path, pictures: Path) -> None:
    with pytest.raises(RecipeError, match="choose a folder of its own"):
        quantize(pictures, finished, finished)


def test_no_float_step_replaces_what_was_quantised(run: Path, pictures: Path) -> None:
    before = sha256_of(run / MODEL_FILE), sha256_of(run / CALIBRATION)
    for step in (calibrate.calibrate, export.export):
        with pytest.raises(OrderError, match="was made by quantize"):
            step(pictures, run)
    assert (sha256_of(run / MODEL_FILE), sha256_of(run / CALIBRATION)) == before


def test_a_comparison_shows_both_and_what_lies_between(quantised: Path) -> None:
    found = read_variant(quantised / VARIANT)
    assert found.base == "tiny version 1"
    for of in found.figures.values():
        assert of.difference.value == pytest.approx(of.variant - of.base)
        assert of.difference.low <= of.difference.high
    assert 0 < found.agreement.value <= 1
    assert 0 < found.furthest <= 1
    assert [bar.figure for bar in found.bars] == ["macro_f1_lost", "ece", "speed"]


def test_a_comparison_does_not_say_that_nobody_looked_at_the_test_folds(quantised: Path) -> None:
    """That is for the report's notes: the shipped variants were looked at there before they were chosen."""
    text = beside(read_variant(quantised / VARIANT))
    assert "Nothing was chosen" not in text
    assert "the notes of its report say" in text


def test_a_run_held_against_itself_differs_in_nothing(finished: Path, base: Path, pictures: Path) -> None:
    found = judge_variant(pictures, Path(shutil.copytree(finished, finished.parent / "same")), base, resamples=100)
    assert (found.agreement.value, found.agreement.high) == (1, 1)
    assert 0 < found.agreement.low < 1  # a slice that nobody has seen may get another label all the same
    assert found.furthest == 0
    assert {of.difference.high - of.difference.low for of in found.figures.values()} == {0}


def test_integers_that_nobody_judged_are_not_offered(run: Path, tmp_path: Path) -> None:
    (run / VARIANT).unlink()
    with pytest.raises(OrderError, match="python -m training judge-variant"):
        register(run, tmp_path / "models", "Never.")


def test_a_variant_that_misses_a_bar_is_not_offered(run: Path, tmp_path: Path) -> None:
    found = read_variant(run / VARIANT)
    missed = Bar(figure="macro_f1_lost", at_most=0.01, value=0.2)
    (run / VARIANT).write_text(found.model_copy(update={"bars": (missed,)}).model_dump_json())
    with pytest.raises(RegisterError, match=r"macro_f1_lost 0\.2000 .* NOT MET"):
        register(run, tmp_path / "models", "Never.")


def test_a_comparison_of_another_graph_is_refused(run: Path, tmp_path: Path) -> None:
    found = let_pass(run)
    (run / VARIANT).write_text(found.model_copy(update={"sha256": "0" * 64}).model_dump_json())
    with pytest.raises(RegisterError, match="run judge-variant again"):
        register(run, tmp_path / "models", "Never.")


def test_integers_offer_no_maps(run: Path, tmp_path: Path) -> None:
    let_pass(run)
    (run / EXPLAIN_FILE).write_bytes(b"the float network's")
    with pytest.raises(RegisterError, match="without --explain"):
        register(run, tmp_path / "models", "Never.", explain=True)


def test_a_registered_variant_says_what_it_is(run: Path, tmp_path: Path) -> None:
    found = let_pass(run)
    bundle = register(run, tmp_path / "models", "Faster.")
    card = read_card(bundle)
    assert (bundle.parts[-2:], card.precision, card.explain) == (("tiny-int8", "1"), "int8", None)
    assert card.temperature == read_temperature(run)
    assert {VARIANT, QUANTIZATION} < set(card.files)
    assert any("a variant of tiny version 1" in each for each in card.limitations)
    assert any("offers no maps: ask tiny version 1" in each for each in card.limitations)
    text = (bundle / MODEL_CARD).read_text()
    assert "## Beside tiny version 1" in text
    assert f"{found.agreement.value:.4f}" in text
    assert f"{card.precision}" in text
    verify(bundle)


def test_a_float_version_says_so_and_is_no_variant(base: Path) -> None:
    assert read_card(base).precision == "fp32"
    assert '"precision": "fp32"' in (base / CARD_FILE).read_text()
    assert not (base / VARIANT).exists()
    assert (base / REPORT_FILE).exists()


def test_the_origin_in_the_graph_is_still_checked(run: Path, pictures: Path) -> None:
    checkpoint.save({**checkpoint.load(run / checkpoint.BEST), "epoch": 99}, run / checkpoint.BEST)
    with pytest.raises(OrderError, match="another checkpoint"):
        judge_variant(pictures, run, run)


def test_integers_are_really_computed_with(quantised: Path, tmp_path: Path) -> None:
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    options.log_severity_level = 3
    onnxruntime.InferenceSession(quantised / MODEL_FILE, options, providers=["CPUExecutionProvider"])
    operators = [node.op_type for node in onnx.load(tmp_path / "optimized.onnx").graph.node]
    assert operators.count("QLinearConv") > 10
    assert operators.count("QLinearConv") > operators.count("Conv")
