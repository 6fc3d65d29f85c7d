from training.config import Recipe
from training.data.provenance import KNOWN, provenance
from training.protocol import notes, protocol


def test_the_protocol_names_datasets_folds_and_what_an_interval_leaves_out(recipe: Recipe) -> None:
    text = protocol(recipe.data)
    assert "drawn" in text
    assert "fold 5 tested" in text
    assert "hold the trained network and the folds fixed" in text


def test_a_refit_does_not_say_that_its_folds_chose_the_epoch(recipe: Recipe) -> None:
    text = protocol(recipe.data.model_copy(update={"refit": True}))
    assert "folds 1, 2, 3, 4 trained" in text
    assert "chose the epoch" not in text
    assert "none chose an epoch" in text


def test_each_dataset_s_fault_is_told(recipe: Recipe) -> None:
    data = recipe.data.model_copy(update={"datasets": ("figshare", "br35h")})
    told = " ".join(notes(data))
    assert all(KNOWN[name].fault in told for name in data.datasets)
    assert "too narrow" in told


def test_a_split_by_slice_is_not_called_one_by_group_or_patient(recipe: Recipe) -> None:
    data = recipe.data.model_copy(update={"datasets": tuple(KNOWN), "split": "random"})
    assert "bootstrap over slices" in protocol(data)
    told = " ".join(notes(data))
    assert "group-wise" not in told
    assert "author's patient-wise ones" not in told
    assert told.count("lie on both sides") == len(KNOWN)


def test_figshare_by_group_is_not_called_patient_wise_and_the_others_keep_theirs(recipe: Recipe) -> None:
    told = notes(recipe.data.model_copy(update={"datasets": ("figshare", "sartaj"), "split": "group"}))
    assert "without the author's patient-wise folds" in told[0]
    assert told[1] == f"sartaj: {KNOWN['sartaj'].fault}"


def test_of_an_undescribed_dataset_that_is_said() -> None:
    assert provenance("drawn").licence == "not stated"


def test_groups_of_br35h_are_not_said_to_hold_all_near_duplicates(recipe: Recipe) -> None:
    data = recipe.data.model_copy(update={"datasets": ("br35h",)})
    told = {split: notes(data.model_copy(update={"split": split}))[0] for split in ("published", "group", "random")}
    assert {split: "as far as its groups know them" in text for split, text in told.items()} == {
        "published": True, "group": True, "random": False}  # fmt: skip


def test_where_copies_are_kept_they_are_not_said_to_be_dropped(recipe: Recipe) -> None:
    data = recipe.data.model_copy(update={"datasets": ("sartaj",), "keep": "copy"})
    assert all("copies are dropped" not in note for note in notes(data))


def test_tumors_of_unknown_type_are_not_said_to_be_left_out_where_tumor_is_a_class(recipe: Recipe) -> None:
    told = protocol(recipe.data.model_copy(update={"shares": {"no_tumor": 1.0, "tumor": 1.0}}))
    assert "unknown tumour type count by source only" not in told
    assert "where several are" in told
