"""Instructions of the C around the ESP32-S3's assembly, as counted in an emulator: boards/EVIDENCE.md."""

from __future__ import annotations

from ..image.layout import TILE
from ..plan import AttendCall, Call, LayerCall, NormCall, PatchCall, QkvCall, QuantiseCall

LAYER = {"store": 100, "add": 100, "activate": 235}
LAYER_TILE = {"store": 371, "add": 371, "activate": 365}
PER_CHANNEL = 71
"""More of a tile, where each channel has a multiplier of its own."""
LAYER_TOKEN = 5
RUN = {"store": 92, "add": 92, "activate": 103}
"""A call of the linear assembly: a tile, and as many tokens as its records have room for."""
RUN_TOKENS = {"store": 98, "add": 18, "activate": 98}
RUN_SEARCHED = 8
"""More, where a sum may not fit 16 bits and is searched for."""
ALWAYS_EXACT = 258
"""Inputs up to which every sum fits."""

QKV, QKV_TILE = 97, 323
PART = {"q": 150, "k": 169, "v": 213}
PART_TILE = 80
PART_TOKENS = 16
KEY_PADDING = 1
"""A byte of K's last part beyond the last token: rows are copied until it is whole, a word at a time."""

ATTEND, ATTEND_KEY, ATTEND_KEY_PADDING, ATTEND_ROW, ATTEND_FOUR_ROWS = 905, 17, 6, 107, 28
NORM, QUANTISE, EMBED, PATCHES, PATCHES_PATCH = 207, 90, 73, 74, 128
NORM_ROW, LEFT_OUT = 14, 13
"""Where channels are left out of LayerNorm's rows: of each row, and of each such channel of it. Read off the
compiled loop, not counted."""


def glue_instructions(call: Call) -> int:
    """Of one call that goes to assembly."""
    if isinstance(call, LayerCall):
        return _layer(call)
    if isinstance(call, QkvCall):
        return _qkv(call)
    if isinstance(call, AttendCall):
        keys = ATTEND_KEY * call.tokens + ATTEND_KEY_PADDING * (-call.tokens % TILE)
        return ATTEND + keys + ATTEND_ROW * call.rows + ATTEND_FOUR_ROWS * -(-call.rows // 4)
    if isinstance(call, PatchCall):
        return PATCHES + PATCHES_PATCH * call.patches
    if isinstance(call, NormCall):
        return NORM + (call.rows * (NORM_ROW + LEFT_OUT * call.left_out) if call.left_out else 0)
    return QUANTISE if isinstance(call, QuantiseCall) else EMBED


def _layer(call: LayerCall) -> int:
    runs = -(-call.tokens // RUN_TOKENS[call.output])
    tile = LAYER_TILE[call.output] + PER_CHANNEL * call.per_channel + runs * _run(call.output, call.inputs)
    return LAYER[call.output] + LAYER_TOKEN * call.tokens + call.tiles * tile


def _run(output: str, inputs: int) -> int:
    return RUN[output] + (RUN_SEARCHED if inputs > ALWAYS_EXACT else 0)


def _qkv(call: QkvCall) -> int:
    tiles = -(-call.head_dim // TILE)
    part = PART[call.part] + tiles * (PART_TILE + _run("store", call.inputs))
    padding = KEY_PADDING * TILE * tiles * (-call.tokens % PART_TOKENS) if call.part == "k" else 0
    once = QKV + (QKV_TILE + PER_CHANNEL * call.per_channel) * tiles + LAYER_TOKEN * call.tokens
    return once + part * -(-call.tokens // PART_TOKENS) + padding
