"""Pushing to the Hugging Face hub through its own client: all files in one commit, or none."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from .. import __version__
from ..errors import FtervitError, HubError

_REPO = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9_][\w.-]*")


@dataclass(frozen=True)
class Pushed:
    """Where it is: the repository's address, and the commit with all files."""

    url: str
    commit: str


def check_repo(repo: str) -> None:
    """Refuse what cannot be a repository's name, before any work is done for it.

    Raises:
        HubError: it has not the form user/name.
    """
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

    try:
        validate_repo_id(repo)
        possible = _REPO.fullmatch(repo) is not None
    except HFValidationError:
        possible = False
    if not possible:
        raise HubError(
            f"{repo!r} cannot be the name of a hub repository.",
            "It has the form user/name, with letters, digits, dots, hyphens and underscores.",
        )


def check_token() -> None:
    """Refuse to begin where the push would be refused.

    Raises:
        HubError: there is no token, or the client is offline.
    """
    from huggingface_hub import constants, get_token

    if constants.HF_HUB_OFFLINE:
        raise HubError("Offline mode is on, so nothing can be published.", "Unset HF_HUB_OFFLINE.")
    if get_token() is None:
        raise HubError(
            "Publishing needs a token of the hub, and there is none.",
            "Run `hf auth login` or set HF_TOKEN to a token that may write; --dry-run needs none.",
        )


def push(repo: str, files: Mapping[str, bytes], message: str, private: bool) -> Pushed:
    """Makes the repository if it is not there, and adds all `files` in one commit.

    Args:
        repo: ``user/name``.
        files: content by path in the repository; other files there stay.
        message: of the commit.
        private: the repository must be private; a new one is made so.

    Raises:
        HubError: in a sentence, whatever kept the commit away; then the repository is as it was before,
            or new and empty.
    """
    from huggingface_hub import CommitOperationAdd, HfApi

    api = HfApi(library_name="ftervit", library_version=__version__)
    operations = [CommitOperationAdd(path, content) for path, content in files.items()]
    try:
        made = api.create_repo(repo, private=private or None, exist_ok=True)
        if private and api.model_info(repo).private is not True:
            raise HubError(
                f"The repository {repo} is there already and public, so nothing was published.",
                "Make it private on the hub, or leave out --private.",
            )
        commit = api.create_commit(repo, operations, commit_message=message)
    except FtervitError:
        raise
    except Exception as error:
        raise _sentence(error, repo) from error
    return Pushed(str(made), str(commit.oid))


def _sentence(error: Exception, repo: str) -> HubError:
    """The client's error in our words."""
    status = _status(error)
    nothing = "Nothing was published."
    if status == 401:
        return HubError(
            f"The hub does not accept the token. {nothing}", "Renew it with `hf auth login`, or set HF_TOKEN."
        )
    if status == 403:
        return HubError(
            f"The token may not write to {repo}. {nothing}",
            "Set HF_TOKEN to one that may, or check the name.",
        )
    if status is not None and 400 <= status < 500:
        return HubError(
            f"The hub refused the request for {repo} (status {status}). {nothing}",
            "Check the repository's name.",
        )
    if status is not None:
        return HubError(f"The hub answered with status {status} for {repo}. {nothing}", "Try again later.")
    return HubError(
        f"The push to {repo} failed: {type(error).__name__}. {nothing}",
        "Check the network and HF_ENDPOINT, then try again; what was uploaded is not sent again.",
    )


def _status(error: BaseException | None) -> int | None:
    """The HTTP status behind an error: the client wraps that of an upload in another one."""
    while error is not None:
        status = getattr(getattr(error, "response", None), "status_code", None)
        if isinstance(status, int):
            return status
        error = error.__cause__
    return None
