"""The C around the chip's assembly: what `ftervit estimate` adds for it is what was counted."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from c_compiler import ROOT, RUNTIME

from ftervit_deploy.chip.glue import (
    ALWAYS_EXACT,
    PART_TOKENS,
    RUN_TOKENS,
    glue_instructions,
)
from ftervit_deploy.image.layout import TILE
from ftervit_deploy.plan import (
    AttendCall,
    Call,
    EmbedCall,
    LayerCall,
    NormCall,
    PatchCall,
    QkvCall,
    QuantiseCall,
)

KERNELS = RUNTIME / "src" / "kernels" / "esp32s3"
ROW = re.compile(
    r"^\| ((?:layer|qkv|attend|norm|quantise|embed|patches)\b[^|]*) \| ([^|]*) \| ([^|]*) \|$", re.M
)


def call_of(what: str, many: int) -> Call:
    """The call of a row of the table, of so many tokens, rows or patches."""
    scaled = "scaled channels" in what
    if found := re.match(r"layer (\w+), (\d+) inputs, (\d+) tile", what):
        output, inputs, tiles = found.groups()
        return LayerCall(int(tiles), int(inputs), many, output, scaled)  # type: ignore[arg-type]
    if found := re.match(r"qkv (\w), (\d+) inputs, (\d+) channels", what):
        part, inputs, channels = found.groups()
        return QkvCall(part.lower(), int(inputs), many, int(channels), scaled)  # type: ignore[arg-type]
    if found := re.match(r"attend, (\d+) keys", what):
        return AttendCall(int(found[1]), many, 64)
    if what.startswith("patches"):
        return PatchCall(many, 16)
    rows = {"norm": NormCall, "quantise": QuantiseCall, "embed": EmbedCall}
    return rows[what.split(",")[0]](many, 64)


def counted() -> Iterator[tuple[Call, int]]:
    evidence = (ROOT / "boards" / "EVIDENCE.md").read_text("utf-8")
    for what, many, instructions in ROW.findall(evidence):
        numbers = [int(number.replace(",", "")) for number in instructions.split(", ")]
        for each, number in zip(many.split(", "), numbers, strict=True):
            yield call_of(what, int(each)), number


def test_every_count_is_met_within_two_per_cent() -> None:
    counts = list(counted())
    assert {type(call) for call, _ in counts} == {
        LayerCall, QkvCall, AttendCall, NormCall, QuantiseCall, EmbedCall, PatchCall,
    }  # fmt: skip
    for call, instructions in counts:
        assert glue_instructions(call) == pytest.approx(instructions, rel=0.02), call


def test_keys_beyond_the_last_are_paid_for() -> None:
    """197 tokens leave eleven places of the last part: eleven rows of 64 bytes are copied."""
    k, q = (glue_instructions(QkvCall(part, 384, 197, 64, False)) for part in ("k", "q"))
    whole_k, whole_q = (glue_instructions(QkvCall(part, 384, 208, 64, False)) for part in ("k", "q"))
    assert (k - q) - (whole_k - whole_q) == 11 * 64


def test_what_ends_a_run_or_a_part_is_what_the_c_code_says() -> None:
    layer = (KERNELS / "ftv_layer_esp32s3.c").read_text("utf-8")
    defined = {name: int(value) for name, value in re.findall(r"^#define (\w+) +(\d+)U", layer, re.M)}
    assert defined["ALWAYS_EXACT"] == ALWAYS_EXACT
    records = {"store": TILE, "add": TILE * 5, "activate": TILE}
    assert {name: defined["RECORDS"] // size - 2 for name, size in records.items()} == RUN_TOKENS
    assert "#define PART_TOKENS FTV_TILE " in (KERNELS / "ftv_qkv_esp32s3.c").read_text("utf-8")
    assert PART_TOKENS == TILE
