"""Curvature at the start: what is measured, and what it is compared with."""

import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from frod_bench.analyses import curvature, hessian, picked_rates
from frod_bench.analyses.command import Context, Say, main
from frod_bench.analyses.curvature import ALONE, WITH_HEAD
from frod_bench.analyses.hessian import Surface
from frod_bench.analyses.picked_rates import QUANTITIES
from frod_bench.cells.cell import Cell
from frod_bench.common.errors import DoesNotFitError, InputError
from frod_bench.common.paths import REFERENCE_DIR
from frod_bench.report.figures import render
from tests.conftest import MakeCell

SMALL = ("tracker=none", "trainer.batch_rows=2", "trainer.train_rows=64", "trainer.curve_rows=16")


def numbers(**columns: list[float]) -> pd.DataFrame:
    """Measures of six methods in one family."""
    methods = ["full", "lora", "dora", "frod", "vera", "pissa"]
    frame = pd.DataFrame({"method": methods, **columns})
    for name in QUANTITIES:
        if name not in frame:
            frame[name] = 1.0
    return frame.assign(task="rte", family="nlu", seed=0, coordinates=ALONE, n=10, is_sound=True)


def test_ranks_of_planted_rates() -> None:
    """Rates in inverse proportion to the eigenvalue, and to the sign rate: -1 for both."""
    values = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0]
    found = numbers(eigenvalue=values, sign_rate=values)
    picks = {("nlu", m): 1 / v for m, v in zip(found["method"], values, strict=True)}
    points = picked_rates.pooled(found, picks)
    ranks = picked_rates.correlations(points).set_index("quantity")
    assert ranks.loc["eigenvalue", "spearman"] == pytest.approx(-1)
    assert ranks.loc["sign_rate", "spearman"] == pytest.approx(-1)
    assert ranks.loc["sign_rate", "expected_sign"] == 1
    few = picked_rates.correlations(picked_rates.pooled(found, dict(list(picks.items())[:3])))
    assert few["spearman"].isna().all()


@pytest.mark.parametrize(
    ("rates", "rho", "p"),
    [([4.0, 3.0, 2.0, 1.0], -1.0, 2 / 24), ([4.0, 3.0, 3.0, 1.0], -0.95, 4 / 24)],
)
def test_few_points_are_never_certain(rates: list[float], rho: float, p: float) -> None:
    """Of the 24 orders of four values two are the most extreme; of tied ones four."""
    found = picked_rates.rank_correlation(pd.Series([1.0, 2.0, 4.0, 8.0]), pd.Series(rates))
    assert found == (pytest.approx(rho, abs=0.01), pytest.approx(p))


def test_what_does_not_fit_a_backbone_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_cell: MakeCell
) -> None:
    def rows_of(cell: Cell, key: str, _: Say) -> list[dict[str, Any]]:
        if cell.method == "bitfit":
            raise DoesNotFitError("method=bitfit: trains biases")
        return [{"start": key, "method": cell.variant, "coordinates": ALONE, "eigenvalue": 1.0}]

    monkeypatch.setattr(curvature, "_rows_of", rows_of)
    said: list[str] = []
    cells = [make_cell("task=boolq", f"method={name}") for name in ("bitfit", "lora")]
    found = curvature.measure(cells, tmp_path, said.append)
    assert list(found["method"]) == ["lora"]
    assert any("boolq/bitfit/0 is left out: method=bitfit" in line for line in said)
    with pytest.raises(DoesNotFitError, match="trains biases"):
        curvature.measure(cells[:1], tmp_path, said.append)


def test_means_over_tasks_are_geometric_and_none_without_each_cell() -> None:
    found = numbers(eigenvalue=[1.0] * 6, sign_rate=[1.0] * 6)
    other = found.assign(task="sst2", eigenvalue=4.0, sign_rate=math.nan)
    points = picked_rates.pooled(pd.concat([found, other]), {})
    assert points["eigenvalue"].tolist() == pytest.approx([2.0] * 6)
    assert points["sign_rate"].isna().all()
    assert points["picked_rate"].isna().all()
    unsound = picked_rates.pooled(pd.concat([found, other.assign(is_sound=False)]), {})
    assert unsound["eigenvalue"].isna().all()


def test_a_cell_is_measured_in_both_coordinates_and_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(curvature, "BATCHES", 2)
    monkeypatch.setattr(hessian, "VECTORS", 4)
    monkeypatch.setattr(hessian, "RESTARTS", 1)
    root = tmp_path / "results"
    words = [f"results_root={root}", "task=rte", "method=lora,frod,frozen", "seed=0", *SMALL]
    main(["curvature", *words])
    captured = capsys.readouterr()
    assert "frozen is left out: it trains nothing beside the head" in captured.err
    written = [Path(line) for line in captured.out.splitlines()]
    assert {path.suffix for path in written} == {".md", ".tex", ".csv", ".png", ".pdf"}
    assert all(path.stat().st_size > 0 for path in written)
    found = pd.read_csv(root / "embedded/curvature/tables/curvature.csv")
    rows = found.set_index(["method", "coordinates"])
    assert len(found) == 4
    # LoRA's A has no gradient while B is 0: it does not move in the first step.
    assert rows.loc[("lora", ALONE), "moving"] == rows.loc[("lora", ALONE), "n"] / 2
    assert rows.loc[("frod", ALONE), "moving"] == rows.loc[("frod", ALONE), "n"]
    both, alone = (rows.xs(name, level="coordinates") for name in (WITH_HEAD, ALONE))
    assert (both["n"] > alone["n"]).all()
    assert (both["gradient_l1"] > alone["gradient_l1"]).all()
    assert (found["products"] > 0).all()
    points = pd.read_csv(root / "embedded/curvature/tables/curvature_points.csv")
    picked = points.set_index(["method", "coordinates"])["picked_rate"]
    searched = pd.read_csv(REFERENCE_DIR / "search/embedded/tables/picks.csv")
    own = searched[(searched["family"] == "nlu") & (searched["method"] == "frod")]
    assert picked[("frod", ALONE)] == own["lr_lambda"].item()
    assert not (root / "embedded/records").exists()


