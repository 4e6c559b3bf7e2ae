"""Curves as columns: what they hold, and that odd lines are refused as line by line."""

import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from frod_bench.records import lines as lines_module
from frod_bench.records.lines import NO_LINES, read_lines
from frod_bench.records.schema import RecordError
from frod_bench.records.store import points_of

POINTS: list[dict[str, Any]] = [
    {"step": 0, "epoch": 0.0, "seconds": 0.0, "eval_loss": 2.5, "accuracy": 0},
    {"step": 1, "epoch": 0.5, "seconds": 0.25, "train_loss": 1.75, "lr_head": 0.1},
    {"step": 2, "epoch": 1.0, "seconds": 0.25, "train_loss": None, "accuracy": float("nan")},
    {"step": 3, "epoch": 1.5, "seconds": 0.75, "train_loss": 1.1, "eval_loss": 0.1 + 0.2},
]

HUGE = b'{"step": 1' + b"0" * 400 + b', "seconds": 9}'


def content(points: Sequence[object]) -> bytes:
    return "".join(json.dumps(point) + "\n" for point in points).encode()


def test_columns_are_the_finite_values_to_the_last_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("read line by line")

    monkeypatch.setattr(lines_module, "points_of", refuse)
    found = read_lines(content(POINTS), "curve")
    assert len(found) == len(POINTS)
    for name in ("train_loss", "eval_loss", "accuracy"):
        there = [p for p in POINTS if p.get(name) is not None and math.isfinite(p[name])]
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
    damaged = content(POINTS) + odd + b"\n"
    with pytest.raises(RecordError) as slow:
        points_of(damaged, "the curve")
    with pytest.raises(RecordError) as fast:
        read_lines(damaged, "the curve")
    assert str(fast.value) == str(slow.value)


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
