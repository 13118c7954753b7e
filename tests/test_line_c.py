"""The board's end of the line: compilers' warnings, what it may use, and a short run of its fuzz target."""

from __future__ import annotations

import random
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from c_compiler import ROOT, RUNTIME, WARNINGS
from fuzz_target import fuzz
from line_board import ENGINE_SOURCES, FLAGS, LINE_INCLUDE, LINE_SOURCES, POSIX_SOURCES

from ftervit_deploy.link import Frame, encode_frame

INCLUDES = (f"-I{RUNTIME / 'include'}", f"-I{RUNTIME / 'src'}", LINE_INCLUDE)
PACKAGES = {"xtensa-lx106-elf-gcc": "gcc-xtensa-lx106"}


@pytest.mark.parametrize("name", ["gcc", "clang", "xtensa-lx106-elf-gcc"])
def test_the_line_compiles_without_a_warning(tmp_path: Path, name: str) -> None:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"no {name}: install {PACKAGES.get(name, name)}")
    command = (found, "-std=c11", "-O2", "-ffreestanding", *WARNINGS, *INCLUDES, "-c", *LINE_SOURCES)
    subprocess.run(command, check=True, cwd=tmp_path)


@pytest.mark.parametrize("name", ["gcc", "clang"])
def test_the_virtual_board_compiles_without_a_warning(tmp_path: Path, name: str) -> None:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"no {name}: install {name}")
    command = (found, "-std=c11", "-O2", *WARNINGS, *INCLUDES, *FLAGS, "-c", *POSIX_SOURCES)
    subprocess.run(command, check=True, cwd=tmp_path)


def test_a_smaller_frame_is_a_matter_of_one_constant(tmp_path: Path) -> None:
    found = shutil.which("gcc") or shutil.which("clang")
    if found is None:
        pytest.skip("no C compiler: install gcc")
    flags = ("-std=c11", *WARNINGS, *INCLUDES, "-DFTV_LINE_PAYLOAD_BYTES=256U")
    subprocess.run((found, *flags, "-c", *LINE_SOURCES), check=True, cwd=tmp_path)


def test_the_line_needs_nothing_but_the_compiler() -> None:
    allowed = {"ftv.h", "stddef.h", "stdint.h", "stdbool.h"}
    for path in sorted((RUNTIME / "line").glob("*.[ch]")):
        code = re.sub(r"/\*.*?\*/", "", path.read_text("utf-8"), flags=re.DOTALL)
        included = set(re.findall(r'#include [<"](.*?)[>"]', code))
        foreign = {name for name in included - allowed if not (path.parent / name).is_file()}
        assert not foreign, f"{path.name} includes {foreign}"
        used = re.findall(r"\b(?:float|double|malloc|calloc|free|printf|exit|abort)\b", code)
        assert not used, f"{path.name} uses {used}"
        statics = re.findall(r"^static (?!const\b|inline\b)[^(]*[=;]", code, flags=re.MULTILINE)
        assert not statics, f"{path.name} has globals: {statics}"


@pytest.mark.slow
def test_the_fuzzer_finds_no_bad_request(tmp_path: Path) -> None:
    fuzz(
        tmp_path, "fuzz_line", (*LINE_SOURCES, *ENGINE_SOURCES), *FLAGS, "-DFTV_NO_CLONES",
        corpus=_corpus(tmp_path / "corpus"), longest=4096,
        FTV_TINY_IMAGE=ROOT / "tests" / "golden" / "tiny_t2.ftv",
    )  # fmt: skip


def _corpus(folder: Path) -> Path:
    """Frames as they are, and the fuzzer's own records: type, id, length, payload."""
    folder.mkdir()
    draw = random.Random(3)
    run = b"\4\1\x08" + (3).to_bytes(4, "little") + bytes(4)
    gets = b"".join(bytes((3, 2, 8, kind, 0, 1, 0, 0, 0, 0, 0)) for kind in range(7))
    (folder / "records").write_bytes(b"\1\1\4\1\1\0\0" + run + gets)
    for kind in range(9):
        frame = Frame(1 if kind != 1 else 0, kind, 1, 0x1234, draw.randbytes(16))
        (folder / str(kind)).write_bytes(encode_frame(frame))
    return folder
