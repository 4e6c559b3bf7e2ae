"""The analyses on cells of a few steps: what they measure, draw and say."""

import json
import math
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.contour import QuadContourSet

from frod_bench.analyses import expressible, landscape, spectrum
from frod_bench.analyses.command import Context, Kept, kept_cells, main
from frod_bench.analyses.updates import (
    Update,
    densified,
    layer_updates,
    start_of,
    target_layers,
)
from frod_bench.cells.cell import Cell
from frod_bench.cells.compose import composer, without_hydra
from frod_bench.cells.grid import compose_cells
from frod_bench.cli.exits import exit_statuses
from frod_bench.common.errors import InputError
from frod_bench.config import conversion
from frod_bench.config.settings import Settings
from frod_bench.methods.registry import Model
from frod_bench.records import store
from frod_bench.report.figures import render, save
from frod_bench.training import runner
from tests.conftest import SHORT

METHODS = "full,lora,dora,frod,frozen"
CAPTION = "Profile embedded, protocol fair."


def silent(_line: str) -> None:
    """Say nothing."""


def words(root: Path, methods: str = METHODS) -> list[str]:
    grid = ["task=rte", f"method={methods}", "seed=0"]
    return ["experiment=landscape", f"results_root={root}/results", *SHORT, *grid]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    """Cells of four steps, with their trained values."""
    root = tmp_path_factory.mktemp("insight")
    for cell in compose_cells(words(root))[1]:
        assert runner.execute(cell).status == "ok"
    return kept_cells(words(root))


def of(kept: Kept, method: str) -> Cell:
    return next(cell for cell in kept.cells if cell.method == method)


def last_loss(cell: Cell) -> float:
    lines = store.curve_path(cell.record_path).read_text().splitlines()
    return float(json.loads(lines[-1])["eval_loss"])


def context_in(folder: Path) -> Context:
    return Context("embedded (synthetic data)", CAPTION, folder)


def check_written(paths: list[Path], tables: list[str], figures: list[str]) -> None:
    names = [f"{name}.{kind}" for name in figures for kind in ("png", "pdf")]
    assert {path.name for path in paths} == {*tables, *names}
    assert {path.parent.name for path in paths} == {"tables", "figures"}
    assert all(path.stat().st_size > 0 for path in paths)


