from training.config import Recipe
from training.data.provenance import KNOWN, provenance
from training.protocol import notes, protocol


def test_the_protocol_names_datasets_folds_and_what_an_interval_leaves_out(recipe: Recipe) -> None:
    text = protocol(recipe.data)
    assert "drawn" in text
    assert "fold 5 tested" in text
    assert "hold the trained network and the folds fixed" in text


def test_each_dataset_s_fault_is_told(recipe: Recipe) -> None:
    data = recipe.data.model_copy(update={"datasets": ("figshare", "br35h")})
    told = " ".join(notes(data))
    assert all(KNOWN[name].fault in told for name in data.datasets)
    assert "too narrow" in told


def test_of_an_undescribed_dataset_that_is_said() -> None:
    assert provenance("drawn").licence == "not stated"