def test_a_start_is_measured_once_and_an_interrupted_analysis_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_cell: MakeCell
) -> None:
    measured: list[str] = []
    broken: set[str] = set()

    def rows_of(cell: Cell, key: str, _: Say) -> list[dict[str, Any]]:
        if cell.method in broken:
            raise KeyboardInterrupt
        measured.append(cell.variant)
        base = {"start": key, "method": cell.variant, "eigenvalue": len(measured) / 3}
        return [base | {"coordinates": name} for name in (ALONE, WITH_HEAD)]

    def methods(*cells: Cell) -> list[str]:
        measured.clear()
        found = curvature.measure(cells, folder, print)
        assert len(found) == 2 * len(cells)
        assert list(found["method"]) == [cell.variant for cell in cells for _ in range(2)]
        return list(measured)

    monkeypatch.setattr(curvature, "_rows_of", rows_of)
    folder = tmp_path / "tables"
    of = {name: make_cell("task=rte", f"method={name}") for name in ("lora", "frod", "bitfit")}
    faster = make_cell("task=rte", "method=lora", "rate_factors.all=2")
    broken.add("frod")
    with pytest.raises(KeyboardInterrupt):
        methods(*of.values())
    broken.clear()
    assert methods(of["bitfit"], of["lora"]) == ["bitfit"]  # lora was, before the interruption
    assert methods(*of.values()) == ["frod"]  # bitfit and lora are kept, though not all asked for
    assert methods(of["lora"], faster) == []  # learning rates do not change a start
    assert methods(of["lora"], faster) == []  # nor are rows doubled
    older = pd.read_csv(folder / curvature.STARTS)  # an older version had them in another table
    (folder / curvature.STARTS).rename(folder / "curvature.csv")
    assert methods(*of.values()) == []
    assert set(older["method"]) == set(of)
    others = {part: f"other {part}" for part in curvature.code_digests()}
    monkeypatch.setattr(curvature, "code_digests", lambda: others)
    assert methods(of["lora"]) == ["lora"]
    (folder / curvature.STARTS).write_text("")
    with pytest.raises(InputError, match=r"curvature_starts\.csv: cannot be read"):
        methods(of["lora"])


def test_a_sign_step_at_the_sign_rate_goes_to_the_minimum_along_it() -> None:
    """A quadratic with a known minimum, one of whose entries has no gradient and does not move."""
    curvatures = torch.tensor([1.0, 2.0, 8.0, 5.0], dtype=torch.float64)
    parameter = torch.nn.Parameter(torch.tensor([3.0, -1.0, 0.5, 0.0]).double())
    loss_at = lambda x: 0.5 * (curvatures * x**2).sum()  # noqa: E731
    found = curvature.curvature_of(Surface([parameter], lambda: loss_at(parameter).backward()))
    assert found["eigenvalue"] == pytest.approx(8)
    assert found["moving"] == 3
    signs = torch.tensor([1.0, -1.0, 1.0, 0.0]).double()
    losses = [
        float(loss_at(parameter.detach() - factor * found["sign_rate"] * signs))
        for factor in (0.9, 1.0, 1.1)
    ]
    assert losses[1] == min(losses)
    assert losses[0] == pytest.approx(losses[2])


def test_the_words_name_what_did_not_converge(tmp_path: Path) -> None:
    found = numbers().assign(is_sound=False, eigenvalue=math.nan)
    points = picked_rates.pooled(found, {})
    ranks = picked_rates.correlations(points)
    shown = curvature.table(
        found, points, ranks, Context("embedded", "Profile embedded.", tmp_path)
    )
    assert "6 eigenvalues did not converge" in shown.notes[-1]
    assert shown.rows[1].cells[2:5] == ("–", "1", "–")
    doubtful = curvature.table(
        found.assign(eigenvalue=3.0), points, ranks, Context("embedded", "", tmp_path)
    )
    assert doubtful.rows[1].cells[2:5] == ("–", "1", "–")


def test_the_figure_joins_the_methods_of_each_of_several_families(tmp_path: Path) -> None:
    values = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0]
    found = numbers(eigenvalue=values, sign_rate=values)
    other = found.assign(family="vision", task="svhn", sign_rate=math.nan)
    names = [(family, method) for family in ("nlu", "vision") for method in found["method"]]
    picks = dict(zip(names, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6] * 2, strict=True))
    context = Context("embedded", "Profile embedded.", tmp_path)

    def drawn(*parts: pd.DataFrame) -> tuple[str, list[list[str]], list[list[int]]]:
        points = picked_rates.pooled(pd.concat(parts), picks)
        drawing = curvature.draw(points, picked_rates.correlations(points), context)
        panels = render(drawing).axes
        texts = [[text.get_text() for text in ax.texts] for ax in panels]
        lines = [[n for line in ax.lines if (n := len(line.get_xdata())) > 2] for ax in panels]
        return drawing.caption, texts, lines

    caption, texts, lines = drawn(found, other)
    assert "Lines join" in caption
    assert texts == [["Language", "Vision"], ["Language"]]
    assert lines == [[6, 6], [6]]
    caption, texts, lines = drawn(found)
    assert "Lines join" not in caption
    assert [*texts, *lines] == [[]] * 4
