"""Augmentation of whole batches with tensor operations, drawn from one explicit generator.

Geometry (rotation, scale, shear, shift, crop, flip) is one resampling; colour (brightness, contrast,
saturation, tint, grey) is one 3x3 matrix per image; blur, solarisation and erasing touch a share of
the batch. Mixing: mixup (arXiv 1710.09412) and CutMix (arXiv 1905.04899). ``three`` is the 3-Augment of
DeiT-III (arXiv 2204.07118, section 3.1).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from ..architecture import Preprocessing
from ..errors import ConfigError
from .sharing import Part, whole

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
        mix_alpha: both parameters of the Beta distribution of mixup's shares; 1 is uniform.
        one_of_three: probability per image of exactly one of grey, solarisation and blur, beside theirs.
        blur_sigma: standard deviations of that blur, pixels, are uniform from 0.1 to this.
        crop_area: smallest share of the field of view that a random crop of aspect 3/4 to 4/3 shows
            (RandomResizedCrop); 1 crops nothing.
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
    mix_alpha: float = 1.0
    one_of_three: float = 0.0
    blur_sigma: float = 1.0
    crop_area: float = 1.0


def weakened(setting: Augmentation, share: float) -> Augmentation:
    """`setting` with every extent but mirror images reduced to `share` of it, 0 to 1."""
    weak = {field.name: getattr(setting, field.name) * share for field in fields(setting)}
    kept = {name: getattr(setting, name) for name in ("flip", "erase_share", "mix_alpha", "blur_sigma")}
    kept |= {"scale": setting.scale**share, "crop_area": setting.crop_area**share}
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
    "three": Augmentation(
        shift=4 / 224, flip=0.5, brightness=0.3, contrast=0.3, saturation=0.3,
        one_of_three=1.0, blur_sigma=2.0, mix=1.0, mix_alpha=0.8,
    ),
    "three-crop": Augmentation(
        flip=0.5, brightness=0.3, contrast=0.3, saturation=0.3, crop_area=0.08,
        one_of_three=1.0, blur_sigma=2.0, mix=1.0, mix_alpha=0.8,
    ),
}  # fmt: skip
"""What `--augment` names. ``three`` is 3-Augment with DeiT-III's simple random crop (4 pixels of 224 either
way), ``three-crop`` the same with crops of any size, as DeiT-III uses where overfitting is no danger."""


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
    """Random numbers of one batch from an explicit generator, on the CPU, moved to `device`.

    They are drawn for the whole batch; those of `part` come back.
    """

    def __init__(self, generator: torch.Generator, part: Part, device: torch.device) -> None:
        self.generator, self.part, self.device = generator, part, device

    def uniform(self, low: float, high: float, *shape: int) -> Tensor:
        """Float [B, *shape] in low..high."""
        values = torch.rand(self.part.count, *shape, generator=self.generator)[self.part.rows]
        return (values * (high - low) + low).to(self.device)

    def chosen(self, probability: float) -> Tensor:
        """Indices of the images that are picked, each with `probability`: int64 [n]."""
        picked = torch.rand(self.part.count, generator=self.generator)[self.part.rows] < probability
        return picked.nonzero().flatten().to(self.device)

    def beta(self, alpha: float) -> float:
        """A number from the distribution Beta(alpha, alpha)."""
        seed = int(torch.randint(2**31, (), generator=self.generator))
        return float(np.random.default_rng(seed).beta(alpha, alpha))

    def one(self) -> float:
        """A number in 0..1."""
        return float(torch.rand((), generator=self.generator))


def augment(
    images: Tensor,
    size: int,
    setting: Augmentation,
    crop_fraction: float,
    generator: torch.Generator,
    part: Part | None = None,
) -> Tensor:
    """Randomly changed copies of a batch.

    Args:
        images: uint8 [B, 3, S, S], the whole field of view.
        size: side of the result, pixels.
        setting: extents of the changes.
        crop_fraction: share of the field of view that an unchanged result shows.
        generator: a CPU generator; the only source of randomness.
        part: which images of a larger batch these are; None: all of them.

    Returns:
        float [B, 3, size, size], pixels in 0..1.
    """
    draw = Draw(generator, part or whole(len(images)), images.device)
    pixels = _resample(images.float().div_(255.0), size, setting, crop_fraction, draw)
    pixels = _recolour(pixels, setting, draw)
    if setting.blur:
        pixels = _blur(pixels, draw.chosen(setting.blur))
    if setting.solarise:
        pixels = _solarise(pixels, draw.chosen(setting.solarise))
    if setting.one_of_three:
        pixels = _one_of_three(pixels, setting, draw)
    if setting.erase:
        pixels = _erase(pixels, setting, draw)
    return pixels


def _resample(pixels: Tensor, size: int, setting: Augmentation, crop_fraction: float, draw: Draw) -> Tensor:
    """Rotation, shear, scale, shift and flip in one bilinear resampling; edges are continued."""
    angle = draw.uniform(-1, 1) * math.radians(setting.rotation_degrees)
    shear = torch.tan(draw.uniform(-1, 1) * math.radians(setting.shear_degrees))
    zoom = crop_fraction * torch.exp(draw.uniform(-1, 1) * math.log(setting.scale))
    if setting.crop_area < 1.0:
        return _resample_crops(pixels, size, setting, draw)
    mirror = torch.where(draw.uniform(0, 1) < setting.flip, -1.0, 1.0)
    shift = draw.uniform(-2 * setting.shift, 2 * setting.shift, 2)
    cos, sin = torch.cos(angle) * zoom, torch.sin(angle) * zoom
    row_x = torch.stack([cos * mirror, cos * shear - sin, shift[:, 0]], dim=1)
    row_y = torch.stack([sin * mirror, sin * shear + cos, shift[:, 1]], dim=1)
    theta = torch.stack([row_x, row_y], dim=1)
    grid = F.affine_grid(theta, [len(pixels), 3, size, size], align_corners=False)
    return F.grid_sample(pixels, grid, mode="bilinear", padding_mode="border", align_corners=False)


def _resample_crops(pixels: Tensor, size: int, setting: Augmentation, draw: Draw) -> Tensor:
    """Crops of random area, aspect 3/4 to 4/3 and place within the field of view, half of them mirrored."""
    area = draw.uniform(setting.crop_area, 1.0)
    aspect = torch.exp(draw.uniform(-1, 1) * math.log(4 / 3))
    sides = torch.stack([(area * aspect).sqrt(), (area / aspect).sqrt()], dim=1).clamp_(max=1.0)
    centre = draw.uniform(-1, 1, 2) * (1 - sides)
    mirror = torch.where(draw.uniform(0, 1) < setting.flip, -1.0, 1.0)
    zero = torch.zeros_like(mirror)
    row_x = torch.stack([sides[:, 0] * mirror, zero, centre[:, 0]], dim=1)
    row_y = torch.stack([zero, sides[:, 1], centre[:, 1]], dim=1)
    grid = F.affine_grid(
        torch.stack([row_x, row_y], dim=1), [len(pixels), 3, size, size], align_corners=False
    )
    return F.grid_sample(pixels, grid, mode="bilinear", padding_mode="border", align_corners=False)


def _one_of_three(pixels: Tensor, setting: Augmentation, draw: Draw) -> Tensor:
    """Grey, solarisation or Gaussian blur, one of them, each as likely."""
    which = draw.uniform(0, 3 / setting.one_of_three)
    sigmas = draw.uniform(0.1, setting.blur_sigma)
    grey, solarised, blurred = (((which >= n) & (which < n + 1)).nonzero().flatten() for n in range(3))
    weights = torch.tensor(_GREY, device=pixels.device).view(1, 3, 1, 1)
    pixels[grey] = (pixels[grey] * weights).sum(dim=1, keepdim=True).expand(-1, 3, -1, -1)
    pixels = _solarise(pixels, solarised)
    return _gaussian_blur(pixels, blurred, sigmas[blurred])


def _solarise(pixels: Tensor, chosen: Tensor) -> Tensor:
    """Bright pixels of the images at `chosen` turned into dark ones."""
    bright = pixels[chosen]
    pixels[chosen] = torch.where(bright > 0.5, 1.0 - bright, bright)
    return pixels


def _gaussian_blur(pixels: Tensor, chosen: Tensor, sigmas: Tensor) -> Tensor:
    """A Gaussian blur of the images at `chosen`, each with its own of `sigmas`, pixels."""
    count, side = len(chosen), pixels.shape[-1]
    if not count:
        return pixels
    radius = min(6, side - 1)
    offsets = torch.arange(-radius, radius + 1, device=pixels.device)
    kernels = torch.softmax(-(offsets**2) / (2 * sigmas.view(-1, 1) ** 2), dim=1)
    kernels = kernels.repeat_interleave(3, dim=0)
    some = F.pad(pixels[chosen], (radius,) * 4, mode="reflect").view(1, 3 * count, side + 2 * radius, -1)
    some = F.conv2d(some, kernels.view(3 * count, 1, 1, -1), groups=3 * count)
    some = F.conv2d(some, kernels.view(3 * count, 1, -1, 1), groups=3 * count)
    pixels[chosen] = some.view(count, 3, side, side)
    return pixels


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
    pixels: Tensor,
    targets: Tensor | None,
    setting: Augmentation,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor | None]:
    """Mix neighbours of a batch, whose order is random, by mixup or CutMix, with probability `setting.mix`.

    Args:
        pixels: float [B, 3, H, W].
        targets: float [B, classes], probabilities; None where nobody asks for them.
        setting: its `mix` is the probability.
        generator: a CPU generator; the only source of randomness.

    Returns:
        The two, mixed in the same proportion.
    """
    draw = Draw(generator, whole(1), pixels.device)
    if draw.one() >= setting.mix:
        return pixels, targets
    neighbours = torch.arange(len(pixels), device=pixels.device) ^ 1
    neighbours.clamp_(max=len(pixels) - 1)
    if draw.one() < 0.5:
        share = draw.beta(setting.mix_alpha)
        return torch.lerp(pixels[neighbours], pixels, share), _lerped(targets, neighbours, share)
    side = math.sqrt(draw.one())
    sides = torch.full((1, 2), side, device=pixels.device)
    mask = _rectangles(pixels.shape[-1], sides, draw.uniform(0, 1, 2))
    kept = 1.0 - float(mask.float().mean())
    return torch.where(mask, pixels[neighbours], pixels), _lerped(targets, neighbours, kept)


def _lerped(targets: Tensor | None, neighbours: Tensor, share: float) -> Tensor | None:
    return None if targets is None else torch.lerp(targets[neighbours], targets, share)
