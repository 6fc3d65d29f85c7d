import torch
from torch import Tensor

from training.data.graft import Sample, graft

ABSENT = 2
SIDE = 64


def slices_of(labels: list[int], places: list[tuple[int, int] | None]) -> Sample:
    """Slices that grow brighter from left to right, each in its own way, with a bright square where a tumour is."""
    ramp = torch.linspace(0.3, 0.5, SIDE).expand(1, SIDE, SIDE)
    grey = torch.stack([ramp + 0.01 * i for i in range(len(labels))])
    masks = torch.zeros_like(grey)
    for i, place in enumerate(places):
        if place:
            y, x = place
            masks[i, :, y : y + 8, x : x + 8] = 1
    grey = torch.where(masks > 0, 1.0, grey)
    always = torch.ones(len(labels), dtype=torch.bool)
    return Sample(grey, masks, torch.eye(4)[labels].bool(), known=always, bounded=always)


BATCH = slices_of([0, 1, ABSENT, ABSENT] * 4, [(10, 8), (40, 50), None, None] * 4)


def drawn(share: float = 1.0, seeds: int = 12, batch: Sample = BATCH) -> list[Sample]:
    return [graft(batch, share, ABSENT, torch.Generator().manual_seed(seed)) for seed in range(seeds)]


def changed(before: Tensor, after: Tensor) -> Tensor:
    return (before != after).flatten(1).any(dim=1)


def test_without_a_share_nothing_happens() -> None:
    assert graft(BATCH, 0.0, ABSENT, torch.Generator()) is BATCH


def test_a_covered_tumour_is_gone_and_the_slice_shows_none() -> None:
    covered = 0
    for out in drawn():
        lost = BATCH.masks.flatten(1).any(1) & ~out.masks.flatten(1).any(1)
        covered += int(lost.sum())
        assert out.allowed[lost].equal(torch.eye(4)[[ABSENT]].bool().expand(int(lost.sum()), 4))
        assert (out.grey[lost] < 0.8).all()
    assert covered > 10


def test_a_grafted_tumour_comes_with_its_class_and_its_outline() -> None:
    grafted = 0
    for out in drawn():
        got = ~BATCH.masks.flatten(1).any(1) & out.masks.flatten(1).any(1)
        grafted += int(got.sum())
        for grey, mask, allowed in zip(out.grey[got], out.masks[got], out.allowed[got], strict=True):
            assert grey[mask > 0].mean() > grey[mask == 0].mean() + 0.1
            left = bool(mask[0, :, :32].any())
            assert allowed.tolist() == [left, not left, False, False]
    assert grafted > 10


def test_slices_are_also_patched_without_a_change_of_what_is_right() -> None:
    patched = 0
    for out in drawn():
        same = (out.allowed == BATCH.allowed).all(1)
        patched += int((changed(BATCH.grey, out.grey) & same).sum())
        assert torch.equal(out.masks[same], BATCH.masks[same])
    assert patched > 10


def test_a_tumour_on_the_middle_line_is_never_covered_with_itself() -> None:
    middle = slices_of([3] * 8, [(28, 28)] * 8)
    for out in drawn(batch=middle):
        assert torch.equal(out.allowed, middle.allowed)
        assert torch.equal(out.masks, middle.masks)


def test_slices_whose_outline_is_not_known_keep_label_and_tumour() -> None:
    unknown = BATCH._replace(known=torch.zeros(16, dtype=torch.bool))
    for out in drawn(batch=unknown):
        assert torch.equal(out.grey, BATCH.grey)
        assert torch.equal(out.allowed, BATCH.allowed)


def test_a_tumour_that_reaches_beyond_its_outline_is_never_covered() -> None:
    infiltrating = BATCH._replace(bounded=torch.zeros(16, dtype=torch.bool))
    for out in drawn(batch=infiltrating):
        assert (out.masks.flatten(1).any(1) | ~BATCH.masks.flatten(1).any(1)).all()


def test_a_tumour_on_the_middle_line_is_covered_with_tissue_of_the_likest_slice() -> None:
    tilted = slices_of([3, 3, 1, 1] * 2, [(28, 28), (28, 28), (6, 6), (50, 50)] * 2)
    upright = torch.tensor([False, True] * 4).view(-1, 1, 1, 1)
    steep = torch.where(tilted.masks > 0, 1.0, torch.linspace(0.1, 0.8, SIDE).expand_as(tilted.grey))
    shown = tilted._replace(grey=torch.where(upright, steep.transpose(2, 3), steep))
    covered = 0
    for out in (graft(shown, 1.0, ABSENT, torch.Generator().manual_seed(seed), alike=True) for seed in range(12)):
        lost = shown.masks.flatten(1).any(1) & ~out.masks.flatten(1).any(1)
        covered += int(lost.sum())
        assert out.allowed[lost][:, ABSENT].all()
        assert (out.grey[lost] < 0.9).all()
        for grey, before, along in zip(out.grey[lost], shown.grey[lost], upright[lost], strict=True):
            seen = grey.transpose(1, 2) if along.item() else grey
            place = (before.transpose(1, 2) if along.item() else before) > 0.9
            assert seen[place].view(8, 8).diff(dim=1).mean() > 0.005
            assert seen[place].view(8, 8).diff(dim=0).abs().mean() < 0.001
    assert covered > 10


def test_without_a_slice_alike_no_tumour_is_covered() -> None:
    alone = slices_of([3, 3], [(28, 28), (28, 28)])
    for seed in range(12):
        out = graft(alone, 1.0, ABSENT, torch.Generator().manual_seed(seed), alike=True)
        assert torch.equal(out.masks, alone.masks)
        assert torch.equal(out.allowed, alone.allowed)
