"""A rendered project becomes firmware: ESP-IDF found, driven and read from."""

from __future__ import annotations

from .build import LOG_FILE, BuildError, FirmwareBuild, Listener, build_firmware

__all__ = ["LOG_FILE", "BuildError", "FirmwareBuild", "Listener", "build_firmware"]
