"""Differences of two models on the same photos, and how sure they are."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftervit_deploy.train.paired import Recognised

PAIRS = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60)


@given(pairs=PAIRS)
def test_what_is_recognised_survives_as_digits(pairs: list[tuple[bool, bool]]) -> None:
    right = [ours for ours, _ in pairs]
    found = Recognised.of(right)
    assert Recognised(found.photos, found.digits).right().tolist() == right
    assert found.top1 == pytest.approx(sum(right) / len(right))


@given(pairs=PAIRS)
def test_the_error_is_mcnemars(pairs: list[tuple[bool, bool]]) -> None:
    """Agresti's variance of a difference of dependent proportions: ((b + c) - (b - c)^2 / n) / n^2."""
    ours, theirs = (Recognised.of([pair[side] for pair in pairs]) for side in (0, 1))
    count, gained = len(pairs), sum(a and not b for a, b in pairs)
    lost = sum(b and not a for a, b in pairs)
    variance = ((gained + lost) - (gained - lost) ** 2 / count) / count**2
    assert ours.error_beside(theirs) == pytest.approx(math.sqrt(max(variance, 0.0)), abs=1e-9)
    assert ours.error_beside(theirs) == theirs.error_beside(ours)
    assert ours.error_beside(ours) == 0


@pytest.mark.parametrize(
    ("ours_alone", "theirs_alone", "chance"),
    [(0, 0, 1.0), (1, 1, 1.0), (4, 0, 2 / 16), (1, 8, 2 * (1 + 9) / 512), (12, 2, 2 * (1 + 14 + 91) / 2**14)],
)
def test_chance_is_that_of_as_many_coins(ours_alone: int, theirs_alone: int, chance: float) -> None:
    agreed = [(True, True)] * 5 + [(False, False)] * 3
    pairs = agreed + [(True, False)] * ours_alone + [(False, True)] * theirs_alone
    ours, theirs = (Recognised.of([pair[side] for pair in pairs]) for side in (0, 1))
    assert ours.chance_beside(theirs) == pytest.approx(chance)
    assert theirs.chance_beside(ours) == pytest.approx(chance)


def test_chance_of_thousands_of_photos_is_a_number() -> None:
    right = np.arange(50_000) % 2 == 0
    assert Recognised.of(right).chance_beside(Recognised.of(~right)) == 1.0
    assert Recognised.of(right).chance_beside(Recognised.of(right & (np.arange(50_000) % 3 > 0))) < 1e-300


@pytest.mark.parametrize(("photos", "digits"), [(9, "ff"), (1, "ffff"), (0, "ff")])
def test_digits_of_other_photos_are_refused(photos: int, digits: str) -> None:
    with pytest.raises(ValueError, match=f"not those of {photos} photos"):
        Recognised(photos, digits)
