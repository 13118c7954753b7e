"""From what people save to timm's parameter names: wrappers off, prefixes off, old names replaced."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import CheckpointError
from .tensors import StridedTensor, Tensor

WRAPPERS = (
    "model", "state_dict", "model_state_dict", "student", "student_state_dict", "net", "network",
    "module", "model_ema", "ema", "ema_state_dict", "state_dict_ema",
)  # fmt: skip
"""Keys under which training scripts put the weights. The first that is there counts, so an
exponential average serves only where the file has no plain weights."""

PREFIXES = ("module.", "_orig_mod.", "model.", "ema_model.", "backbone.")
"""What DataParallel, torch.compile and wrapping classes put before a name, alone or stacked."""

RENAMED = {"gamma_1": "ls1.gamma", "gamma_2": "ls2.gamma"}
"""LayerScale in Meta's files and in timm's."""

MAX_WRAPPERS = 4


def find_weights(contents: object) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors among the contents of a .pth, and what the file says beside them.

    Returns:
        tensors by name, and everything else on the way that is no tensor (such as ``args``).

    Raises:
        CheckpointError: there are none.
    """
    beside: dict[str, Any] = {}
    for _ in range(MAX_WRAPPERS):
        if not isinstance(contents, Mapping):
            break
        named = {key: value for key, value in contents.items() if isinstance(key, str)}
        tensors: dict[str, Tensor] = {
            key: value for key, value in named.items() if isinstance(value, StridedTensor)
        }
        wrapper = next((key for key in WRAPPERS if isinstance(named.get(key), Mapping)), None)
        if wrapper is None and tensors:
            return tensors, {**beside, **_without(named, tensors)}
        beside.update(_without(named, tensors))
        contents = named.get(wrapper) if wrapper else None
    raise CheckpointError(
        "The checkpoint holds no model weights.",
        f"Save a state_dict, bare or under one of: {', '.join(WRAPPERS[:4])}, ema.",
    )


def _without(named: dict[str, Any], tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    return {key: value for key, value in named.items() if key not in tensors}


def timm_names(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors under timm's names.

    Where a distillation saved teacher and student side by side, the student's are taken.

    Raises:
        CheckpointError: two tensors claim one name.
    """
    student = {name: value for name, value in tensors.items() if name.startswith("student.")}
    renamed: dict[str, Tensor] = {}
    for name, tensor in (student or tensors).items():
        clean = timm_name(name.removeprefix("student."))
        if clean in renamed:
            raise CheckpointError(f"The checkpoint holds the tensor {clean[:100]!r} twice.")
        renamed[clean] = tensor
    return renamed


def timm_name(name: str) -> str:
    """One name without prefixes, in today's words."""
    while prefix := next((p for p in PREFIXES if name.startswith(p)), ""):
        name = name[len(prefix) :]
    layer, dot, last = name.rpartition(".")
    return f"{layer}{dot}{RENAMED.get(last, last)}"
