"""Records `ftervit virtual` and `ftervit monitor` as pictures: display.png and monitor.svg in this folder.

Runs the real commands, the monitor in a pseudo-terminal under a terminal emulator. Needs pyte beside ftervit:
``pip install pyte``, then ``python examples/virtual/record.py``.
"""

from __future__ import annotations

import contextlib
import fcntl
import html
import os
import pty
import select
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import pyte
from PIL import Image

HERE = Path(__file__).parent
PORT = "socket://127.0.0.1:5555"
COLUMNS, ROWS = 72, 9
SECONDS, EVERY_S = 8.0, 0.4
CELL_W, CELL_H, MARGIN = 8.4, 18, 14
COLOURS = {
    "default": "#d8dee9", "black": "#4c566a", "red": "#e06c75", "green": "#98c379", "brown": "#e5c07b",
    "blue": "#61afef", "magenta": "#c678dd", "cyan": "#56b6c2", "white": "#eceff4",
}  # fmt: skip
Line = list[tuple[str, str, bool]]
"""Runs of equal looks: text, colour, bold."""


def ftervit(*arguments: str) -> list[str]:
    """The command line of a command."""
    return [sys.executable, "-m", "ftervit_deploy", *arguments]


@contextlib.contextmanager
def virtual_board(display: Path) -> Iterator[None]:
    """A virtual board on PORT, its display in a folder."""
    command = ftervit("virtual", "--tcp", "5555", "--display", str(display), "--fps", "4")
    board = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        assert board.stdout is not None
        assert board.stdout.readline().decode().strip() == PORT
        yield
    finally:
        board.terminate()
        board.wait()


def screens() -> Iterator[tuple[float, list[Line]]]:
    """What the monitor shows, at its time in seconds, whenever it changed."""
    process, terminal = pty.fork()
    if process == 0:
        os.environ.update(TERM="xterm-256color", COLUMNS=str(COLUMNS), LINES=str(ROWS))
        os.execvp(sys.executable, ftervit("monitor", "--port", PORT, "--seconds", str(SECONDS)))
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    screen = pyte.Screen(COLUMNS, ROWS)
    stream, started, shown, last = pyte.ByteStream(screen), 0.0, 0.0, []
    while True:
        if select.select([terminal], [], [], 0.05)[0]:
            try:
                stream.feed(os.read(terminal, 65536))
            except OSError:
                break
        now = time.monotonic()
        lines = [runs(screen, row) for row in range(ROWS)]
        if any(lines) and lines != last and now - shown >= EVERY_S:
            started = started or now
            shown, last = now, lines
            yield now - started, lines
    os.waitpid(process, 0)


def runs(screen: pyte.Screen, row: int) -> Line:
    """A row of the screen, without the spaces at its end."""
    cells = [screen.buffer[row][column] for column in range(COLUMNS)]
    while cells and cells[-1].data == " ":
        cells.pop()
    looks = groupby(cells, key=lambda cell: (cell.fg, cell.bold))
    return [("".join(cell.data for cell in run), fg, bold) for (fg, bold), run in looks]


def colour(name: str) -> str:
    """Of pyte's names of colours, for CSS."""
    return COLOURS.get(name.removeprefix("bright"), f"#{name}" if len(name) == 6 else COLOURS["default"])


def svg_text(lines: list[Line]) -> str:
    """One screen as text elements."""
    parts = []
    for row, line in enumerate(lines):
        column = 0
        for text, fg, bold in line:
            if text.strip():
                x, y = MARGIN + column * CELL_W, MARGIN + (row + 1) * CELL_H - 4
                weight = ' font-weight="bold"' if bold else ""
                parts.append(
                    f'<text x="{x:.1f}" y="{y}" fill="{colour(fg)}"{weight} xml:space="preserve" '
                    f'textLength="{len(text) * CELL_W:.1f}">{html.escape(text)}</text>'
                )
            column += len(text)
    return "".join(parts)


def svg(frames: list[tuple[float, list[Line]]]) -> str:
    """One picture; CSS shows one frame after the other, or the last one where motion is not wanted."""
    width, height = int(2 * MARGIN + COLUMNS * CELL_W), 2 * MARGIN + ROWS * CELL_H
    total = frames[-1][0] + 2.0
    ends = [start for start, _ in frames[1:]] + [total]
    rules, groups = [], []
    for index, ((start, lines), end) in enumerate(zip(frames, ends, strict=True)):
        a, b = 100 * start / total, 100 * end / total
        before = f"0%,{a - 0.01:.2f}%{{opacity:0}}" if index else ""
        after = f"{b:.2f}%,100%{{opacity:0}}" if b < 100 else ""
        rules.append(f"@keyframes f{index}{{{before}{a:.2f}%,{min(b - 0.01, 100):.2f}%{{opacity:1}}{after}}}")
        rules.append(f"#f{index}{{opacity:0;animation:f{index} {total:.2f}s step-end infinite}}")
        groups.append(f'<g id="f{index}">{svg_text(lines)}</g>')
    last, size = len(frames) - 1, f'width="{width}" height="{height}"'
    still = f"@media (prefers-reduced-motion){{g{{animation:none!important}}#f{last}{{opacity:1}}}}"
    style = (
        "text{font:14px ui-monospace,Menlo,Consolas,'DejaVu Sans Mono',monospace}" + "".join(rules) + still
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" {size}>'
        f"<title>ftervit monitor watching a virtual board</title><style>{style}</style>"
        f'<rect width="{width}" height="{height}" rx="8" fill="#1e222a"/>{"".join(groups)}</svg>\n'
    )


def display_pictures(folder: Path) -> Iterator[Image.Image]:
    """The display's first screen, and the next that is another one."""
    path, seen = folder / "display.png", b""
    while True:
        with contextlib.suppress(OSError, SyntaxError):
            picture = Image.open(path).convert("RGB")
            if picture.tobytes() != seen:
                seen = picture.tobytes()
                yield picture
        time.sleep(0.01)


def main() -> None:
    """Records both."""
    with tempfile.TemporaryDirectory() as folder, virtual_board(Path(folder)):
        pictures = display_pictures(Path(folder))
        frames = list(screens())
        prediction = next(pictures)
    (HERE / "monitor.svg").write_text(svg(frames))
    prediction.resize((480, 480), Image.Resampling.NEAREST).save(HERE / "display.png", optimize=True)


if __name__ == "__main__":
    main()
