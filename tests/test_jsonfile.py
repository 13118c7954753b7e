"""JSON that somebody left: what is damaged is named, and nothing of it passes for what it is not."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import pytest

from ftervit_deploy.errors import RecordError
from ftervit_deploy.jsonfile import (
    Count,
    Share,
    Within,
    json_object,
    number_in,
    objects_of_lines,
    read_record,
    record_of,
)

DEEP = "[" * 100_000


@dataclass(frozen=True)
class _Inner:
    digits: str


@dataclass(frozen=True)
class _Outer:
    name: str
    share: Share
    count: Count | None
    inner: _Inner | None
    names: tuple[str, ...] = ()
    pair: tuple[float, float] = (0.0, 0.0)
    counts: dict[str, Count] | None = None
    flag: bool = False
    loss: Annotated[float, Within(float("-inf"), float("inf"))] = float("inf")


_SOUND: dict[str, Any] = {"name": "a", "share": 1, "count": None, "inner": {"digits": "ff"}}


def test_a_record_is_made_of_what_json_has() -> None:
    more = {"names": ["b"], "pair": [1, 2.5], "counts": {"c": 3}, "flag": True, "other": DEEP}
    found = record_of(_Outer, {**_SOUND, **more})
    assert found == _Outer("a", 1.0, None, _Inner("ff"), ("b",), (1.0, 2.5), {"c": 3}, True)
    assert type(found.share) is float
    assert record_of(_Outer, {**_SOUND, "loss": float("inf")}).loss == float("inf")


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"name": 5}, "name: 5 is not text"),
        ({"name": None}, "name: null is not text"),
        ({"share": "x"}, 'share: "x" is not a number'),
        ({"share": True}, "share: true is not a number"),
        ({"share": float("nan")}, "share: nan is not from 0 to 1"),
        ({"share": 50}, "share: 50 is not from 0 to 1"),
        ({"count": 1.0}, "count: 1.0 is not a whole number"),
        ({"count": -1}, "count: -1 is not from 0"),
        ({"count": 10**400}, r"count: 1000000000.*… is not from 0"),
        ({"inner": []}, r"inner: \[\] is no object"),
        ({"inner": {"digits": 5}}, "inner: digits: 5 is not text"),
        ({"inner": {}}, "inner: it lacks digits"),
        ({"names": "abc"}, 'names: "abc" is no list'),
        ({"names": ["b", {}]}, "names: {} is not text"),
        ({"pair": [1]}, "pair: 1 values are not 2"),
        ({"pair": [1, float("inf")]}, "pair: inf is not finite"),
        ({"counts": {"c": "x"}}, 'counts: "x" is not a whole number'),
        ({"flag": 1}, "flag: 1 is not true or false"),
        ({"loss": float("nan")}, "loss: nan is not from -inf to inf"),
    ],
)
def test_an_impossible_attribute_is_named(wrong: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        record_of(_Outer, {**_SOUND, **wrong})


def test_a_missing_attribute_is_named() -> None:
    with pytest.raises(ValueError, match="it lacks share"):
        record_of(_Outer, {"name": "a"})


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "Expecting value"),
        (b"\xff\xfe", "Expecting value"),
        (b"5", "it holds 5, no object"),
        (b"[]", r"it holds \[\], no object"),
        (DEEP.encode(), "it is nested too deeply"),
        (b'{"a":' * 20 + b"1" + b"}" * 20, "it is nested too deeply"),
        (b'{"name": ' + b"9" * 5000 + b"}", "digits"),
        (b"{}", "it lacks name"),
    ],
    ids=["empty", "no text", "a number", "a list", "deep", "too deep", "long", "lacking"],
)
def test_a_damaged_file_is_one_sentence_with_a_way_out(content: bytes, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    path.write_bytes(content)
    with pytest.raises(RecordError, match=rf"record\.json cannot be read \(.*{reason}.*\)\. Delete it\."):
        read_record(path, _Outer, "Delete it.")


def test_a_file_that_is_none_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"cannot be read \(No such file"):
        read_record(tmp_path / "gone.json", _Outer, "")
    with pytest.raises(RecordError, match=r"cannot be read \(.*directory"):
        read_record(tmp_path, _Outer, "")


def test_damaged_lines_are_left_out() -> None:
    content = f'5\n{{"a": 1}}\n\xff\n{DEEP}\n"x"\n[]\n{{"b": 2}}\n{{"c"'.encode("latin-1")
    assert list(objects_of_lines(content)) == [{"a": 1}, {"b": 2}]


@pytest.mark.parametrize("value", ["x", None, True, float("nan"), float("inf"), 10**400, 2, [1]])
def test_a_number_out_of_range_is_none(value: object) -> None:
    assert number_in(value, 0.0, 1.0) is None
    assert number_in(1, 0.0, 1.0) == 1.0


def test_an_object_keeps_its_values() -> None:
    assert json_object('{"a": [1, {"b": null}]}') == {"a": [1, {"b": None}]}
