"""What a chip says of itself before anything is written, and what a project needs of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import FlashError
from ..project import Manifest
from .espimage import ANY_REVISION, EspImage

_PSRAM_IN_PACKAGE = {
    1: (8 << 20, "octal"),
    2: (2 << 20, "quad"),
    3: (16 << 20, "octal"),
    4: (4 << 20, None),
}
"""Bytes and mode by the ESP32-S3's eFuse PSRAM_CAP; its datasheet's table of variants has the modes."""
_SECURITY = {
    "SECURE_DOWNLOAD_ENABLE": "secure download mode is on",
    "SECURE_BOOT_EN": "secure boot is on",
}


@dataclass(frozen=True)
class ChipFacts:
    """A chip and its memories; None where the chip cannot tell.

    Attributes:
        chip: ESP-IDF's target name, e.g. ``esp32s3``.
        chip_id: Espressif's number of it, as in an image's header.
        description: in Espressif's words, with package and revision.
        revision: 100 × major + minor.
        flash_bytes: size that the flash's JEDEC id says.
        flash_is_octal: eFuse FLASH_TYPE.
        psram_bytes, psram_mode: of PSRAM within the chip's package.
    """

    chip: str
    chip_id: int
    description: str
    revision: int
    flash_bytes: int | None
    flash_is_octal: bool | None
    psram_bytes: int | None
    psram_mode: str | None


def target_name(esp: Any) -> str:
    """ESP-IDF's name of a chip that esptool found."""
    return str(esp.CHIP_NAME).lower().replace("-", "")


def security_sentence(info: dict[str, Any]) -> str | None:
    """Why a chip must not be flashed with plain images; None: it may.

    Args:
        info: what esptool's get_security_info returns.
    """
    flags = info["parsed_flags"]
    reasons = [words for flag, words in _SECURITY.items() if flags.get(flag)]
    if bin(info["flash_crypt_cnt"]).count("1") % 2:
        reasons.append("flash encryption is on")
    return " and ".join(reasons) if reasons else None


def read_facts(esp: Any) -> ChipFacts:
    """Ask a chip whose flash is attached."""
    from esptool.cmds import detect_flash_size

    size = detect_flash_size(esp)
    flash_type = esp.flash_type()
    psram = _PSRAM_IN_PACKAGE.get(_psram_cap(esp), (None, None))
    return ChipFacts(
        chip=target_name(esp),
        chip_id=int(esp.IMAGE_CHIP_ID),
        description=str(esp.get_chip_description()),
        revision=int(esp.get_chip_revision()),
        flash_bytes=_bytes_of(size),
        flash_is_octal=None if flash_type is None else bool(flash_type),
        psram_bytes=psram[0],
        psram_mode=psram[1],
    )


def _psram_cap(esp: Any) -> int:
    return int(esp.get_psram_cap()) if hasattr(esp, "get_psram_cap") else 0


def _bytes_of(size: str | None) -> int | None:
    """Bytes of a size in esptool's words, e.g. ``8MB``."""
    from esptool.util import flash_size_bytes

    return None if size is None else int(flash_size_bytes(size))


def check_facts(facts: ChipFacts, manifest: Manifest, images: Mapping[str, EspImage]) -> None:
    """The board must be one that the project was built for.

    Raises:
        FlashError: it is another.
    """
    for what in _contradictions(facts, manifest, images):
        raise FlashError(
            f"{what}.",
            f"Take that board, or run `ftervit build --board NAME` for this one, not {manifest.board}.",
        )


def _contradictions(facts: ChipFacts, manifest: Manifest, images: Mapping[str, EspImage]) -> Iterator[str]:
    if facts.flash_bytes is not None and facts.flash_bytes < manifest.flash_bytes:
        yield (
            f"The board's flash has {_mib(facts.flash_bytes)}, "
            f"and the project needs the {_mib(manifest.flash_bytes)} of {manifest.board}"
        )
    needs_octal = manifest.flash_mode == "opi"
    if facts.flash_is_octal is not None and facts.flash_is_octal != needs_octal:
        has, needs = _octal(facts.flash_is_octal), _octal(needs_octal)
        yield f"The board's flash is {has}, and the project reads it as {needs}, as on {manifest.board}"
    yield from _psram_contradictions(facts, manifest)
    for name, image in images.items():
        yield from _image_contradictions(name, image, facts)


def _psram_contradictions(facts: ChipFacts, manifest: Manifest) -> Iterator[str]:
    if not manifest.psram_bytes or facts.psram_bytes is None:
        return
    if facts.psram_mode is not None and facts.psram_mode != manifest.psram_mode:
        yield (
            f"The chip's PSRAM is {facts.psram_mode} ({_mib(facts.psram_bytes)}), "
            f"and the project needs {manifest.psram_mode} PSRAM, as on {manifest.board}"
        )
    if facts.psram_bytes < manifest.psram_bytes:
        yield (
            f"The chip's PSRAM has {_mib(facts.psram_bytes)}, "
            f"and the project needs the {_mib(manifest.psram_bytes)} of {manifest.board}"
        )


def _image_contradictions(name: str, image: EspImage, facts: ChipFacts) -> Iterator[str]:
    if image.chip_id != facts.chip_id:
        yield f"The project's {name} is for another chip than {facts.chip}"
    elif not image.min_revision <= facts.revision <= image.max_revision:
        most = "" if image.max_revision == ANY_REVISION else f" to {_revision(image.max_revision)}"
        yield (
            f"The chip is revision {_revision(facts.revision)}, "
            f"and the project's {name} needs {_revision(image.min_revision)}{most or ' or later'}"
        )


def untold(facts: ChipFacts, manifest: Manifest) -> Iterator[str]:
    """What could not be checked, in words."""
    if facts.flash_bytes is None:
        yield "The flash does not tell its size: it is taken to be the board's."
    if manifest.psram_bytes and facts.psram_bytes is None:
        yield "No PSRAM is in the chip's package, and one beside it cannot be asked: taken to be the board's."
    elif manifest.psram_bytes and facts.psram_mode is None:
        yield "The chip does not tell whether its PSRAM is quad or octal: taken to be the board's."


def _mib(size_bytes: int) -> str:
    return f"{size_bytes / (1 << 20):g} MB"


def _octal(octal: bool) -> str:
    return "octal" if octal else "quad"


def _revision(number: int) -> str:
    return f"v{number // 100}.{number % 100}"
