"""The names that a torch checkpoint may mention, and what each one gives: inert data, never a call.

Mirrors the allowlist of `torch.load(weights_only=True)`, less sparse, quantised and nested tensors.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..errors import CheckpointError
from .tensors import NUMPY_DTYPES, Storage, StridedTensor


@dataclass(frozen=True)
class Name:
    """A global that a pickle mentioned, as text; nothing is imported."""

    path: str


@dataclass(frozen=True)
class Opaque:
    """A value that nobody here needs, such as a NumPy scalar among training statistics."""

    path: str


class Attributes(dict[str, Any]):
    """The attributes of an `argparse.Namespace`."""


MAX_KEY_DEPTH, MAX_KEY_ITEMS = 8, 4096

STORAGE_DTYPES = {
    "DoubleStorage": "float64", "FloatStorage": "float32", "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16", "LongStorage": "int64", "IntStorage": "int32",
    "ShortStorage": "int16", "CharStorage": "int8", "ByteStorage": "uint8", "BoolStorage": "bool",
    "ComplexFloatStorage": "complex64", "ComplexDoubleStorage": "complex128",
}  # fmt: skip

UNTYPED = "untyped"
"""The dtype of a storage whose values get their type from the tensor (`_rebuild_tensor_v3`)."""

DTYPE_NAMES = frozenset(f"torch.{name}" for name in [*NUMPY_DTYPES, "complex32"])
TENSOR_TYPES = frozenset({"torch.Tensor", "torch.nn.parameter.Parameter", "torch._tensor.Tensor"})


def storage_dtype(kind: object) -> str | None:
    """The dtype of a storage class, ``untyped``, or None if `kind` is no storage class."""
    if not isinstance(kind, Name):
        return None
    if kind.path == "torch.storage.UntypedStorage":
        return UNTYPED
    module, _, name = kind.path.rpartition(".")
    return STORAGE_DTYPES.get(name) if module == "torch" else None


def hashable(key: Any) -> Any:
    """The key itself, if hashing it costs little: nested tuples can be too deep, or too wide by sharing.

    Raises:
        CheckpointError: it does not.
        TypeError: it has no hash.
    """
    scalars = (str, bytes, int, float, complex, type(None), Name, StridedTensor)
    level, items = [key], 1
    for _ in range(MAX_KEY_DEPTH):
        if not all(isinstance(item, (*scalars, tuple)) for item in level):
            raise TypeError("a key without a hash")
        tuples = [item for item in level if isinstance(item, tuple)]
        items += sum(map(len, tuples))
        if not tuples:
            return key
        if items > MAX_KEY_ITEMS:
            break
        level = [item for items_of in tuples for item in items_of]
    raise CheckpointError("The checkpoint has a key of absurd depth or size.")


def _tensor(storage: Any, offset: Any, size: Any, stride: Any, *_rest: Any) -> StridedTensor:
    if not isinstance(storage, Storage) or not isinstance(size, tuple) or not isinstance(stride, tuple):
        raise TypeError("a tensor without storage, size or stride")
    if storage.dtype == UNTYPED:
        raise TypeError("a tensor without a type")
    return StridedTensor(storage, offset, size, stride)


def _tensor_v2(storage: Any, offset: Any, size: Any, stride: Any, *rest: Any) -> StridedTensor:
    if len(rest) > 2 and rest[2]:
        raise CheckpointError("A tensor is a lazily conjugated or negated view.", "Save its resolved values.")
    return _tensor(storage, offset, size, stride)


def _tensor_v3(
    storage: Any, offset: Any, size: Any, stride: Any, _grad: Any, _hooks: Any, dtype: Any, *rest: Any
) -> StridedTensor:
    name = dtype.path.rpartition(".")[2] if isinstance(dtype, Name) else ""
    if name not in NUMPY_DTYPES:
        raise CheckpointError(f"A tensor has the type {name or 'nothing'}, which is not supported.")
    return _tensor_v2(_typed(storage, name), offset, size, stride, None, None, *rest)


def _typed(storage: Any, dtype: str) -> Storage:
    """An untyped storage read as `dtype`; its `load` takes the dtype's name."""
    if not isinstance(storage, UntypedStorage):
        raise TypeError("a tensor without storage")
    return storage.typed(dtype)


