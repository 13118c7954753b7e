"""A model on the hub: checkpoint, image, report, logs and a card that says where its figures come from."""

from __future__ import annotations

from .contents import Publication, check_licence, publication
from .push import Pushed, check_repo, check_token, push

__all__ = ["Publication", "Pushed", "check_licence", "check_repo", "check_token", "publication", "push"]
