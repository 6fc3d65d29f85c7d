import pytest
import torch
from torch import Tensor

from training.augmentconfig import AugmentConfig
from training.data.augment import GROUND, augment, cut_label, invert, match_histograms, mix, move, shade
from training.data.graft import Sample
from training.data.phantom import draw_phantom

STILL = AugmentConfig(
    mirror=0, rotation=0, shift=0, zoom=0, stretch=0, gamma=0, contrast=0, remap=0, blur=0, noise=0
)  # fmt: skip
INVERTED = STILL.model_copy(update={"invert": 0.999999})


def heads(size: int = 40) -> Tensor:
    drawn = [draw_phantom("glioma", (size, size), seed) for seed in range(6)]
    return torch.stack(
        [torch.frombuffer(bytearray(head.tobytes()), dtype=torch.uint8).view(size, size) for head in drawn]
    )


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def augmented(slices: Tensor, size: int, config: AugmentConfig, generator: torch.Generator) -> Tensor:
    """Slices (N, H, W) uint8 to (N, size, size) in 0–255, of whose labels and outlines nothing is known."""
    nothing = torch.zeros(len(slices), 1, dtype=torch.bool)
    flags = nothing[:, 0]
    batch = Sample(slices.unsqueeze(1), torch.zeros_like(slices).unsqueeze(1), nothing, known=flags, bounded=flags)
    return augment(batch, size, config, absent=0, generator=generator).grey.squeeze(1) * 255


def outlined(grey: Tensor, masks: Tensor) -> Sample:
    """Gliomas (N, 1, h, w) whose outlines are known and where they end."""
    always = torch.ones(len(grey), dtype=torch.bool)
    return Sample(grey, masks, torch.eye(4)[[0] * len(grey)].bool(), known=always, bounded=always)


@pytest.mark.parametrize("size", [24, 32, 40])
def test_slices_come_out_at_the_size_asked_within_the_grey_range(size: int) -> None:
    out = augmented(heads(), size, AugmentConfig(noise=0.5), seeded(1))
    assert out.shape == (6, size, size)
    assert out.dtype == torch.float32
    assert out.min() >= 0
    assert out.max() <= 255


def test_the_generator_alone_decides() -> None:
    first = augmented(heads(), 32, AugmentConfig(), seeded(1))
    torch.rand(5)
    assert torch.equal(first, augmented(heads(), 32, AugmentConfig(), seeded(1)))
    assert not torch.equal(first, augmented(heads(), 32, AugmentConfig(), seeded(2)))


def test_with_every_knob_at_zero_nothing_changes() -> None:
    out = augmented(heads(), 40, STILL, seeded(1))
    torch.testing.assert_close(out, heads().float(), atol=0.51, rtol=0)


def test_a_certain_mirror_is_a_mirror() -> None:
    out = augmented(heads(), 40, STILL.model_copy(update={"mirror": 0.999999}), seeded(1))
    torch.testing.assert_close(out, heads().flip(-1).float(), atol=0.51, rtol=0)


def test_each_slice_is_turned_by_one_of_the_angles() -> None:
    slices = torch.cat([heads()] * 4)
    out = augmented(slices, 40, STILL.model_copy(update={"angles": (90.0, 180.0)}), seeded(1))
    turns = [torch.rot90(slices.float(), times, (1, 2)) for times in (1, 2, 3)]
    near = torch.stack([(out - turned).abs().amax(dim=(1, 2)) < 1 for turned in turns])
    half, quarter = near[1], near[0] | near[2]
    assert (half ^ quarter).all()
    assert half.any()
    assert quarter.any()
    assert not (near[0].any() and near[2].any())


def test_slices_of_a_batch_move_differently() -> None:
    out = augmented(heads()[:1].expand(4, -1, -1), 32, AugmentConfig(), seeded(1))
    assert all(not torch.equal(out[0], other) for other in out[1:])


def test_the_ground_stays_dark() -> None:
    out = augmented(heads(), 32, AugmentConfig(noise=0), seeded(3))
    assert out[:, 0, 0].max() <= 0.05 * 255 + 1


def test_an_inverted_slice_has_its_tissue_turned_over_its_ground_black_and_its_tumour_bright() -> None:
    ramp = torch.linspace(0, 1, 60).expand(8, 1, 60, 60)
    masks = torch.zeros_like(ramp)
    masks[:, :, 20:40, 20:40] = 1
    shown = invert(outlined(ramp, masks), INVERTED, 0, seeded(1)).grey
    assert shown[ramp <= GROUND].max() <= GROUND
    assert shown[:, 0, 24:36, 24:36].mean((1, 2)).min() > 0.65
    tissue = shown[:, 0, 0, 20:]
    turned, kept = (tissue.diff(dim=1) <= 0).all(dim=1), (tissue == ramp[:, 0, 0, 20:]).all(dim=1)
    assert (turned ^ kept).all()
    assert 0 < int(turned.sum()) < 8
    assert (shown[turned, 0, 0, 20] - shown[turned, 0, 0, -1]).min() > 0.2


def test_slices_are_inverted_by_their_share() -> None:
    ramp = torch.linspace(0, 1, 40).expand(200, 1, 40, 40)
    masks = torch.zeros_like(ramp)
    masks[:, :, 4:9, 4:9] = 1
    sample = outlined(ramp, masks)
    shown = invert(sample, STILL.model_copy(update={"invert": 0.3}), 0, seeded(1)).grey
    assert 35 < int((shown != ramp).flatten(1).any(dim=1).sum()) < 85
    assert invert(sample, STILL, 0, seeded(1)) is sample


