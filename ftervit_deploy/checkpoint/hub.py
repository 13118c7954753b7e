"""Checkpoints from the Hugging Face hub, through its own client: cache, token, resuming, offline mode."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from ..errors import FtervitError, HubError

CANDIDATES = (".safetensors", ".pth", ".pt", ".bin")
"""What counts as a checkpoint where the user names a repository only."""
MAX_LISTED = 8

_NETWORK_ERRORS = frozenset({"TransportError", "ConnectionError", "Timeout", "LocalEntryNotFoundError"})
"""Classes of either HTTP library that the client has used, by name; the last is the client's own."""

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Fetched:
    """A file in the hub's cache.

    Attributes:
        path: on this machine.
        file: path in the repository.
        revision: commit hash.
    """

    path: Path
    file: str
    revision: str


def download(repo: str, file: str | None, revision: str | None = None, *, offline: bool = False) -> Fetched:
    """Brings a file of a model repository into the cache, or finds it there.

    HF_TOKEN, HF_HOME, HF_ENDPOINT and HF_HUB_OFFLINE count as the client documents them.

    Args:
        repo: ``user/name``.
        file: path in the repository; None takes its only checkpoint.
        revision: branch, tag or commit.
        offline: use nothing but the cache.

    Raises:
        HubError: in a sentence, whatever kept the file away.
    """
    offline = offline or _offline_mode()
    try:
        return _fetched(repo, file, revision, offline)
    except FtervitError:
        raise
    except Exception as error:
        cached = None if offline or not _is_trouble(error) else _cached(repo, file, revision)
        if cached is None:
            raise _sentence(error, repo, file, revision, offline) from error
        return cached


@dataclass(frozen=True)
class HubAnswer:
    """How the hub answered a question about the token.

    Attributes:
        endpoint: address, as HF_ENDPOINT or the default says it.
        status: HTTP status; None where there was no answer.
        has_token: whether a token was sent.
    """

    endpoint: str
    status: int | None
    has_token: bool


def ask_hub(timeout_s: float = 5.0) -> HubAnswer | None:
    """Asks the hub once whose the token is; None in offline mode, where nothing is asked.

    Raises:
        HubError: an HF_ variable has an impossible value.
    """
    if _offline_mode():
        return None
    from huggingface_hub import constants, get_session, get_token

    token = get_token()
    try:
        response = get_session().get(
            f"{constants.ENDPOINT}/api/whoami-v2",
            headers={"authorization": f"Bearer {token}"} if token else {},
            timeout=timeout_s,
        )
        status = int(response.status_code)
    except Exception:  # of whichever HTTP library the client uses
        status = None
    return HubAnswer(constants.ENDPOINT, status, token is not None)


def _offline_mode() -> bool:
    """What HF_HUB_OFFLINE says; the client reads every variable of its own when it is imported."""
    try:
        from huggingface_hub import constants
    except ValueError as error:
        raise HubError(
            f"A variable of huggingface-hub has an impossible value: {error}.",
            "Check HF_ENDPOINT and the other HF_ variables.",
        ) from error
    return constants.HF_HUB_OFFLINE


def _fetched(repo: str, file: str | None, revision: str | None, offline: bool) -> Fetched:
    """Asks once whether the file is there, because the download itself asks on for half a minute."""
    from huggingface_hub import constants, get_hf_file_metadata, hf_hub_download, hf_hub_url

    file = file or _only_checkpoint(repo, _listing(repo, revision, offline))
    if not offline:
        get_hf_file_metadata(hf_hub_url(repo, file, revision=revision), timeout=constants.HF_HUB_ETAG_TIMEOUT)
    path = Path(hf_hub_download(repo, file, revision=revision, local_files_only=offline))
    return Fetched(path, file, _commit(path, file))


def _cached(repo: str, file: str | None, revision: str | None) -> Fetched | None:
    """The cache's copy, for when the hub is in trouble; the client's own kinds of errors mean none."""
    try:
        return _fetched(repo, file, revision, offline=True)
    except (FtervitError, OSError, ValueError):
        return None


def _is_trouble(error: Exception) -> bool:
    """True where the hub cannot be reached or cannot cope, rather than says no."""
    status = _status(error)
    kinds = {kind.__name__ for kind in type(error).__mro__}
    return bool(kinds & _NETWORK_ERRORS) if status is None else status == 429 or status >= 500


