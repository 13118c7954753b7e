"""A model and a board become an ESP-IDF project, rendered from templates/."""

from __future__ import annotations

from .manifest import MANIFEST_FILE, Manifest, Shape, manifest_text, read_manifest
from .render import Project, render_project
from .writing import Written, write_project

__all__ = [
    "MANIFEST_FILE",
    "Manifest",
    "Project",
    "Shape",
    "Written",
    "manifest_text",
    "read_manifest",
    "render_project",
    "write_project",
]
