"""The C engine of c_runtime/ in this process, through ctypes.

The engine equals `reference.forward` to the last bit; c_runtime/include/ftv.h describes what is called here.
"""

from __future__ import annotations

import ctypes
import functools
import mmap
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import POINTER, c_char_p, c_int, c_size_t, c_uint32, c_void_p
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from . import resources
from .architecture import Architecture, Preprocessing
from .errors import EngineError, ImageFormatError
from .image import read_info

Pixels = npt.NDArray[np.uint8]
Logits = npt.NDArray[np.int32]
Site = tuple[str, int]
"""Name of a site (ftv.h, ftv_site, in lower case) and the block, -1 outside blocks."""

MAX_THREADS = 64
ALIGN = 16
"""Bytes; of an image and of an arena (FTV_ALIGN)."""

SITES = {
    1: "patch_codes", 2: "embedded", 3: "norm1_codes", 5: "attention_codes", 6: "proj_residual",
    7: "norm2_codes", 8: "hidden_codes", 9: "fc2_residual", 10: "norm_codes", 11: "logits",
}  # fmt: skip
"""Names by number."""
SITE_NUMBERS = {name: number for number, name in SITES.items()}
_NO_BLOCK = 0xFFFF
_FORMAT_STATUSES = {
    -3: "FTV_ERR_TRUNCATED", -4: "FTV_ERR_MAGIC", -5: "FTV_ERR_VERSION", -6: "FTV_ERR_LENGTH",
    -7: "FTV_ERR_HASH", -8: "FTV_ERR_ENCODING", -9: "FTV_ERR_ARCHITECTURE", -10: "FTV_ERR_SCALE",
    -11: "FTV_ERR_PADDING", -12: "FTV_ERR_TABLE", -13: "FTV_ERR_TEXT", -14: "FTV_ERR_CODE",
}  # fmt: skip
_TRACE = ctypes.CFUNCTYPE(None, c_void_p, c_int, c_uint32, c_void_p, c_uint32, c_uint32, c_uint32, c_uint32)


class _Options(ctypes.Structure):
    """ftv_options."""

    _fields_ = (
        ("kernels", c_void_p), ("parallel", c_void_p), ("trace", _TRACE), ("trace_context", c_void_p),
        ("plan", c_void_p), ("far", c_void_p), ("far_bytes", c_size_t), ("spare", c_void_p),
        ("spare_bytes", c_size_t),
    )  # fmt: skip


