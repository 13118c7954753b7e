"""Numbers on the command line: what is not finite, or far too large, is a usage error."""

from __future__ import annotations

import pytest

from ftervit_deploy.cli import main

MANY_DIGITS = "9" * 5000
_REALS = ["--lr", "--patch-drop", "--label-smoothing", "--save-minutes", "--ema-decay", "--weight-decay"]
_WHOLE = [
    "--seed",
    "--batch-size",
    "--threads",
    "--epochs",
    "--warmup-epochs",
    "--keep-epochs",
    "--memory-mb",
]
_TRAIN = ("train", "photos", "--phase", "teacher")
_COMPARE = ("compare", "photos", "--out", "out")


def _refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(list(words)) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert len(told.err) < 400, "a number of thousands of digits is not repeated"
    return told.err


@pytest.mark.parametrize(
    "words",
    [
        *((*_TRAIN, option) for option in (*_REALS, "--val-fraction")),
        *((*_COMPARE, option) for option in ("--lr", "--teacher-lr", "--recovery-lr", "--patch-drop")),
        ("monitor", "--seconds"),
        ("virtual", "--dwell"),
    ],
    ids=lambda words: f"{words[0]} {words[-1]}",
)
@pytest.mark.parametrize("number", ["nan", "inf"])
def test_a_real_number_is_finite(
    words: tuple[str, ...], number: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert f"Invalid value for '{words[-1]}': " in _refused(capsys, *words, number)


@pytest.mark.parametrize(
    "words",
    [
        *((*_TRAIN, option) for option in _WHOLE),
        *((*_COMPARE, option) for option in ("--seed", "--epochs", "--guide-epochs", "--recover-from")),
    ],
    ids=lambda words: f"{words[0]} {words[-1]}",
)
@pytest.mark.parametrize("number", ["1" + 24 * "0", MANY_DIGITS, "9223372036854775808"])
def test_a_whole_number_has_a_largest_value(
    words: tuple[str, ...], number: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert f"Invalid value for '{words[-1]}': " in _refused(capsys, *words, number)
