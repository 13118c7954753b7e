"""The proof that a board computes what this computer computes: every logit, bit for bit."""

from __future__ import annotations

import binascii
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .engine import SITE_NUMBERS, Engine, Site
from .errors import LinkError
from .link import BoardError, BoardInfo, ErrorCode, Inference, Link, SiteRecord

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Verdict:
    """One image on board and host.

    Attributes:
        different: how many logits differ; 0 is what should be.
        classes: how many there are.
        first_site: the first site whose values differ, by digests; None where none does, or the
            board cannot tell.
        repeatable: False where the second run gave other logits than the first.
        board_us: microseconds that the board took.
    """

    different: int
    classes: int
    board_us: int
    first_site: Site | None = None
    repeatable: bool = True

    @property
    def identical(self) -> bool:
        """True if every logit, and every site that was compared, is the host's."""
        return not self.different and self.first_site is None


def check_same_model(info: BoardInfo, content_sha256: str, image: str) -> None:
    """That the board runs the image whose header holds `content_sha256`.

    Raises:
        LinkError: it has none, or another.
    """
    if info.model is None:
        raise LinkError(f"The board has no valid model ({info.model_error}).", "Flash a model.")
    if info.model.sha256 != content_sha256:
        raise LinkError(
            f"The board runs another model than {image} "
            f"({info.model.sha256[:12]} instead of {content_sha256[:12]}).",
            "Name the image that was flashed, or flash this one.",
        )


def verify_image(link: Link, engine: Engine, pixels: Pixels, digests: bool = False) -> Verdict:
    """Run one image on both.

    Args:
        pixels: uint8 [image_size, image_size, 3], RGB.
        digests: compare every site even where the logits agree.

    Raises:
        LinkError: the line or the board fails, or lacks the digests that were asked for.
    """
    expected = engine.logits(pixels[None])[0]
    found = link.infer(pixels, digests=digests)
    if found.logits.shape != expected.shape:
        raise LinkError(f"The board gives {found.logits.size} logits instead of {expected.size}.")
    different = int((found.logits != expected).sum())
    again = _with_digests(link, pixels) if different and not digests else found
    return Verdict(
        different=different,
        classes=expected.size,
        board_us=found.microseconds,
        first_site=first_difference(engine, pixels, again.sites) if again.sites else None,
        repeatable=bool((again.logits == found.logits).all()),
    )


def _with_digests(link: Link, pixels: Pixels) -> Inference:
    """The same image again; without digests where the board has none."""
    try:
        return link.infer(pixels, digests=True)
    except BoardError as error:
        if error.code != ErrorCode.ABSENT:
            raise
        return link.infer(pixels)


def first_difference(engine: Engine, pixels: Pixels, sites: tuple[SiteRecord, ...]) -> Site | None:
    """The first site where a board's digests are not the host's; None if all agree."""
    digests = {(record.site, record.block): record.crc32 for record in sites}
    for (name, block), values in engine.trace(pixels).items():
        if digests.get((SITE_NUMBERS[name], block)) != binascii.crc32(values.tobytes()):
            return name, block
    return None


def random_pixels(image_size: int, seed: int) -> Pixels:
    """An image of noise, uint8 [image_size, image_size, 3]; the same for the same seed."""
    return np.random.default_rng(seed).integers(0, 256, (image_size, image_size, 3), np.uint8)