class Engine:
    """A model ready to run; not a copy of the image, which is mapped and read in place.

    Use it as a context manager, or call `close`. Threads may share an engine; one image runs at a time.

    Args:
        image: path of a `.ftv` file, or its bytes.
        threads: workers, at most 64; None or 0: one for each core that this process may use.
        kernels: one of `available_kernels()`, None: the first of them; they give the same logits.

    Attributes:
        architecture, preprocessing, labels: as packed.
        kernels: name of the set of kernels.
        arena_bytes: working memory that one run needs.

    Raises:
        ImageFormatError: the image violates c_runtime/IMAGE_FORMAT.md.
        EngineError: the file cannot be read, or the engine is not built.
    """

    architecture: Architecture
    preprocessing: Preprocessing
    labels: tuple[str, ...]
    kernels: str
    arena_bytes: int

    def __init__(
        self, image: str | os.PathLike[str] | bytes, threads: int | None = None, kernels: str | None = None
    ):
        self._pool: _Pool | None = None
        self._lock = threading.Lock()
        self._library = load_library()
        self._image = _aligned_copy(image) if isinstance(image, bytes) else _map_file(Path(image))
        self._model = ctypes.create_string_buffer(self._library.ftv_model_bytes())
        _check(self._library, self._library.ftv_open(self._model, self._image.ctypes.data, self._image.size))
        info = read_info(self._image)
        self.architecture, self.labels = info.header.architecture, info.labels
        self.preprocessing = info.meta.preprocessing
        self.kernels, self._kernels = _kernels_address(kernels)
        self._threads = _thread_count(threads)
        self._pool = _Pool(self._library, self._threads)
        self.arena_bytes = int(self._library.ftv_arena_bytes(self._model, ctypes.byref(self._options())))
        self._arena = _aligned(self.arena_bytes)
        self._batch_arena = _aligned(0)

    def logits(self, pixels: Pixels) -> Logits:
        """Runs a batch: as many images as there are threads at a time, those left over on all threads each.

        Args:
            pixels: uint8 [N, image_size, image_size, 3], RGB.

        Returns:
            int32 [N, classes], Q16: value / 65536.

        Raises:
            EngineError: pixels of another shape or type.
        """
        batch = self._checked(pixels)
        out = np.empty((len(batch), self.architecture.classes), np.int32)
        together = len(batch) - len(batch) % self._threads if self._threads > 1 else 0
        if together:
            self._run_together(batch[:together], out[:together])
        for image, row in zip(batch[together:], out[together:], strict=True):
            self._run(image, row, _TRACE())
        return out

    def trace(self, pixels: Pixels) -> dict[Site, npt.NDArray[Any]]:
        """Intermediate values of one image, int8 or int32, at every site of ftv.h.

        Args:
            pixels: uint8 [image_size, image_size, 3], RGB.
        """
        pieces: dict[Site, list[npt.NDArray[Any]]] = {}

        def keep(
            _: int, site: int, block: int, data: int, rows: int, columns: int, size: int, stride: int
        ) -> None:
            name = (SITES[site], -1 if block == _NO_BLOCK else block)
            pieces.setdefault(name, []).append(_rows_at(data, rows, columns, size, stride))

        (image,) = self._checked(pixels[None])
        self._run(image, np.empty(self.architecture.classes, np.int32), _TRACE(keep))
        return {name: np.concatenate(parts) for name, parts in pieces.items()}

    def close(self) -> None:
        """Ends the threads and lets go of the image."""
        with self._lock:
            if self._pool is not None:
                self._pool.close()
            self._pool = None
            self._image = self._arena = self._batch_arena = np.empty(0, np.uint8)

    def __enter__(self) -> Engine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_pool", None) is not None:
            self.close()

    def _checked(self, pixels: Pixels) -> Pixels:
        side = self.architecture.image_size
        if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[1:] != (side, side, 3):
            raise EngineError(
                f"The engine was given {pixels.dtype} pixels of shape {pixels.shape}.",
                f"This model takes uint8 [N, {side}, {side}, 3].",
            )
        return np.ascontiguousarray(pixels)

    def _options(self, trace: Any = None) -> _Options:
        if self._pool is None:
            raise EngineError("This engine is closed.")
        return _Options(self._kernels, self._pool.address(), trace or _TRACE(), None, None, None, 0, None, 0)

    def _run(self, image: Pixels, logits: Logits, trace: Any) -> None:
        with self._lock:
            status = self._library.ftv_run(
                self._model, ctypes.byref(self._options(trace)), image.ctypes.data, logits.ctypes.data,
                self._arena.ctypes.data, self._arena.size,
            )  # fmt: skip
        _check(self._library, status)

    def _run_together(self, images: Pixels, logits: Logits) -> None:
        """One image for each thread, in an arena of its own."""
        with self._lock:
            pool = self._options().parallel
            if not self._batch_arena.size:
                size = self._library.ftv_batch_arena_bytes(self._model, self._kernels, self._threads)
                self._batch_arena = _aligned(size)
            status = self._library.ftv_run_batch(
                self._model, self._kernels, pool, images.ctypes.data, len(images), logits.ctypes.data,
                self._batch_arena.ctypes.data, self._batch_arena.size,
            )  # fmt: skip
        _check(self._library, status)


def available_kernels() -> tuple[str, ...]:
    """Names of the sets of kernels that this CPU can run, fastest first; the last three are ``portable``,
    ``scalar`` and ``ref``.

    Raises:
        EngineError: the engine is not built.
    """
    return tuple(name for name, _ in _kernels_of(load_library()))


def kernels_address(name: str) -> int:
    """Address of the `ftv_kernels` of that name.

    Raises:
        EngineError: this CPU cannot run such a set.
    """
    return _kernels_address(name)[1]


@contextmanager
def thread_pool(threads: int | None) -> Iterator[int]:
    """Address of an `ftv_parallel` with so many workers; None or 0: one for each core.

    Raises:
        EngineError: an impossible number, or the computer cannot start them.
    """
    pool = _Pool(load_library(), _thread_count(threads))
    try:
        yield pool.address()
    finally:
        pool.close()


class _Pool:
    """A thread pool of c_runtime/host/; made anew in a forked process, where no thread survives."""

    def __init__(self, library: ctypes.CDLL, threads: int):
        self._library, self._threads = library, threads
        self._process, self._address = 0, 0

    def address(self) -> int:
        if self._process != os.getpid():
            self._address = self._library.ftv_threads_create(self._threads) or 0
            self._process = os.getpid()
        if not self._address:
            raise EngineError(f"The computer cannot start {self._threads} threads.", "Use fewer threads.")
        return self._address

    def close(self) -> None:
        if self._address and self._process == os.getpid():
            self._library.ftv_threads_destroy(self._address)
        self._address = self._process = 0