def _status(error: Exception) -> int | None:
    status = getattr(getattr(error, "response", None), "status_code", None)
    return status if isinstance(status, int) else None


def published_sha256(path: Path) -> str | None:
    """The hash that the hub states for a cached file: large files lie under it; None where unknown."""
    name = Path(os.path.realpath(path)).name
    return name if _SHA256.fullmatch(name) else None


def _commit(path: Path, file: str) -> str:
    """The cache keeps files at snapshots/COMMIT/FILE."""
    return path.parents[len(Path(file).parts) - 1].name


def _listing(repo: str, revision: str | None, offline: bool) -> list[str]:
    """Every file of the repository, or of its copy in the cache."""
    from huggingface_hub import HfApi, constants, snapshot_download

    if not offline:
        siblings = HfApi().model_info(repo, revision=revision, timeout=constants.HF_HUB_ETAG_TIMEOUT).siblings
        return [sibling.rfilename for sibling in siblings or []]
    folder = Path(snapshot_download(repo, revision=revision, local_files_only=True))
    return [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]


def _only_checkpoint(repo: str, files: list[str]) -> str:
    """The sole checkpoint, or the sole .safetensors, which says the same as its twins."""
    found = sorted(name for name in files if name.endswith(CANDIDATES))
    safe = [name for name in found if name.endswith(".safetensors")]
    for choice in (found, safe):
        if len(choice) == 1:
            return choice[0]
    if not found:
        raise HubError(
            f"The hub repository {repo} holds no checkpoint.", f"Looked for {', '.join(CANDIDATES)}."
        )
    more = f" and {len(found) - MAX_LISTED} more" if len(found) > MAX_LISTED else ""
    listed = ", ".join(found[:MAX_LISTED])
    raise HubError(
        f"The hub repository {repo} holds several checkpoints.",
        f"Add one, as in {repo}:FILE: {listed}{more}.",
    )


def _sentence(error: Exception, repo: str, file: str | None, revision: str | None, offline: bool) -> HubError:
    """The client's error in our words; the order matters, because some kinds contain others."""
    from huggingface_hub import errors

    status = _status(error)
    what = f"{repo}:{file}" if file else repo
    if offline:
        return HubError(
            f"{what} is not in the cache, and offline mode is on.",
            "Unset HF_HUB_OFFLINE and run once with a network.",
        )
    if isinstance(error, errors.GatedRepoError):
        return HubError(
            f"The hub repository {repo} is gated.",
            f"Ask for access at https://huggingface.co/{repo}, then run `hf auth login` or set HF_TOKEN.",
        )
    if status == 401 and _has_token():
        return HubError(
            "The hub does not accept the token.", "Renew it with `hf auth login`, or unset HF_TOKEN."
        )
    if isinstance(error, errors.RepositoryNotFoundError):
        return HubError(
            f"The hub has no model repository {repo}, or it is private.",
            "Check the name; for a private one run `hf auth login` or set HF_TOKEN.",
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return HubError(
            f"The hub repository {repo} has no revision {revision!r}.", "Leave it out for the newest."
        )
    if _is_trouble(error) and status is None:
        return HubError(
            f"The hub cannot be reached, and {what} is not in the cache.",
            "Check the network and HF_ENDPOINT, then try again; a download resumes where it stopped.",
        )
    if isinstance(error, errors.EntryNotFoundError):
        return HubError(
            f"The hub repository {repo} has no file {file}.",
            f"Give {repo} alone to see or take what it has.",
        )
    return _other(error, repo, status)


def _other(error: Exception, repo: str, status: int | None) -> HubError:
    from huggingface_hub import errors

    if isinstance(error, errors.HFValidationError):
        return HubError(f"{repo!r} cannot be the name of a hub repository.", "It has the form user/repo.")
    if status == 403:
        return HubError(f"The hub does not let you read {repo}.", "Set HF_TOKEN to a token that may.")
    if status is not None:
        return HubError(f"The hub answered with status {status} for {repo}.", "Try again later.")
    if isinstance(error, OSError) and error.errno is not None:
        return HubError(f"The download of {repo} failed: {error.strerror}.", "Check the disk and HF_HOME.")
    return HubError(
        f"The download of {repo} failed: {type(error).__name__}.",
        "Check the network and try again; a download resumes where it stopped.",
    )


def _has_token() -> bool:
    from huggingface_hub import get_token

    return get_token() is not None
