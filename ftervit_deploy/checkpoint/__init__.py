"""Hub, .pth, .safetensors -> named arrays and an architecture. A checkpoint is data: it never runs code."""

from __future__ import annotations

from .contents import Checkpoint, Provenance
from .reading import read_checkpoint

__all__ = ["Checkpoint", "Provenance", "read_checkpoint"]
