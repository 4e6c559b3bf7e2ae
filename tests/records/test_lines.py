"""Curves as columns: what they hold, and that odd lines are refused as line by line."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from frod_bench.records import lines as lines_module
from frod_bench.records.lines import NO_LINES, Lines, read_curves, read_lines
from frod_bench.records.schema import RecordError
from frod_bench.records.store import curve_path, points_of

POINTS: list[dict[str, Any]] = [
    {"step": 0, "epoch": 0.0, "seconds": 0.0, "eval_loss": 2.5, "accuracy": 0},
    {"step": 1, "epoch": 0.5, "seconds": 0.25, "train_loss": 1.75, "lr_head": 0.1},
    {"step": 2, "epoch": 1.0, "seconds": 0.25, "train_loss": None, "accuracy": float("nan")},
    {"step": 3, "epoch": 1.5, "seconds": 0.75, "train_loss": 1.1, "eval_loss": 0.1 + 0.2},
]

HUGE = b'{"step": 1' + b"0" * 400 + b', "seconds": 9}'


def content(points: Sequence[object]) -> bytes:
    return "".join(json.dumps(point) + "\n" for point in points).encode()


@pytest.mark.parametrize("places", [(0, 1, 2, 3), (0, 1, 3)], ids=["line by line", "by Arrow"])
def test_columns_are_the_finite_values_to_the_last_bit(places: tuple[int, ...]) -> None:
    """NaN is not JSON: Arrow does not read it."""
    points = [POINTS[place] for place in places]
    ((_, found),) = read_curves([(Path("0.json"), content(points))], {})
    assert isinstance(found, Lines)
    assert len(found) == len(points)
    for name in ("train_loss", "eval_loss", "accuracy"):
        there = [p for p in points if p.get(name) is not None and math.isfinite(p[name])]
        steps, seconds, values = found.of(name)
        assert steps.tolist() == [p["step"] for p in there]
        assert seconds.tolist() == [p["seconds"] for p in there]
        assert values.tolist() == [p[name] for p in there]
    assert found.of("f1")[2].size == 0
    assert set(found.columns) == {"train_loss", "eval_loss", "accuracy"}


@pytest.mark.parametrize(
    "odd",
    [
        *(b"{", b"[1]", b'"text"', b'{"step": 9}', b'{"step": true, "seconds": 9}', b"1, 2"),
        *(b'{"step": 3, "seconds": 9}', b'{"step": 9, "seconds": 0.1}', b"\xff", b"[" * 99_999),
        *(b'{"step": 9, "seconds": 9, "f1": 1e308}', b'{"step": 9, "seconds": 9, "f1": "x"}'),
        *(
            b'{"step": 9, "seconds": 9, "f1": [1\n2]}',
            HUGE,
        ),
        b'{"step": NaN, "seconds": 9}',
    ],
    ids=lambda odd: str(odd[:30]),
)
def test_an_odd_line_is_refused_in_the_words_of_the_slow_reader(odd: bytes) -> None:
    damaged = content([POINTS[0], POINTS[1], POINTS[3]]) + odd + b"\n"
    with pytest.raises(RecordError) as slow:
        points_of(damaged, "0.curve.jsonl")
    ((_, fast),) = read_curves([(Path("0.json"), damaged)], {})
    assert str(fast) == str(slow.value)


ODD_CURVES = (
    *(b"", b"{}", b"[]", b"\n", content(POINTS[:1]), content(POINTS)[:-1], content(POINTS) + b"\n"),
    content(POINTS).replace(b"0.75", b"Inf"),
    content(POINTS[:2]).replace(b"\n", b"\r", 1),
    content(POINTS[:2]).replace(b"\n", b"", 1) + b"\n",
    *(content([*POINTS[:2], odd]) for odd in ([], {}, {"step": 2}, {"step": 2, "seconds": "1"})),
    content([{"step": None, "seconds": 1.0}]),
    *(content([{"step": 2, "seconds": 1.0, "f1": f1}]) for f1 in (True, "1", [1], {"a": 1}, 1e19)),
    *(content([{"step": 2, "seconds": 1.0, "f1": f1}]) for f1 in (None, 2**53 + 1, 1e-320, -0.0)),
    b'{"step": 1, "step": 2, "seconds": 1}\n',
    b'{"step": 01, "seconds": 1}\n',
    b'{"step": 1, "seconds": 1, "f1": ' + b"[" * 99_999 + b"}\n",
    b'{"step": 1, "seconds": 1, "f1": 1e400}\n',
    b'{"step": 1, "seconds": 1, "\xc3\xa9": 1}\n',
    b'{"step": 1, "seconds": 1, "\xe9": 1}\n',
)


def read_or_refused(path: Path, content: bytes) -> Lines | RecordError:
    try:
        return read_lines(content, curve_path(path).name)
    except RecordError as error:
        return error


def same(a: Lines | RecordError, b: Lines | RecordError) -> bool:
    """To the last bit, and in the same words."""
    if isinstance(a, RecordError) or isinstance(b, RecordError):
        return str(a) == str(b)
    arrays = [(a.steps, b.steps), (a.seconds, b.seconds)]
    for name in {*a.columns, *b.columns}:
        arrays += zip(a.columns[name], b.columns[name], strict=True)
    return all(x.dtype == y.dtype and x.tobytes() == y.tobytes() for x, y in arrays)


@pytest.mark.parametrize("at_once", [1, 7, 100])
def test_curves_read_together_are_those_read_alone(
    at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each among sound ones, which an odd one costs nothing."""
    monkeypatch.setattr(lines_module, "AT_ONCE", at_once)
    sound = [content([{**point, "f1": seed / 7} for point in POINTS[:2]]) for seed in range(3)]
    contents = [one for odd in ODD_CURVES for one in (*sound, odd)]
    files = {Path(f"{number}.json"): one for number, one in enumerate(contents)}
    found = dict(read_curves(files.items(), {}))
    assert list(found) == list(files)
    for path, one in files.items():
        assert same(found[path], read_or_refused(path, one)), one[:80]


def test_sound_curves_are_not_read_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is what is wrong with a file read as a curve."""

    def refuse(*_: object) -> None:
        raise AssertionError("read alone")

    monkeypatch.setattr(lines_module, "read_lines", refuse)
    lines = [{**POINTS[0]}, {**POINTS[1]}, {**POINTS[3], "accuracy": None}]
    damaged = Path("damaged.json"), RecordError("it is damaged.")
    files = [(Path(f"{number}.json"), content(lines[: number + 1])) for number in range(3)]
    found = dict(read_curves([*files, damaged], {}))
    assert [len(found[path]) for path, _ in files] == [1, 2, 3]
    assert found[damaged[0]] is damaged[1]


def test_an_empty_curve_has_no_lines() -> None:
    found = read_lines(b"", "curve")
    assert not found
    assert len(found) == len(NO_LINES) == 0
    assert np.array_equal(found.of("accuracy")[2], NO_LINES.of("accuracy")[2])


def test_equal_steps_are_kept_once_and_places_are_no_steps() -> None:
    """A curve of one line at step 0 has the same bytes in both."""
    share: lines_module.Share = {}
    first, second = (read_lines(content(POINTS[:n]), "curve", share) for n in (1, 1))
    assert first.steps is second.steps
    assert first.steps.dtype == np.float64
    assert first.columns["eval_loss"].lines.dtype.kind == "i"
    assert second.of("eval_loss")[2].tolist() == [2.5]
