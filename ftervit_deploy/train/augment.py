"""Augmentation of whole batches with tensor operations, drawn from one explicit generator.

Geometry (rotation, scale, shear, shift, flip) is one resampling; colour (brightness, contrast,
saturation, tint, grey) is one 3x3 matrix per image; blur, solarisation and erasing touch a share of
the batch. Mixing: mixup (arXiv 1710.09412) and CutMix (arXiv 1905.04899).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from ..architecture import Preprocessing
from ..errors import ConfigError

_GREY = (0.299, 0.587, 0.114)


@dataclass(frozen=True)
class Augmentation:
    """Extents of random changes; every extent is symmetric and uniform unless said otherwise.

    Attributes:
        rotation_degrees, shear_degrees: largest angle either way.
        scale: an object appears up to this factor larger or smaller (log-uniform).
        shift: largest shift as a share of the image's side.
        flip: probability of a mirror image.
        brightness, contrast, saturation, tint: largest relative change; tint is per channel.
        grey, blur, solarise, erase: probability per image.
        erase_share: largest share of the side of an erased rectangle.
        mix: probability that a batch is mixed with itself, by mixup or CutMix in equal parts.
    """

    rotation_degrees: float = 0.0
    shear_degrees: float = 0.0
    scale: float = 1.0
    shift: float = 0.0
    flip: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    tint: float = 0.0
    grey: float = 0.0
    blur: float = 0.0
    solarise: float = 0.0
    erase: float = 0.0
    erase_share: float = 0.5
    mix: float = 0.0


def weakened(setting: Augmentation, share: float) -> Augmentation:
    """`setting` with every extent but mirror images reduced to `share` of it, 0 to 1."""
    weak = {field.name: getattr(setting, field.name) * share for field in fields(setting)}
    kept = {"flip": setting.flip, "scale": setting.scale**share, "erase_share": setting.erase_share}
    return Augmentation(**{**weak, **kept})


STRENGTHS: dict[str, Augmentation] = {
    "none": Augmentation(),
    "light": Augmentation(
        rotation_degrees=10, scale=1.15, shift=0.08, flip=0.5,
        brightness=0.2, contrast=0.2, saturation=0.2, tint=0.05, mix=0.2,
    ),
    "strong": Augmentation(
        rotation_degrees=25, shear_degrees=10, scale=1.3, shift=0.12, flip=0.5,
        brightness=0.4, contrast=0.4, saturation=0.5, tint=0.15,
        grey=0.1, blur=0.1, solarise=0.05, erase=0.2, mix=0.3,
    ),
}  # fmt: skip
"""What `--augment` names."""


def augmentation_named(name: str, flip: bool) -> Augmentation:
    """The strength called `name`, without mirror images where `flip` is False.

    Raises:
        ConfigError: there is none; the message lists those that exist.
    """
    if name not in STRENGTHS:
        raise ConfigError(f"There is no augmentation {name!r}.", f"Known: {', '.join(STRENGTHS)}.")
    return STRENGTHS[name] if flip else replace(STRENGTHS[name], flip=0.0)


def normalise(images: Tensor, preprocessing: Preprocessing) -> Tensor:
    """Pixels 0..1 (float [B, 3, H, W]) or bytes (uint8) to model input: minus mean, over deviation."""
    pixels = images.float().div_(255.0) if images.dtype == torch.uint8 else images
    mean = torch.tensor(preprocessing.mean, device=images.device).view(1, 3, 1, 1)
    std = torch.tensor(preprocessing.std, device=images.device).view(1, 3, 1, 1)
    return (pixels - mean) / std


class Draw:
    """Random numbers of one batch from an explicit generator, on the CPU, moved to `device`."""

    def __init__(self, generator: torch.Generator, count: int, device: torch.device) -> None:
        self.generator, self.count, self.device = generator, count, device

    def uniform(self, low: float, high: float, *shape: int) -> Tensor:
        """Float [B, *shape] in low..high."""
        values = torch.rand(self.count, *shape, generator=self.generator)
        return (values * (high - low) + low).to(self.device)

    def chosen(self, probability: float) -> Tensor:
        """Indices of the images that are picked, each with `probability`: int64 [n]."""
        picked = torch.rand(self.count, generator=self.generator) < probability
        return picked.nonzero().flatten().to(self.device)

    def one(self) -> float:
        """A number in 0..1."""
        return float(torch.rand((), generator=self.generator))


def augment(
    images: Tensor, size: int, setting: Augmentation, crop_fraction: float, generator: torch.Generator
) -> Tensor:
    """Randomly changed copies of a batch.

    Args:
        images: uint8 [B, 3, S, S], the whole field of view.
        size: side of the result, pixels.
        setting: extents of the changes.
        crop_fraction: share of the field of view that an unchanged result shows.
        generator: a CPU generator; the only source of randomness.

    Returns:
        float [B, 3, size, size], pixels in 0..1.
    """
    draw = Draw(generator, len(images), images.device)
    pixels = _resample(images.float().div_(255.0), size, setting, crop_fraction, draw)
    pixels = _recolour(pixels, setting, draw)
    if setting.blur:
        pixels = _blur(pixels, draw.chosen(setting.blur))
    if setting.solarise:
        chosen = draw.chosen(setting.solarise)
        bright = pixels[chosen]
        pixels[chosen] = torch.where(bright > 0.5, 1.0 - bright, bright)
    if setting.erase:
        pixels = _erase(pixels, setting, draw)
    return pixels


def _resample(pixels: Tensor, size: int, setting: Augmentation, crop_fraction: float, draw: Draw) -> Tensor:
    """Rotation, shear, scale, shift and flip in one bilinear resampling; edges are continued."""
    angle = draw.uniform(-1, 1) * math.radians(setting.rotation_degrees)
    shear = torch.tan(draw.uniform(-1, 1) * math.radians(setting.shear_degrees))
    zoom = crop_fraction * torch.exp(draw.uniform(-1, 1) * math.log(setting.scale))
    mirror = torch.where(draw.uniform(0, 1) < setting.flip, -1.0, 1.0)
    shift = draw.uniform(-2 * setting.shift, 2 * setting.shift, 2)
    cos, sin = torch.cos(angle) * zoom, torch.sin(angle) * zoom
    row_x = torch.stack([cos * mirror, cos * shear - sin, shift[:, 0]], dim=1)
    row_y = torch.stack([sin * mirror, sin * shear + cos, shift[:, 1]], dim=1)
    theta = torch.stack([row_x, row_y], dim=1)
    grid = F.affine_grid(theta, [len(pixels), 3, size, size], align_corners=False)
    return F.grid_sample(pixels, grid, mode="bilinear", padding_mode="border", align_corners=False)


def _recolour(pixels: Tensor, setting: Augmentation, draw: Draw) -> Tensor:
    """Tint, saturation or grey, contrast, brightness: x' = M x + o with one M and o per image."""
    count = len(pixels)
    grey = torch.tensor(_GREY, device=pixels.device)
    tint = 1 + draw.uniform(-setting.tint, setting.tint, 3)
    saturation = 1 + draw.uniform(-setting.saturation, setting.saturation)
    saturation = torch.where(draw.uniform(0, 1) < setting.grey, torch.zeros_like(saturation), saturation)
    contrast = 1 + draw.uniform(-setting.contrast, setting.contrast)
    brightness = 1 + draw.uniform(-setting.brightness, setting.brightness)
    identity = torch.eye(3, device=pixels.device)
    mixing = saturation.view(-1, 1, 1) * identity + (1 - saturation).view(-1, 1, 1) * grey
    gain = (contrast * brightness).view(-1, 1, 1)
    matrix = gain * mixing * tint.view(-1, 1, 3)
    flat = pixels.flatten(2)
    mean_grey = (mixing * tint.view(-1, 1, 3) @ flat.mean(dim=2, keepdim=True)).transpose(1, 2) @ grey
    offset = ((1 - contrast) * brightness).view(-1, 1) * mean_grey
    return torch.baddbmm(offset.view(count, 1, 1), matrix, flat).view_as(pixels).clamp_(0.0, 1.0)