@pytest.mark.parametrize(
    ("open_", "absent", "right"),
    [
        (True, 2, [[1, 1, 0, 1], [0, 0, 1, 0], [1, 1, 1, 1]]),
        (False, 2, [[1, 0, 0, 0], [0, 0, 1, 0], [1, 1, 1, 1]]),
        (True, None, [[1, 0, 0, 0], [0, 0, 1, 0], [1, 1, 1, 1]]),
    ],
)
def test_the_type_of_a_tumour_shown_bright_may_be_left_open(
    *, open_: bool, absent: int | None, right: list[list[int]]
) -> None:
    allowed = torch.tensor([[1, 0, 0, 0], [0, 0, 1, 0], [1, 1, 1, 1]]).bool()
    sample = outlined(torch.rand(3, 1, 20, 20), torch.zeros(3, 1, 20, 20))._replace(allowed=allowed)
    shown = invert(sample, INVERTED.model_copy(update={"invert_open": open_}), absent, seeded(1))
    assert torch.equal(shown.allowed, torch.tensor(right).bool())


def test_the_type_stays_where_a_slice_is_shown_as_it_is() -> None:
    sample = outlined(torch.rand(200, 1, 8, 8), torch.zeros(200, 1, 8, 8))
    shown = invert(sample, STILL.model_copy(update={"invert": 0.3, "invert_open": True}), 2, seeded(1))
    changed = (shown.grey != sample.grey).flatten(1).any(dim=1)
    opened = shown.allowed.sum(dim=1) == 3
    assert 35 < int(opened.sum()) < 85
    assert opened[changed].all()


def test_without_mixing_nothing_changes() -> None:
    slices, allowed = heads().float(), torch.eye(6, 4).bool()
    mixed, partners, share = mix(slices, allowed, AugmentConfig())
    assert torch.equal(mixed, slices)
    assert torch.equal(partners, allowed)
    assert share == 1


def test_a_mixed_slice_holds_both_partners_by_their_share() -> None:
    slices, allowed = heads().float(), torch.eye(6, 4).bool()
    torch.manual_seed(0)
    mixed, partners, share = mix(slices, allowed, AugmentConfig(mixup=0.5))
    assert 0 < share < 1
    assert torch.equal(partners, allowed.flip(0))
    torch.testing.assert_close(mixed[0], share * slices[0] + (1 - share) * slices[5])


def test_a_slice_holds_a_rectangle_of_its_partner_by_the_share_that_is_told() -> None:
    slices, allowed = heads().float(), torch.eye(6, 4).bool()
    slices += torch.arange(6)[:, None, None] + 300.0 * torch.arange(6)[:, None, None]
    torch.manual_seed(0)
    for _ in range(20):
        mixed, partners, share = mix(slices, allowed, AugmentConfig(cutmix=1.0))
        pasted = mixed[0] == slices[5]
        assert torch.equal(partners, allowed.flip(0))
        assert float(pasted.float().mean()) == pytest.approx(1 - share)
        assert torch.equal(mixed[0], torch.where(pasted, slices[5], slices[0]))
        assert torch.equal(pasted, pasted.any(dim=1)[:, None] & pasted.any(dim=0))
    assert 0 < share < 1


def test_a_matched_slice_has_the_grey_levels_of_another_one() -> None:
    grey = heads().unsqueeze(1).float() / 255
    batch = torch.cat([grey[:1], grey[1:2] * 0.4])
    config = STILL.model_copy(update={"match": 0.999999})
    matched = next(out for seed in range(9) if (out := match_histograms(batch, config, seeded(seed)))[0].max() < 0.6)
    assert float(matched[0].max()) == pytest.approx(float(batch[1].max()), abs=0.02)
    assert float(matched[1].max()) == pytest.approx(float(batch[0].max()), abs=0.02)
    order = batch[0][batch[0] > GROUND].argsort()
    assert (matched[0][batch[0] > GROUND][order].diff() >= 0).all()
    assert torch.equal(matched[batch <= GROUND], batch[batch <= GROUND])


def test_shading_is_smooth_and_bounded() -> None:
    shaded = shade(torch.ones(4, 1, 64, 64), STILL.model_copy(update={"bias": 0.3}), seeded(1))
    assert shaded.log().abs().max() < 0.45
    assert shaded.std() > 0.05
    assert (shaded[..., 1:] - shaded[..., :-1]).abs().max() < 0.05


def test_a_cut_beside_the_tumour_shows_none_and_one_through_it_proves_nothing() -> None:
    nothing, allowed = torch.zeros(5, 1, 8, 8), torch.eye(4)[[1, 1, 1, 2, 0]].bool()
    known, bounded = torch.ones(5, dtype=torch.bool), torch.tensor([True, True, True, True, False])
    sample = Sample(nothing, nothing, allowed, known, bounded)
    out = cut_label(sample, torch.tensor([0.0, 0.3, 0.9, 0.0, 0.0]), absent=2)
    assert out.allowed.tolist() == [
        [False, False, True, False],
        [True, True, True, True],
        [False, True, False, False],
        [False, False, True, False],
        [True, True, True, True],
    ]


def test_only_slices_whose_outline_is_known_are_cut() -> None:
    grey = torch.cat([heads(), heads()]).unsqueeze(1).float() / 255
    both = torch.cat([grey, (grey > 0.8).float()], dim=1)
    config = STILL.model_copy(update={"cut": 0.999999})
    cuttable = torch.arange(12) < 6
    cuts = [move(both, 40, config, seeded(seed), cuttable=cuttable) for seed in range(5)]
    moved, visible = cuts[0]
    torch.testing.assert_close(moved[6:], both[6:], atol=1e-3, rtol=0)
    torch.testing.assert_close(visible[6:], torch.ones(6), atol=0.02, rtol=0)
    assert not torch.allclose(moved[:6], both[:6], atol=0.1)
    assert min(float(left[:6].min()) for _, left in cuts) < 0.9