def test_the_plane_around_an_end_has_the_trained_models_own_loss_at_its_centre(
    kept: Kept, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(landscape, "STEPS", 3)
    cells = [of(kept, method) for method in ("full", "frod", "frozen")]
    points = landscape.measure(cells, silent)
    assert list(dict.fromkeys(points["centre"])) == ["start", "full", "frod", "frozen"]
    assert len(points) == 4 * 9
    at_centre = points[(points["a"] == 0) & (points["b"] == 0)].set_index("centre")["loss"]
    for cell in cells:
        assert at_centre[cell.method] == pytest.approx(last_loss(cell), rel=1e-5)
    first = store.curve_path(cells[0].record_path).read_text().splitlines()[0]
    assert at_centre["start"] == pytest.approx(json.loads(first)["eval_loss"], rel=1e-5)
    assert points.groupby("centre")["loss"].nunique().min() == 9  # both directions move it
    summary = landscape.rises(points)
    assert summary["loss"].tolist() == at_centre[summary["centre"]].tolist()
    monkeypatch.setattr(landscape, "measure", lambda cells, say: points)
    tables = [*(f"landscape.{kind}" for kind in ("md", "tex", "csv")), "landscape_points.csv"]
    check_written(landscape.analyze(cells, context_in(tmp_path), silent), tables, ["landscape"])


def test_directions_have_the_norm_of_each_filter_and_depend_on_the_seed_alone() -> None:
    generator = torch.Generator().manual_seed(5)
    weights = {name: torch.randn(7, 5, generator=generator) for name in ("b", "a")}
    weights["a"][2] = 0
    first, second = landscape.directions_of(weights, 0)
    for direction in (first, second):
        for name, weight in weights.items():
            torch.testing.assert_close(direction[name].norm(dim=1), weight.norm(dim=1))
    cosine = torch.sum(first["b"] * second["b"]) / first["b"].norm() / second["b"].norm()
    assert abs(cosine) < 0.7
    again, _ = landscape.directions_of(dict(reversed(weights.items())), 0)
    other, _ = landscape.directions_of(weights, 1)
    assert torch.equal(first["b"], again["b"])
    assert not torch.allclose(first["b"], other["b"])


def test_a_plane_is_measured_where_it_says_and_leaves_the_weights() -> None:
    layer = torch.nn.Linear(2, 2, bias=False)
    before = layer.weight.detach().clone()
    one, two = torch.tensor([[1.0, 0.0], [0.0, 0.0]]), torch.tensor([[0.0, 0.0], [0.0, 1.0]])
    losses = landscape.plane(
        {"x": layer},
        ({"x": one}, {"x": two}),
        np.array([-1.0, 0.0, 2.0]),
        lambda: float((layer.weight - before)[0, 0] + 10 * (layer.weight - before)[1, 1]),
    )
    expected = np.array([[-11, -1, 19], [-10, 0, 20], [-8, 2, 22]])
    np.testing.assert_allclose(losses, expected, atol=1e-5)
    assert torch.equal(layer.weight, before)


def test_a_method_that_starts_elsewhere_has_a_start_of_its_own(kept: Kept) -> None:
    settings = of(kept, "frod").settings
    plain, adapted = (densified(start_of(settings), settings) for _ in range(2))
    assert landscape.is_same(adapted, plain)
    next(iter(target_layers(adapted, settings).values())).weight.mul_(2)  # type: ignore[operator,union-attr]
    assert not landscape.is_same(adapted, plain)


@pytest.mark.parametrize("method", ["full", "lora", "dora", "frod"])
def test_plain_layers_with_the_updates_are_the_trained_model(kept: Kept, method: str) -> None:
    cell = of(kept, method)
    settings = cell.settings
    trained = runner.restore_trained(cell).eval()
    dense = densified(trained, settings)
    batch = runner.load_data(settings)
    inputs = batch.collate(batch.validation[:4])
    inputs.pop("labels")
    with torch.no_grad():
        torch.testing.assert_close(dense(**inputs), trained(**inputs), rtol=1e-4, atol=1e-5)
    pretrained = target_layers(runner.build_model(settings, 2), settings)
    updates = layer_updates(cell)
    assert set(updates) == set(pretrained)
    for name, layer in target_layers(dense, settings).items():
        before = pretrained[name].weight.double()  # type: ignore[union-attr,operator]
        moved = layer.weight.double() - before  # type: ignore[union-attr,operator]
        torch.testing.assert_close(updates[name].change, moved, rtol=0, atol=1e-6)
        assert updates[name].change.norm() > 1e-5


def test_spectra_of_all_methods(
    kept: Kept, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = spectrum.measure(kept.cells, silent)
    layers = found.layers.set_index("method")
    assert list(dict.fromkeys(layers.index)) == METHODS.split(",")
    assert (layers.loc["full", "cosine_with_full"] > 1 - 1e-9).all()
    assert (layers.loc["lora", "effective_rank"] <= 8 + 1e-6).all()  # its r
    assert (layers.loc["frod", "effective_rank"] > 8).all()
    assert (layers.loc["frozen", "relative_norm"] == 0).all()
    assert layers.loc["frozen", ["effective_rank", "cosine_with_full"]].isna().all(axis=None)
    lines = found.lines.set_index(["method", "index"])
    assert "frozen" not in set(found.lines["method"])
    assert lines.loc[("lora", 9), "high"] < 1e-6 < lines.loc[("full", 9), "low"]
    monkeypatch.setattr(spectrum, "measure", lambda cells, say: found)
    tables = [f"update_spectrum.{suffix}" for suffix in ("md", "tex", "csv")]
    paths = spectrum.analyze(kept.cells, context_in(tmp_path), silent)
    check_written(paths, [*tables, "update_spectrum_lines.csv"], ["update_spectrum"])
    assert "| Frozen | 0.00 [0.00, 0.00] | – |" in paths[0].read_text()


def test_what_could_express_the_updates(
    kept: Kept, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def of_one_block(record_path: Path) -> dict[str, Update]:
        updates = layer_updates(record_path)
        return {name: update for name, update in updates.items() if ".0." in name}

    monkeypatch.setattr(expressible, "layer_updates", of_one_block)
    monkeypatch.setattr(expressible, "RANKS", (1, 8))
    cells = [of(kept, method) for method in ("full", "lora", "frod")]
    layers = expressible.measure(cells, silent)
    assert layers["settled"].all()
    errors = layers.set_index(["method", "parametrisation", "budget"])["error"]
    assert errors.loc[("lora", expressible.LOW_RANK, "rank 8")].max() < 1e-6
    assert errors.loc[("lora", expressible.LOW_RANK, "rank 1")].min() > 0.01
    # The cell's own V, U and support, read off a model that was never attached to.
    assert errors.loc[("frod", expressible.SPARSE, expressible.OWN)].max() < 1e-4
    assert errors.loc[("frod", expressible.ON_AXIS, expressible.SCALES)].min() > 0.01
    same = layers[layers["budget"] == "rank 8"].groupby(["method", "layer"])["trained"]
    assert (same.nunique() == 1).all()
    pooled = expressible.pooled(layers)
    full = pooled[pooled["method"] == "full"].set_index(["parametrisation", "budget"])
    one = layers[(layers["method"] == "full") & (layers["budget"] == "rank 1")]
    one = one[one["parametrisation"] == expressible.LOW_RANK]
    expected = math.sqrt(one["residual"].sum() / one["total"].sum())
    assert full.loc[(expressible.LOW_RANK, "rank 1"), "error"] == pytest.approx(expected)
    share = full.loc[(expressible.RANDOM, "rank 8"), "percent"] / 100
    assert share == pytest.approx(one["trained"].sum() * 8 / one["weights"].sum())
    monkeypatch.setattr(expressible, "measure", lambda cells, say: layers)
    tables = [*(f"expressible.{kind}" for kind in ("md", "tex", "csv")), "expressible_layers.csv"]
    check_written(expressible.analyze(cells, context_in(tmp_path), silent), tables, ["expressible"])


def test_ranks_at_which_a_layer_would_be_full_are_left_out() -> None:
    assert expressible.common_ranks([(128, 128), (256, 128)]) == [1, 2, 4, 8, 16, 32]
    assert expressible.common_ranks([(128, 128), (512, 128)]) == [1, 2, 4, 8, 16]
    assert expressible.common_ranks([(4, 64)]) == [1, 2]


def test_planes_with_infinite_losses_are_drawn(tmp_path: Path) -> None:
    axis = (-0.5, 0.0, 0.5)
    points = pd.DataFrame(
        [
            {"task": "rte", "family": "nlu", "seed": seed, "centre": "full", "method": "full"}
            | {"a": a, "b": b, "loss": math.inf if a == b == 0.5 else 1 + a * a + b}
            for seed in (0, 1)
            for a in axis
            for b in axis
        ]
    )
    drawing = landscape.draw(points[points["seed"] == 0], context_in(tmp_path))
    figure = render(drawing)
    (shown,) = [text.get_text() for text in figure.axes[0].texts]
    assert shown == "1.000 [0.50, 1.75]"  # the highest finite loss
    plt.close(figure)
    assert len(save({"landscape_seed_0": drawing}, tmp_path)) == 2


def test_lines_show_a_panel_whose_losses_hardly_differ(tmp_path: Path) -> None:
    """Colours are shared with a panel of much larger losses."""
    axis = np.linspace(-0.5, 0.5, 5)
    points = pd.DataFrame(
        [
            {"task": "rte", "seed": 0, "centre": centre, "a": a, "b": b}
            | {"loss": base + 0.01 * (a * a + b * b)}
            for centre, base in (("start", 5.0), ("full", 0.4))
            for a in axis
            for b in axis
        ]
    )
    figure = render(landscape.draw(points, context_in(tmp_path)))
    planes = figure.axes[:2]
    lines = [line for ax in planes for line in ax.collections if isinstance(line, QuadContourSet)]
    assert [sum(len(path.vertices) > 0 for path in line.get_paths()) for line in lines] == [7, 7]
    plt.close(figure)


SHARED = "The start is shared: before the first step these methods compute the same."
APART = (
    "The start is that of Full FT, FRoD: before the first step they compute the same. Elsewhere, "
    "with panels of their own: the start of FRoD (released)."
)


@pytest.mark.parametrize(
    ("centres", "sentence"),
    [
        (["start", "full", "frod"], SHARED),
        (["start", "start of frod_released", "full", "frod", "frod_released"], APART),
        (["full", "frod"], ""),
    ],
)
def test_the_planes_say_whose_start_is_shown(centres: list[str], sentence: str) -> None:
    points = pd.DataFrame(
        [
            {"task": "rte", "seed": 0, "centre": centre, "a": a, "b": b, "loss": 1 + a * a + b * b}
            for centre in centres
            for a in (-0.5, 0.0, 0.5)
            for b in (-0.5, 0.0, 0.5)
        ]
    )
    figure = render(landscape.draw(points, Context("embedded", CAPTION, Path())))
    figure.canvas.draw()  # lays it out
    texts = [" ".join(text.get_text().split()) for text in figure.texts]
    (caption,) = [text for text in texts if text.startswith("Held-out loss")]
    assert caption.endswith(f"the lowest and the highest. {sentence} {CAPTION}".replace("  ", " "))
    *_, last, bar = figure.axes
    assert last.get_title() == ("FRoD (released)" if centres[-1] == "frod_released" else "FRoD")
    assert bar.get_position().x0 > last.get_position().x1  # the scale covers no plane
    plt.close(figure)


def test_missing_runs_are_reported_with_their_command(kept: Kept, tmp_path: Path) -> None:
    root = kept.cells[0].results_dir.parents[1]
    some = kept_cells(words(root, "full,lora,vera"))
    assert [cell.method for cell in some.cells] == ["full", "lora"]
    assert some.lacking[0] == "rte/vera/0: no trained values"
    assert "python -m frod_bench.run -m experiment=landscape" in some.lacking[1]
    with pytest.raises(InputError, match=r"none of its 1 runs.*frod_bench.run -m"):
        kept_cells(words(tmp_path, "full"))
    with pytest.raises(InputError, match=r"save=none.*update_spectrum"):
        kept_cells([*words(tmp_path, "full"), "save=none"])
    assert not any(path.name == "results" for path in tmp_path.iterdir())


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (["landscap"], "'landscap': is not an action of analyze. Did you mean 'landscape'"),
        ([], "No analysis is named. Allowed: curvature, expressible, landscape, spectrum"),
        (["spectrum", "method=frdo"], "Did you mean 'frod'"),
        (
            ["spectrum", "experiment=main_table", "task=rte", "method=full"],
            "keeps no trained models",
        ),
    ],
)
def test_bad_input_is_one_message_and_status_two(
    line: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended, exit_statuses():
        main(line)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_directions_have_the_norms_of_the_pretrained_weights(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if the first method starts elsewhere, as the released layer does at twice the weight."""

    def doubled(settings: Settings) -> Model:
        model = start_of(settings)
        for layer in target_layers(model, settings).values():
            layer.weight.data.mul_(2)  # type: ignore[operator,union-attr]
        return model

    seen: list[landscape.Weights] = []
    draw = landscape.directions_of

    def noted(weights: landscape.Weights, seed: int) -> tuple[landscape.Weights, landscape.Weights]:
        seen.append(weights)
        return draw(weights, seed)

    monkeypatch.setattr(landscape, "start_of", doubled)
    monkeypatch.setattr(landscape, "directions_of", noted)
    monkeypatch.setattr(landscape, "STEPS", 3)
    cell = of(kept, "full")
    landscape.measure([cell], silent)
    (weights,) = seen
    plain = target_layers(runner.build_model(cell.settings, 2), cell.settings)
    assert weights.keys() == plain.keys()
    for name, layer in plain.items():
        assert torch.equal(weights[name], layer.weight)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("words", "rate"),
    [
        ("profile=paper task=eurosat method=full", 0.01),
        ("profile=paper task=rte method=full", 0.02),
        ("profile=embedded task=eurosat method=full", 0.02),
        ("profile=paper task=eurosat method=frod method.sparse_rate=0.3", 0.3),
    ],
)
def test_frods_own_budget_is_that_of_the_profile(words: str, rate: float) -> None:
    with composer() as compose_one:
        config = without_hydra(compose_one(words.split()))
    config.seed = 0
    assert expressible.own_sparse_rate(conversion.resolve(config)) == rate


def test_a_plan_of_an_analysis_measures_nothing(
    kept: Kept, capsys: pytest.CaptureFixture[str]
) -> None:
    root = kept.cells[0].results_dir.parents[1]
    main(["landscape", *words(root)[1:], "plan_only=true"])
    assert "landscape would read 5 cells." in capsys.readouterr().err
    assert not (kept.cells[0].results_dir / "landscape").exists()