def _blur(pixels: Tensor, chosen: Tensor) -> Tensor:
    """A 5x5 binomial blur of the images at `chosen`."""
    if not len(chosen):
        return pixels
    line = torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0], device=pixels.device) / 16
    some = F.pad(pixels[chosen], (2, 2, 2, 2), mode="replicate").flatten(0, 1).unsqueeze(1)
    some = F.conv2d(F.conv2d(some, line.view(1, 1, 1, 5)), line.view(1, 1, 5, 1))
    pixels[chosen] = some.view(len(chosen), *pixels.shape[1:])
    return pixels


def _erase(pixels: Tensor, setting: Augmentation, draw: Draw) -> Tensor:
    """A rectangle of one random colour in a share of the images."""
    size = pixels.shape[-1]
    hit = draw.uniform(0, 1) < setting.erase
    mask = _rectangles(size, draw.uniform(0.1, setting.erase_share, 2), draw.uniform(0, 1, 2))
    colour = draw.uniform(0, 1, 3).view(-1, 3, 1, 1)
    return torch.where(mask & hit.view(-1, 1, 1, 1), colour, pixels)


def _rectangles(size: int, shares: Tensor, centres: Tensor) -> Tensor:
    """Masks [B, 1, size, size] of rectangles with sides `shares` about `centres`, both [B, 2] (y, x)."""
    positions = (torch.arange(size, device=shares.device) + 0.5) / size
    inside = (positions - centres.unsqueeze(2)).abs() < shares.unsqueeze(2) / 2
    return (inside[:, 0].unsqueeze(2) & inside[:, 1].unsqueeze(1)).unsqueeze(1)


def mix(
    pixels: Tensor, targets: Tensor, setting: Augmentation, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Mix a batch with itself by mixup or CutMix, with probability `setting.mix`.

    Args:
        pixels: float [B, 3, H, W].
        targets: float [B, classes], probabilities.
        setting: its `mix` is the probability.
        generator: a CPU generator; the only source of randomness.

    Returns:
        The two, mixed in the same proportion.
    """
    draw = Draw(generator, 1, pixels.device)
    if draw.one() >= setting.mix:
        return pixels, targets
    partner = torch.randperm(len(pixels), generator=generator).to(pixels.device)
    if draw.one() < 0.5:
        share = draw.one()
        return torch.lerp(pixels[partner], pixels, share), torch.lerp(targets[partner], targets, share)
    side = math.sqrt(draw.one())
    sides = torch.full((1, 2), side, device=pixels.device)
    mask = _rectangles(pixels.shape[-1], sides, draw.uniform(0, 1, 2))
    kept = 1.0 - float(mask.float().mean())
    return torch.where(mask, pixels[partner], pixels), torch.lerp(targets[partner], targets, kept)
