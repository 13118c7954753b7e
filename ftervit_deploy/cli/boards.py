"""`ftervit boards`: what can be built for, and everything about one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from .output import Output, bold, output_options, table

if TYPE_CHECKING:
    from ..boards import Board

_MEBIBYTE = 1 << 20


@click.command()
@click.argument("name", required=False)
@output_options
@click.pass_obj
def boards(output: Output, /, name: str | None) -> None:
    """List the boards, or show everything about the board NAME (or a .toml file of your own).

    Boards of your own are found in the folder that FTERVIT_BOARDS names, and in boards/ beside
    ftervit.toml.
    """
    if name is not None:
        board = _checked(name)
        output.result(_everything(board), lambda: _details(board))
        return
    listed, broken = _listed()
    for entry in broken:
        output.note(f"Left out: {entry['error']}")
    output.result({"boards": listed, "broken": broken}, lambda: _overview(listed))


def _checked(name: str) -> Board:
    """A board with its [defaults] checked as settings.

    Raises:
        ConfigError: there is none, or its file is wrong.
    """
    from ..boards import read_board_files
    from ..config import check_board_files, folders_of_boards

    return check_board_files(read_board_files(name, folders_of_boards()))


def _listed() -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
    """A summary of each board, and the files that are wrong with the reason."""
    from ..boards import board_paths
    from ..config import folders_of_boards
    from ..errors import ConfigError

    listed, broken = [], []
    for name, path in board_paths(folders_of_boards()).items():
        try:
            listed.append(_summary(_checked(name)))
        except ConfigError as error:
            broken.append({"file": str(path), "error": str(error)})
    return listed, broken


def _summary(board: Board) -> dict[str, Any]:
    from ..boards import ChipBoard

    summary: dict[str, Any] = {
        "name": board.name,
        "description": board.description,
        "file": str(board.files[0]),
        "images": board.images,
        "chip": None,
        "flash_bytes": None,
        "psram_bytes": None,
        "psram_mode": None,
        "camera": None,
        "display": None,
        "console": None,
        "verified": None,
    }
    if isinstance(board, ChipBoard):
        psram, camera, display = board.psram, board.camera, board.display
        summary |= {
            "chip": board.chip.name,
            "flash_bytes": board.flash.size_bytes,
            "psram_bytes": psram.size_bytes if psram else 0,
            "psram_mode": psram.mode if psram else None,
            "camera": camera.sensor if camera else None,
            "display": f"{display.width_px}x{display.height_px}" if display else None,
            "console": board.console.kind,
            "verified": board.verified,
        }
    return summary


def _overview(listed: list[dict[str, Any]]) -> str:
    headings = ["board", "chip", "flash", "PSRAM", "camera", "display", "console"]
    rows = [
        [
            board["name"],
            board["chip"] or "-",
            _size(board["flash_bytes"]),
            f"{_size(board['psram_bytes'])} {board['psram_mode'] or ''}".strip(),
            board["camera"] or "-",
            board["display"] or "-",
            board["console"] or "-",
        ]
        for board in listed
    ]
    return table(rows, headings, left=len(headings))


def _size(size_bytes: int | None) -> str:
    return f"{size_bytes // _MEBIBYTE} MB" if size_bytes else "-"


def _everything(board: Board) -> dict[str, Any]:
    from ..boards import as_json

    return as_json(board)


def _details(board: Board) -> str:
    everything = _everything(board)
    tables = {key: value for key, value in everything.items() if isinstance(value, dict)}
    plain = {key: value for key, value in everything.items() if key not in tables}
    plain["buttons"] = [_button(entry) for entry in plain.get("buttons", ())]
    sections = {"": plain, **tables}
    return "\n\n".join(_section(title, rows) for title, rows in sections.items() if rows)


def _button(entry: dict[str, Any]) -> str:
    ladder = "" if entry["adc_mv"] is None else f" at {entry['adc_mv']} mV"
    return f"{entry['name']} (GPIO{entry['pin']}{ladder})"


def _section(title: str, content: dict[str, Any]) -> str:
    rows = [[f"  {key}" if title else key, text] for key, text in _lines(content)]
    return (f"{bold(title)}\n" if title else "") + table(rows, left=2)


def _lines(content: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """One line for each value; absent ones are left out."""
    lines: list[tuple[str, str]] = []
    for key, value in content.items():
        if value is None or value == () or value == []:
            continue
        if isinstance(value, dict):
            lines += _lines(value, f"{prefix}{key}.")
        elif isinstance(value, (list, tuple)) and value and isinstance(value[0], dict):
            lines += [(f"{prefix}{key}", _write(entry)) for entry in value]
        else:
            lines.append((f"{prefix}{key}", _shown(key, value)))
    return lines


def _write(entry: dict[str, Any]) -> str:
    """A register write of an I2C sequence."""
    mask = "" if entry["mask"] == 0xFF else f" (mask {entry['mask']:#04x})"
    pause = f", then {entry['delay_ms']} ms" if entry["delay_ms"] else ""
    target = f"{entry['device']} {entry['address']:#04x} [{entry['register']:#04x}]"
    return f"{target} = {entry['value']:#04x}{mask}{pause}: {entry['purpose']}"


def _shown(key: str, value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ", ".join(str(entry) for entry in value)
    if key.endswith("_offset"):
        return f"{value:#x}"
    if key.endswith(("_bytes", "_hz")):
        return f"{value:,}"
    return str(value)
