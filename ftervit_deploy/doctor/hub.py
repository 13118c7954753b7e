"""The Hugging Face hub: reached or not, and whether it takes the token."""

from __future__ import annotations

from ..checkpoint.hub import HubAnswer
from ..errors import FtervitError
from .commands import install_ftervit
from .machine import Check, Machine, Target

_REFUSED = 401


def check_hub(machine: Machine, target: Target) -> Check:
    """Whether checkpoints can be fetched; a machine without a network can still use what it has."""
    try:
        answer = _answer(machine)
    except ImportError as error:
        what = f"The hub's client does not load: {error}."
        return Check("hub", "missing", False, what, install_ftervit(machine))
    except FtervitError as error:
        return Check("hub", "wrong", False, error.what, _unset(machine, "HF_ENDPOINT"))
    if answer is None:
        return Check("hub", "ok", False, "Not asked: offline, checkpoints come from the cache alone.")
    if answer.status is None:
        what = f"{answer.endpoint} cannot be reached; only checkpoints in the cache can be packed."
        return Check("hub", "missing", False, what, _offline(machine))
    if answer.status >= 500 or answer.status == 429:
        what = f"{answer.endpoint} answers with status {answer.status}; try again later."
        return Check("hub", "wrong", False, what, _offline(machine))
    return Check("hub", "ok", False, f"{answer.endpoint} answers.")


def check_token(machine: Machine, target: Target) -> Check:
    """No token is fine, because published checkpoints need none; one that is refused spoils every call."""
    try:
        answer = _answer(machine)
    except ImportError as error:
        what = f"A package that ftervit needs does not load: {error}."
        return Check("hub-token", "missing", True, what, install_ftervit(machine))
    except FtervitError:
        return Check("hub-token", "ok", True, "The hub was not asked, so its token was not checked.")
    if answer is None or answer.status is None:
        return Check("hub-token", "ok", True, "The hub was not reached, so its token was not checked.")
    if not answer.has_token:
        return Check("hub-token", "ok", True, "No token for the hub; published checkpoints need none.")
    if answer.status == _REFUSED:
        return Check("hub-token", "wrong", True, "The hub does not accept the token.", _renew(machine))
    if answer.status != 200:
        return Check("hub-token", "ok", True, f"The hub's token was not checked: status {answer.status}.")
    return Check("hub-token", "ok", True, "The hub accepts the token.")


def _answer(machine: Machine) -> HubAnswer | None:
    return machine.ask_hub() if machine.ask_hub else None


def _renew(machine: Machine) -> str:
    """A token in the environment counts before the one that `hf auth login` keeps."""
    return _unset(machine, "HF_TOKEN") if machine.environment.get("HF_TOKEN") else "hf auth login"


def _unset(machine: Machine, name: str) -> str:
    return f"Remove-Item Env:{name}" if machine.system == "windows" else f"unset {name}"


def _offline(machine: Machine) -> str:
    if machine.system == "windows":
        return '$Env:HF_HUB_OFFLINE = "1"'
    return "export HF_HUB_OFFLINE=1"