@dataclass(frozen=True, eq=False)
class UntypedStorage:
    """Bytes whose type the tensor states.

    Attributes:
        typed: gives the storage of a dtype over the same bytes.
    """

    typed: Callable[[str], Storage]


def _parameter(data: Any, *_rest: Any) -> StridedTensor:
    if not isinstance(data, StridedTensor):
        raise TypeError("a parameter without a tensor")
    return data


def _from_type(function: Any, kind: Any, args: Any, _state: Any) -> Any:
    """A tensor that carries attributes, which are dropped."""
    if not isinstance(function, Name) or not isinstance(kind, Name) or kind.path not in TENSOR_TYPES:
        raise CheckpointError("A tensor subclass is not supported.", "Save plain tensors.")
    if function.path not in TENSOR_CALLS:
        raise CheckpointError(f"The checkpoint wants to call {function.path}; refused.")
    return TENSOR_CALLS[function.path](*args)


def _encode(text: str, encoding: str) -> bytes:
    """How pickle writes bytes under protocol 2."""
    if encoding not in ("latin1", "latin-1"):
        raise CheckpointError("The checkpoint wants an unusual text encoding; refused.")
    return text.encode("latin-1")


def _byte_array(*args: Any) -> bytearray:
    if not args:
        return bytearray()
    return bytearray(_encode(*args) if isinstance(args[0], str) else bytes(memoryview(args[0])))


def _bytes(*args: Any) -> bytes:
    if any(isinstance(argument, int) for argument in args):
        raise TypeError("bytes made of a length")
    return bytes(*args)


def _dict(items: Any = ()) -> dict[Any, Any]:
    pairs = items.items() if isinstance(items, dict) else items
    return {hashable(key): value for key, value in pairs}


def _set(items: Any = ()) -> set[Any]:
    return {hashable(item) for item in items}


def _device(kind: str, *index: int) -> str:
    return ":".join([str(kind), *(str(int(number)) for number in index)])


def _opaque(path: str) -> Callable[..., Opaque]:
    return lambda *_args: Opaque(path)


TENSOR_CALLS: dict[str, Callable[..., Any]] = {
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor_v2,
    "torch._utils._rebuild_tensor_v3": _tensor_v3,
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_parameter_with_state": _parameter,
}

CALLS: dict[str, Callable[..., Any]] = {
    **TENSOR_CALLS,
    "torch._tensor._rebuild_from_type_v2": _from_type,
    "torch.Size": tuple,
    "torch.device": _device,
    "torch.serialization._get_layout": lambda name: Name(str(name)),
    "collections.OrderedDict": _dict,
    "collections.Counter": _dict,
    "builtins.set": _set,
    "builtins.complex": complex,
    "builtins.bytearray": _byte_array,
    "builtins.bytes": _bytes,
    "_codecs.encode": _encode,
    "argparse.Namespace": Attributes,
    "numpy.dtype": _opaque("numpy.dtype"),
    "numpy.core.multiarray.scalar": _opaque("numpy.scalar"),
    "numpy._core.multiarray.scalar": _opaque("numpy.scalar"),
}
"""What a pickle may call, with our stand-in for each; the stand-ins only rearrange their arguments."""

CREATES = frozenset({"collections.OrderedDict", "collections.Counter", "argparse.Namespace"})
"""Classes of which a pickle may create an empty instance."""

MENTIONS = frozenset(
    {
        *CALLS, *DTYPE_NAMES, *TENSOR_TYPES, "torch.storage.UntypedStorage",
        *(f"torch.{name}" for name in STORAGE_DTYPES),
    }
)  # fmt: skip
"""Every name that a pickle may mention."""


def named(module: str, name: str) -> Name:
    """The inert name of a global.

    Raises:
        CheckpointError: a checkpoint has no business with it.
    """
    module = "builtins" if module == "__builtin__" else module
    path = f"{module}.{name}"
    if path not in MENTIONS:
        raise CheckpointError(
            f"The checkpoint wants to call {path[:200]!s}; refused, because a checkpoint is data and never "
            "runs code.",
            "Save only the weights: torch.save(model.state_dict(), path).",
        )
    return Name(path)
