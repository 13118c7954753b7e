"""Backtraces in a board's log become places in the source, if the board runs the application they are of."""

from __future__ import annotations

import hashlib
import json
import socket
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from elf_files import write_elf

from ftervit_deploy.backtrace import BacktraceError, Backtraces, Place, Symbols, addresses_of
from ftervit_deploy.cli import main

posix = pytest.mark.skipif(sys.platform == "win32", reason="hardware: the stand-in for addr2line needs sh")
SHA256 = "ab" * 32
REGISTERS = "PC      : 0x42001237  PS      : 0x00060030  A0      : 0x82001264  A1      : 0x3fc92e80"
BACKTRACE = "Backtrace: 0x42001234:0x3fc92e80 0x42001261:0x3fc92ea0 |<-CORRUPTED"
OURS, OTHER = f"ELF file SHA256: {SHA256[:16]}", "ELF file SHA256: 0123456789abcdef"


def _place(address: str) -> Place:
    return Place(address, "app_main", "main.c", 3)


def _backtraces() -> Backtraces:
    def places(addresses: Sequence[str]) -> tuple[Place, ...]:
        return tuple(_place(address) for address in addresses if address.startswith("0x4"))

    return Backtraces(places, SHA256, "app.elf")


@pytest.mark.parametrize(
    ("line", "addresses"),
    [
        (BACKTRACE, ["0x42001234", "0x42001261"]),
        (REGISTERS, ["0x42001237"]),
        ("MEPC    : 0x42001234  RA      : 0x42001261  SP      : 0x3fc92e80", ["0x42001234", "0x42001261"]),
        ("abort() was called at PC 0x4037d8a9 on core 0", ["0x4037d8a9"]),
        ("I (24) app: buffer at 0x3fc92e80:0x3fc92ea0", []),
        ("W (3) x: PC : 0x42001234", []),
        ("", []),
    ],
)
def test_code_addresses_are_those_of_panics(line: str, addresses: list[str]) -> None:
    assert addresses_of(line) == addresses


def test_a_panics_backtrace_waits_for_the_name_of_its_application() -> None:
    backtraces = _backtraces()
    assert backtraces.line(REGISTERS, 1.0) == []
    assert backtraces.line(BACKTRACE, 1.1) == []
    assert backtraces.due(1.2) == []
    registers, trace = backtraces.line(OURS, 1.2)
    assert registers.places == (_place("0x42001237"),)
    assert trace.places == (_place("0x42001234"), _place("0x42001261"))
    assert backtraces.due(9.0) == []


def test_what_booted_is_known_and_its_backtraces_do_not_wait() -> None:
    backtraces = _backtraces()
    backtraces.line(f"I (30) app_init: ELF file SHA256:  {SHA256[:9]}...", 0.0)
    assert len(backtraces.line(BACKTRACE, 1.0)) == 1


def test_the_backtrace_of_another_application_is_not_decoded_and_that_is_told_once() -> None:
    backtraces = _backtraces()
    backtraces.line(BACKTRACE, 1.0)
    (told,) = backtraces.line(OTHER, 1.1)
    assert "does not run app.elf" in told.note
    assert backtraces.line(BACKTRACE, 2.0) == []
    assert backtraces.line(OTHER, 2.1) == []
    backtraces.line(OURS, 3.0)
    assert backtraces.line(BACKTRACE, 3.1)[0].places


def test_a_watchdogs_backtrace_of_an_unknown_application_is_decoded_with_an_if() -> None:
    backtraces = _backtraces()
    backtraces.line(BACKTRACE, 1.0)
    assert backtraces.due(1.4) == []
    told, decoded = backtraces.due(1.6)
    assert told.note.startswith("If the board runs app.elf")
    assert decoded.places


def test_after_the_port_was_gone_the_application_is_unknown_again() -> None:
    backtraces = _backtraces()
    backtraces.line(OURS, 0.0)
    backtraces.lost()
    assert backtraces.line(BACKTRACE, 1.0) == []


def test_addresses_outside_the_application_say_nothing() -> None:
    backtraces = _backtraces()
    backtraces.line(OURS, 0.0)
    assert backtraces.line("Backtrace: 0x50001234:0x3fc92e80", 1.0) == []


# ---- with a file, and with what stands in for addr2line ----

ADDR2LINE = """#!/bin/sh
shift 3
for address in "$@"; do
    printf '%s\\ninner\\n/src/inner.h:7\\nouter\\n/src/outer.c:9 (discriminator 2)\\n' "$address"
done
"""