def _thread_count(threads: int | None) -> int:
    if threads is not None and threads < 0:
        raise EngineError(f"{threads} threads are impossible.", "Use 0 for one per core.")
    return min(threads or _cores(), MAX_THREADS)


def _cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _map_file(path: Path) -> Pixels:
    """The file's bytes, mapped read-only; pages are 16-byte aligned."""
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size == 0:
                raise ImageFormatError("FTV_ERR_TRUNCATED", f"{path} is empty.", "Pack the model again.")
            return np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), np.uint8)
    except FileNotFoundError:
        raise EngineError(f"There is no image {path}.", "Make one with `ftervit pack`.") from None
    except OSError as error:
        raise EngineError(f"{path} cannot be read: {error.strerror}.", "Name another image.") from error


def _aligned_copy(data: bytes) -> Pixels:
    copy = _aligned(len(data))
    copy[:] = np.frombuffer(data, np.uint8)
    return copy


def _aligned(size: int) -> Pixels:
    """Uint8 [size], 16-byte aligned."""
    memory = np.empty(size + ALIGN, np.uint8)
    start = -memory.ctypes.data % ALIGN
    return memory[start : start + size]


def _rows_at(data: int, rows: int, columns: int, size: int, stride: int) -> npt.NDArray[Any]:
    """A copy of `rows` rows of `columns` values at an address."""
    dtype = np.dtype(np.int8 if size == 1 else np.int32)
    raw = np.frombuffer(ctypes.string_at(data, (rows - 1) * stride + columns * size), dtype)
    return np.lib.stride_tricks.as_strided(raw, (rows, columns), (stride, size)).copy()


def _check(library: ctypes.CDLL, status: int) -> None:
    if status == 0:
        return
    text = library.ftv_status_text(status).decode()
    if status in _FORMAT_STATUSES:
        raise ImageFormatError(_FORMAT_STATUSES[status], text, "Pack the model again or download it again.")
    raise EngineError(text)


def _kernels_of(library: ctypes.CDLL) -> list[tuple[str, int]]:
    """Names and addresses of the sets that this CPU can run; a set starts with a pointer to its name."""
    found: list[tuple[str, int]] = []
    while address := library.ftv_host_kernels(len(found)):
        name = c_char_p.from_address(address).value or b""
        found.append((name.decode(), address))
    return found


def _kernels_address(name: str | None) -> tuple[str, int]:
    sets = _kernels_of(load_library())
    chosen = next((item for item in sets if name in (None, item[0])), None)
    if chosen is None:
        known = ", ".join(item[0] for item in sets)
        raise EngineError(f"There are no kernels {name!r} for this CPU.", f"There are: {known}.")
    return chosen


@functools.cache
def load_library() -> ctypes.CDLL:
    """The C engine of this package.

    Raises:
        EngineError: there is none, or it is of another version.
    """
    path = resources.native_library()
    try:
        library = ctypes.CDLL(str(path))
        _declare(library)
    except (OSError, AttributeError) as error:
        raise EngineError(
            f"{path} is no C engine of this version: {error}.", "Install the package again."
        ) from error
    return library


def _declare(library: ctypes.CDLL) -> None:
    """The signatures of ftv.h and of host/."""
    options = POINTER(_Options)
    for name, result, arguments in (
        ("ftv_model_bytes", c_size_t, ()),
        ("ftv_open", c_int, (c_void_p, c_void_p, c_size_t)),
        ("ftv_status_text", c_char_p, (c_int,)),
        ("ftv_arena_bytes", c_size_t, (c_void_p, options)),
        ("ftv_run", c_int, (c_void_p, options, c_void_p, c_void_p, c_void_p, c_size_t)),
        ("ftv_host_kernels", c_void_p, (c_uint32,)),
        ("ftv_batch_arena_bytes", c_size_t, (c_void_p, c_void_p, c_uint32)),
        ("ftv_run_batch", c_int, (*(c_void_p,) * 4, c_uint32, c_void_p, c_void_p, c_size_t)),
        ("ftv_dense_row", c_uint32, (c_uint32,)),
        ("ftv_dense_bytes", c_size_t, (c_uint32,)),
        ("ftv_dense_tile", None, (c_void_p, c_uint32, c_uint32)),
        ("ftv_bench_layer_bytes", c_size_t, (c_void_p, c_void_p)),
        ("ftv_bench_layer", None, (c_void_p, c_void_p, c_void_p, c_void_p, c_size_t)),
        ("ftv_threads_create", c_void_p, (c_uint32,)),
        ("ftv_threads_destroy", None, (c_void_p,)),
    ):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
