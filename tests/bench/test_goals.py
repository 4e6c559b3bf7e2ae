"""What a run's numbers say of the goals."""

import dataclasses

import pytest

from frod_bench.bench import goals
from frod_bench.bench.floor import LayerTimes
from frod_bench.bench.goals import Verdict, judge
from frod_bench.bench.race import Race, Row


def row(method: str, tokens: int, **changes: object) -> Row:
    empty = Row(
        shape="roberta_base", compiled=False, rows=tokens // 128, length=128, tokens=tokens,
        threads=2, method=method, error=None, attach_sec=None, attach_cached_sec=None,
        step_sec=None, forward_sec=None, step_ratio={}, forward_ratio={}, peak_rss_bytes=None,
        peak_device_bytes=None, rounds_step_sec=[], rounds_forward_sec=[],
        rounds_attach_cached_sec=[],
    )  # fmt: skip
    return dataclasses.replace(empty, **changes)  # type: ignore[arg-type]


def layer(tokens: int, ratio: float, count: int = 1) -> LayerTimes:
    return LayerTimes("roberta_base", 8, 8, count, tokens, 1, [ratio], [1.0], [1.0])


def judged(race: Race) -> dict[str, Verdict]:
    return {verdict.name: verdict for verdict in judge(race, "cpu")}


def test_each_goal_reads_its_own_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(goals, "is_intel", lambda: True)
    race = Race(
        [
            row(
                "frod", 512, step_ratio={"full": 1.05}, forward_ratio={"frozen": 1.02},
                peak_rss_bytes=70,
            ),
            row("frod_peft", 512, step_ratio={"frod": 4.9}, peak_rss_bytes=60),
            row("frod", 512, shape="embedded_vit", step_ratio={"lora": 1.04}),
            row(
                "frod", 4096, step_ratio={"full": 1.3, "dora": 0.9}, forward_ratio={"frozen": 1.1},
                attach_sec=10.0, attach_cached_sec=1.5, peak_rss_bytes=80,
            ),
            row("frod_peft", 4096, step_ratio={"frod": 8.0}, attach_sec=30.0, peak_rss_bytes=100),
            row("full", 4096, peak_rss_bytes=100),
        ],
        [layer(512, 1.1, count=3), layer(512, 1.5), layer(4096, 1.2)],
    )  # fmt: skip
    found = {name: (verdict.measured, verdict.met) for name, verdict in judged(race).items()}
    assert found == {
        "step, 512 tokens, seconds of PEFT's FRoD / ours": (4.9, True),
        "step, 512 tokens, FRoD / full fine-tuning": (1.05, True),
        "step, embedded_encoder, FRoD / LoRA": (None, None),
        "step, embedded_decoder, FRoD / LoRA": (None, None),
        "step, embedded_vit, FRoD / LoRA": (1.04, True),
        "step, 4096 tokens, seconds of PEFT's FRoD / ours": (8.0, False),
        "step, 4096 tokens, FRoD / full fine-tuning": (1.3, False),
        "step, 4096 tokens, FRoD / DoRA": (0.9, True),
        "evaluation, 512 tokens, FRoD / the frozen model": (1.02, True),
        "evaluation, 4096 tokens, FRoD / the frozen model": (1.1, False),
        "attaching, seconds of PEFT's FRoD / ours": (3.0, True),
        "attaching from the cache, seconds": (1.5, False),
        "peak memory, 4096 tokens, FRoD / full fine-tuning": (0.8, True),
        "peak memory, 4096 tokens, FRoD / PEFT's FRoD": (0.8, True),
        "peak memory, 512 tokens, FRoD / PEFT's FRoD": (70 / 60, False),
        "seconds over the floor, 512 tokens, all layers": ((3 * 1.1 + 1.5) / 4, False),
        "seconds over the floor, 512 tokens, worst layer shape": (1.5, False),
        "seconds over the floor, 4096 tokens, all layers": (1.2, False),
        "seconds over the floor, 4096 tokens, worst layer shape": (1.2, True),
    }


def test_a_gpu_has_goals_of_its_own() -> None:
    changes = {"shape": "roberta_large"}
    race = Race(
        [
            row("frod", 16384, step_ratio={"full": 1.1}, **changes),
            row("frod", 16384, step_ratio={"full": 1.2}, compiled=True, **changes),
            row("frod_peft", 16384, step_ratio={"frod": 3.5}, **changes),
        ],
        [],
    )
    found = {verdict.name: verdict.met for verdict in judge(race, "cuda")}
    assert found == {
        "step, 16384 tokens, eager, seconds of PEFT's FRoD / ours": True,
        "step, 16384 tokens, eager, FRoD / full fine-tuning": True,
        "step, 16384 tokens, compiled, seconds of PEFT's FRoD / ours": None,
        "step, 16384 tokens, compiled, FRoD / full fine-tuning": False,
    }


def test_what_was_not_measured_is_neither_met_nor_missed() -> None:
    compiled = row("frod", 4096, compiled=True, step_ratio={"full": 1.0})
    other = row("frod", 4096, shape="roberta_large", step_ratio={"full": 1.0})
    verdicts = judge(Race([compiled, other], []), "cpu")
    assert len(verdicts) == 19
    assert {(verdict.measured, verdict.met) for verdict in verdicts} == {(None, None)}
