"""How `ftervit build` and `ftervit deploy` show the building of firmware."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..plaintext import printable
from .output import Output, megabytes, table

if TYPE_CHECKING:
    from ..firmware import BuildError, FirmwareBuild, Listener


def run_build(project: Path, output: Output) -> FirmwareBuild:
    """Build the rendered project in the folder `project`; progress on stderr.

    Every line of the build is shown with --verbose. Ctrl-C, SIGTERM and a closed terminal end it whole.

    Raises:
        ProjectError: it does not build; the first error's lines were printed.
    """
    from ..doctor.probe import this_machine
    from ..firmware import BuildError, build_firmware
    from .ending import ending_in_order

    with ending_in_order():
        try:
            with output.bar("Building") as show:
                return build_firmware(project, this_machine(offline=True), _listener(output, show))
        except BuildError as error:
            _print_excerpt(error)
            raise


def _listener(output: Output, show: Callable[[int, int], None]) -> Listener:
    from ..firmware import Listener

    class Shown(Listener):
        def progress(self, done: int, total: int) -> None:
            show(done, total)

        def line(self, text: str) -> None:
            output.detail(printable(text))

        def note(self, text: str) -> None:
            output.note(printable(text))

    return Shown()


def _print_excerpt(error: BuildError) -> None:
    for line in error.lines:
        print(f"  {printable(line)}", file=sys.stderr)


def as_json(build: FirmwareBuild) -> dict[str, Any]:
    """The record of a build."""
    return {
        "project": str(build.project),
        "chip": build.chip,
        "esp_idf": build.espidf_version,
        "elf": str(build.elf),
        "app": str(build.app),
        "app_bytes": build.app_bytes,
        "app_partition_bytes": build.app_partition_bytes,
        "iram_bytes": build.iram_bytes,
        "dram_bytes": build.dram_bytes,
        "psram_bytes": build.psram_bytes,
        "log": str(build.log),
        "seconds": round(build.seconds, 1),
    }


def as_text(build: FirmwareBuild) -> str:
    """A line about the build and a table of memory."""
    share = f"{100 * build.app_bytes / build.app_partition_bytes:.0f} % of its partition"
    head = (
        f"{build.app}: {megabytes(build.app_bytes)}, {share} "
        f"(ESP-IDF {build.espidf_version}, {build.seconds:.0f} s)"
    )
    sizes = {
        "instructions in SRAM": build.iram_bytes,
        "data in SRAM": build.dram_bytes,
        "data in PSRAM": build.psram_bytes,
    }
    rows = [[name, f"{size:,}"] for name, size in sizes.items() if size is not None]
    return f"{head}\n\n{table(rows, ['static memory', 'bytes'])}" if rows else head
