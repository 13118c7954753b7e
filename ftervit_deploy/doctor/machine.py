"""A machine as the checks see it: everything they know of it comes through here, so tests can make one up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from typing import Literal

from ..checkpoint.hub import HubAnswer

Status = Literal["ok", "missing", "wrong"]
System = Literal["linux", "macos", "windows"]


@dataclass(frozen=True)
class Check:
    """What one check found.

    Attributes:
        name: of the check.
        status: ``ok``, ``missing`` or ``wrong``.
        required: whether a command that exists needs it.
        what: one sentence.
        fix: the command that mends it, or what to do where no command can; None where all is well.
    """

    name: str
    status: Status
    required: bool
    what: str
    fix: str | None = None


@dataclass(frozen=True)
class Target:
    """What the firmware is for.

    Attributes:
        chip: ESP-IDF's name of it.
        console: ``usb-serial-jtag`` or ``uart``; None where no board was named.
    """

    chip: str = "esp32s3"
    console: str | None = None


@dataclass(frozen=True)
class Port:
    """A serial port.

    Attributes:
        device: as users name it, e.g. ``/dev/ttyACM0`` or ``COM3``.
        usb_id: vendor and product in lower-case hex, e.g. ``303a:1001``; None where unknown.
        accessible: this process may read and write it.
        group: that owns the device; None where the system has none.
    """

    device: str
    usb_id: str | None
    accessible: bool
    group: str | None = None


@dataclass(frozen=True)
class SelfRun:
    """Logits (Q16) of one bundled photo: of the C engine, and of the definition in NumPy."""

    engine: tuple[int, ...]
    definition: tuple[int, ...]


@dataclass(frozen=True)
class Machine:
    """A view of one machine.

    Attributes:
        system: operating system; WSL counts as ``linux``.
        root: where the file system is found; None is this process's own. Tests give a folder.
        home: the user's home, in the machine's own notation.
        environment: variables.
        user: name, as in /etc/group.
        python: version of the interpreter.
        executable: path of the interpreter.
        version_of: version of an installed distribution, None where it is not installed.
        ports: serial ports.
        usb_ids: of all devices that are plugged in, where the system tells.
        sources: folder of the checkout that ftervit runs from; None where it is installed.
        free_bytes: room in the current folder; None where the system does not tell.
        self_run: runs the bundled model.
        ask_hub: asks the hub, which may say None in offline mode; None where it must not be asked.
    """

    system: System
    home: str
    environment: Mapping[str, str]
    python: tuple[int, int, int]
    executable: str
    version_of: Callable[[str], str | None]
    self_run: Callable[[], SelfRun]
    ask_hub: Callable[[], HubAnswer | None] | None
    free_bytes: int | None
    root: Path | None = None
    sources: str | None = None
    user: str = ""
    ports: tuple[Port, ...] = ()
    usb_ids: tuple[str, ...] = ()

    def path(self, text: str) -> PurePath:
        """A path in the machine's own notation; ``~`` is the home."""
        pure = PureWindowsPath if self.system == "windows" else PurePosixPath
        return pure(self.home, text[2:]) if text.startswith("~/") else pure(text)

    def local(self, path: PurePath) -> Path:
        """Where this process finds what the machine calls `path`."""
        if self.root is None:
            return Path(path)
        parts = path.as_posix().replace(":", "").lstrip("/")
        return self.root / parts

    def is_file(self, path: PurePath) -> bool:
        """Whether there is such a file that this user may see."""
        try:
            return self.local(path).is_file()
        except OSError:
            return False

    def is_folder(self, path: PurePath) -> bool:
        """Whether there is such a folder that this user may see."""
        try:
            return self.local(path).is_dir()
        except OSError:
            return False

    def text(self, path: PurePath) -> str:
        """A file's text; empty where it cannot be read."""
        try:
            return self.local(path).read_text("utf-8", errors="replace")
        except OSError:
            return ""

    def names(self, folder: PurePath) -> list[str]:
        """Names in a folder, sorted; none where it cannot be read."""
        try:
            return sorted(entry.name for entry in self.local(folder).iterdir())
        except OSError:
            return []

    def search_path(self) -> list[PurePath]:
        """The folders of PATH."""
        separator = ";" if self.system == "windows" else ":"
        return [self.path(entry) for entry in self.environment.get("PATH", "").split(separator) if entry]

    def find_program(self, *names: str) -> PurePath | None:
        """The first of `names` that a folder of PATH holds."""
        endings = (".exe", ".bat", ".cmd") if self.system == "windows" else ("",)
        for name in names:
            for folder in self.search_path():
                for ending in endings:
                    if self.is_file(folder / (name + ending)):
                        return folder / (name + ending)
        return None

    @property
    def is_wsl2(self) -> bool:
        """Linux inside Windows, with a kernel of its own."""
        kernel = self.text(self.path("/proc/sys/kernel/osrelease")).lower()
        return self.system == "linux" and ("wsl2" in kernel or "microsoft-standard" in kernel)