@pytest.fixture
def elf(tmp_path: Path) -> Path:
    """An application's symbols in the build folder of a project, with the compiler's tools."""
    build = tmp_path / "firmware/build"
    build.mkdir(parents=True)
    tool = tmp_path / "tools/xtensa-esp32s3-elf-addr2line"
    tool.parent.mkdir()
    tool.write_text(ADDR2LINE)
    tool.chmod(0o755)
    said = {
        "app_elf": "app.elf",
        "c_compiler": str(tool.parent / "gcc"),
        "monitor_toolprefix": "xtensa-esp32s3-elf-",
    }
    (build / "project_description.json").write_text(json.dumps({**said, "build_components": []}))
    write_elf(build / "app.elf")
    return build / "app.elf"


@posix
def test_places_hold_functions_that_were_inlined(elf: Path) -> None:
    assert Symbols(elf).places(["0x42001234", "0x3fc92e80"]) == (
        Place("0x42001234", "inner", "/src/inner.h", 7),
        Place("0x42001234", "outer", "/src/outer.c", 9, inlined=True),
    )


@pytest.mark.parametrize(
    ("content", "words"), [(None, "cannot be read"), (b"MZ", "no ELF"), (b"\x7fELF", "damaged")]
)
@posix
def test_a_file_without_symbols_is_named(elf: Path, content: bytes | None, words: str) -> None:
    elf.unlink()
    if content is not None:
        elf.write_bytes(content)
    with pytest.raises(BacktraceError, match=words):
        Symbols(elf)


def test_without_addr2line_the_hint_says_which(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_elf(tmp_path / "app.elf")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BacktraceError, match="no addr2line") as caught:
        Symbols(tmp_path / "app.elf")
    assert "xtensa-esp32s3-elf-addr2line" in caught.value.hint


def test_without_the_decoder_the_hint_installs_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "esp_idf_panic_decoder", None)
    with pytest.raises(BacktraceError) as caught:
        Symbols(tmp_path / "app.elf")
    assert caught.value.hint == "pip install esp-idf-panic-decoder"


@contextmanager
def _panicking(*lines: str) -> Iterator[str]:
    """A port at which a board, once it is spoken to, says `lines` and no more."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def say() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(4096)
                connection.sendall("".join(f"{line}\r\n" for line in lines).encode())
                while connection.recv(4096):
                    pass

        thread = threading.Thread(target=say, daemon=True)
        thread.start()
        yield f"socket://127.0.0.1:{server.getsockname()[1]}"
        thread.join(5)


def _panic(elf: Path) -> list[str]:
    sha256 = hashlib.sha256(elf.read_bytes()).hexdigest()
    return [
        "\x1b[0;31mE (3) app: odd\x1b[0m",
        BACKTRACE,
        "",
        f"ELF file SHA256: {sha256[:16]}",
        "Rebooting...",
    ]


@posix
def test_the_monitor_shows_places_of_the_projects_build(
    elf: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(elf.parents[2])
    with _panicking(*_panic(elf)) as url:
        assert main(["monitor", "--port", url, "--seconds", "1", "--quiet"]) == 0
    lines = capsys.readouterr().out.splitlines()
    named = next(i for i, line in enumerate(lines) if line.startswith("ELF file"))
    assert lines[named + 1 : named + 3] == [
        "  0x42001234: inner at /src/inner.h:7",
        "  (inlined by) outer at /src/outer.c:9",
    ]


@posix
def test_places_are_events_for_programs(elf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with _panicking(*_panic(elf)) as url:
        assert main(["monitor", "--port", url, "--seconds", "1", "--json", "--elf", str(elf)]) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (trace,) = [event for event in events if event["event"] == "backtrace"]
    assert trace["places"][0] == {
        "address": "0x42001234", "function": "inner", "file": "/src/inner.h", "line": 7, "inlined": False,
    }  # fmt: skip


def test_a_named_file_that_cannot_serve_is_a_mistake(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["monitor", "--port", "socket://127.0.0.1:1", "--elf", str(tmp_path / "no.elf")]) == 2
    assert "no.elf cannot be read" in capsys.readouterr().err


def test_a_build_without_its_tools_is_a_note_and_the_monitor_watches(
    elf: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(elf.parents[2])
    monkeypatch.setenv("PATH", str(elf.parent))
    (elf.parents[2] / "tools/xtensa-esp32s3-elf-addr2line").unlink()
    with _panicking(*_panic(elf)) as url:
        assert main(["monitor", "--port", url, "--seconds", "0.5"]) == 0
    out, err = capsys.readouterr()
    assert "not decoded" in err
    assert BACKTRACE in out
