"""Augmentation does what its settings say, and the same again from the same generator."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason='install PyTorch: pip install "ftervit[train]"')

from ftervit_deploy.architecture import Preprocessing  # noqa: E402
from ftervit_deploy.errors import ConfigError  # noqa: E402
from ftervit_deploy.train.augment import (  # noqa: E402
    STRENGTHS,
    Augmentation,
    augment,
    augmentation_named,
    mix,
    normalise,
    weakened,
)


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _images(count: int = 8, size: int = 18) -> torch.Tensor:
    return torch.randint(0, 256, (count, 3, size, size), generator=_generator(9), dtype=torch.uint8)


def test_none_is_a_plain_resize() -> None:
    images = _images(size=16)
    pixels = augment(images, 16, STRENGTHS["none"], 1.0, _generator())
    torch.testing.assert_close(pixels, images / 255, atol=1e-5, rtol=0)


@pytest.mark.parametrize("strength", STRENGTHS)
def test_results_are_pixels_and_repeat_from_the_same_generator(strength: str) -> None:
    first, again, other = (augment(_images(), 16, STRENGTHS[strength], 0.9, _generator(s)) for s in (1, 1, 2))
    assert first.shape == (8, 3, 16, 16)
    assert 0 <= first.min() <= first.max() <= 1
    assert torch.equal(first, again)
    assert strength == "none" or not torch.equal(first, other)


def test_flip_alone_mirrors_about_half_of_the_images() -> None:
    images = _images(200, 8)
    pixels = augment(images, 8, Augmentation(flip=0.5), 1.0, _generator())
    plain = images / 255
    mirrored = [torch.allclose(p, i.flip(-1), atol=1e-5) for p, i in zip(pixels, plain, strict=True)]
    same = [torch.allclose(p, i, atol=1e-5) for p, i in zip(pixels, plain, strict=True)]
    assert 70 < sum(mirrored) < 130
    assert sum(mirrored) + sum(same) == 200


def test_grey_alone_leaves_no_colour() -> None:
    pixels = augment(_images(), 18, Augmentation(grey=1.0), 1.0, _generator())
    torch.testing.assert_close(pixels[:, 0], pixels[:, 1])
    torch.testing.assert_close(pixels[:, 0], pixels[:, 2])


def test_erasing_touches_a_rectangle_only() -> None:
    images = _images(size=16)
    pixels = augment(images, 16, Augmentation(erase=1.0), 1.0, _generator())
    changed = ((pixels - images / 255).abs() > 1e-4).any(dim=1)
    assert changed.flatten(1).any(dim=1).all()
    assert (changed.float().mean(dim=(1, 2)) <= 0.36).all()


@pytest.mark.parametrize("field", ["blur", "solarise"])
def test_a_share_of_the_images_is_touched(field: str) -> None:
    images = _images(200, 8)
    pixels = augment(images, 8, Augmentation(**{field: 0.3}), 1.0, _generator())
    touched = ((pixels - images / 255).abs() > 1e-4).flatten(1).any(dim=1)
    assert 30 < int(touched.sum()) < 90


def test_mixing_keeps_targets_probabilities() -> None:
    targets = torch.eye(4).repeat(2, 1)
    generator = _generator()
    for _ in range(20):
        pixels, mixed = mix(torch.rand(8, 3, 16, 16), targets, Augmentation(mix=1.0), generator)
        torch.testing.assert_close(mixed.sum(dim=1), torch.ones(8))
        assert pixels.shape == (8, 3, 16, 16)
        assert 0 <= pixels.min() <= pixels.max() <= 1


def test_cutmix_counts_pixels() -> None:
    images = torch.arange(8.0).view(8, 1, 1, 1).expand(8, 3, 16, 16)
    targets = torch.eye(8)
    generator = _generator()
    for _ in range(20):
        pixels, mixed = mix(images, targets, Augmentation(mix=1.0), generator)
        mean = (mixed * torch.arange(8.0)).sum(dim=1)
        torch.testing.assert_close(pixels[:, 0].mean(dim=(1, 2)), mean, atol=1e-4, rtol=0)


def test_a_weakened_strength_lies_between_none_and_full() -> None:
    strong = STRENGTHS["strong"]
    assert weakened(strong, 1.0) == strong
    half = weakened(strong, 0.5)
    assert half.rotation_degrees == strong.rotation_degrees / 2
    assert half.scale**2 == pytest.approx(strong.scale)
    assert half.flip == strong.flip
    assert weakened(strong, 0.0).scale == 1.0


def test_mirror_images_can_be_refused_and_unknown_names_are() -> None:
    assert augmentation_named("strong", flip=False).flip == 0
    with pytest.raises(ConfigError, match="no augmentation 'wild'"):
        augmentation_named("wild", flip=True)


def test_normalising_is_minus_mean_over_deviation() -> None:
    setting = Preprocessing(mean=(0.5, 0.25, 0.0), std=(0.5, 1.0, 2.0))
    white = torch.full((1, 3, 2, 2), 255, dtype=torch.uint8)
    assert normalise(white, setting)[0, :, 0, 0].tolist() == [1.0, 0.75, 0.5]


def _smooth(count: int, size: int) -> torch.Tensor:
    """Images in which each of the three changes shows: colours from dark to bright along one side."""
    ramp = torch.linspace(0, 255, size).expand(count, 3, size, size).clone()
    ramp[:, 1] = ramp[:, 1].flip(-1)
    ramp[:, 2, ::2] = 0
    return ramp.to(torch.uint8)


def test_three_augment_does_one_of_three_things_to_every_image() -> None:
    images = _smooth(300, 16)
    plain = images / 255
    pixels = augment(images, 16, Augmentation(one_of_three=1.0, blur_sigma=2.0), 1.0, _generator())
    grey = (pixels[:, 0] - pixels[:, 2]).abs().amax(dim=(1, 2)) < 1e-4
    solarised = torch.tensor(
        [
            torch.allclose(p, torch.where(i > 0.5, 1 - i, i), atol=1e-4)
            for p, i in zip(pixels, plain, strict=True)
        ]
    )
    same = torch.tensor([torch.allclose(p, i, atol=1e-4) for p, i in zip(pixels, plain, strict=True)])
    blurred = ~grey & ~solarised
    assert not (grey & solarised).any()
    assert int(same.sum()) < 15, "a blur of a tenth of a pixel changes nothing"
    assert all(60 < int(kind.sum()) < 140 for kind in (grey, solarised, blurred))
    means = (pixels[blurred].mean(dim=(2, 3)) - plain[blurred].mean(dim=(2, 3))).abs()
    assert means.max() < 0.02, "a blur keeps what it spreads"


def test_random_crops_show_a_part_of_what_is_there() -> None:
    size = 32
    ramp = torch.linspace(0, 255, size).expand(64, 3, size, size).to(torch.uint8)
    pixels = augment(ramp, size, Augmentation(crop_area=0.08), 1.0, _generator())
    widths = pixels[:, 0, 0, -1] - pixels[:, 0, 0, 0]
    assert 0.15 < widths.min() < 0.35
    assert 0.85 < widths.max() <= 1.0
    assert (pixels[:, 0, 0, :-1] <= pixels[:, 0, 0, 1:] + 1e-6).all(), "nothing is mirrored unasked"


def test_neighbours_are_mixed_and_no_targets_are_needed() -> None:
    images = torch.arange(7.0).view(7, 1, 1, 1).expand(7, 3, 4, 4)
    targets = torch.eye(7)
    for seed in range(20):
        mixed, shares = mix(images, targets, Augmentation(mix=1.0, mix_alpha=0.8), _generator(seed))
        assert shares is not None
        torch.testing.assert_close(mixed.mean(dim=(1, 2, 3)), shares @ torch.arange(7.0))
        pairs = {(i, i ^ 1) for i in range(6)} | {(6, 6)} | {(i, i) for i in range(6)}
        assert {tuple(index) for index in shares.nonzero().tolist()} <= pairs
        again, nothing = mix(images, None, Augmentation(mix=1.0, mix_alpha=0.8), _generator(seed))
        assert nothing is None
        assert torch.equal(again, mixed)
