"""The estimate for every board, as `ftervit estimate` makes it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..boards import ChipBoard
from ..chip import chip_cycles
from ..estimate import Estimate, estimate, subject_of_image
from ..image import read_info
from .contents import BoardFit


def board_fits(name: str, image: bytes, boards: Iterable[ChipBoard]) -> tuple[BoardFit, ...]:
    """Bytes, milliseconds and millijoules of the image on each board.

    Args:
        name: of the image.
        image: its bytes.
        boards: those to estimate for; kernels of equal chips are modelled once.
    """
    subject = subject_of_image(name, read_info(image))
    a, encoding = subject.architecture, subject.matrices.encoding
    return tuple(_fit(estimate(subject, board, chip_cycles(board, a, encoding))) for board in boards)


def _fit(found: Estimate) -> BoardFit:
    board, memory, energy = found.board, found.memory, found.energy
    milliseconds = 1000 * found.seconds if found.prices and found.fits else None
    return BoardFit(
        board.name, found.problem,
        found.subject.image_bytes, found.flash.model.size if found.flash else None,
        memory.near_bytes if memory else None, board.memory.arena_bytes,
        found.far_bytes if memory else None, board.psram.size_bytes if board.psram else 0,
        milliseconds,
        energy.least_mj if energy and milliseconds else None,
        energy.most_mj if energy and milliseconds else None,
        _kinds(found) if milliseconds else (), found.kernels,
    )  # fmt: skip


def _kinds(found: Estimate) -> tuple[tuple[str, float], ...]:
    sums: dict[str, float] = {}
    for price in found.prices:
        sums[price.step.name] = sums.get(price.step.name, 0.0) + 1000 * price.seconds
    return tuple(sums.items())


def named_boards(names: Sequence[str]) -> tuple[ChipBoard, ...]:
    """Boards by name or file; without names every described one with a chip of its own, cameras first.

    Raises:
        ConfigError: a named board does not exist, is wrong, or has no chip.
    """
    from ..boards import board_paths, chip_board, load_board
    from ..config import folders_of_boards
    from ..errors import ConfigError

    folders = folders_of_boards()
    if names:
        return tuple(chip_board(load_board(name, folders)) for name in names)
    found = []
    for name in board_paths(folders):
        try:
            board = load_board(name, folders)
        except ConfigError:
            continue  # `ftervit boards` says what is wrong with it
        if isinstance(board, ChipBoard) and board.emulator is None:
            found.append(board)
    return tuple(sorted(found, key=lambda board: board.camera is None))
