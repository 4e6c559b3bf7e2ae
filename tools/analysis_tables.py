"""Short tables of what the analyses of the synthetic data found, from their published files."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from frod_bench.report.keys import Task
from frod_bench.report.names import label, method_named
from frod_bench.report.paired import minus
from frod_bench.report.table import pipes
from frod_bench.stats.estimates import Estimate, mean_interval
from tools.differences import AREAS, OTHERS, REFERENCE, frod_minus, head, with_interval
from tools.searched_picks import picks_of

METHODS = ("full", "lora", "dora", "frod")
FROD_AT = "FRoD over LoRA, lowest and highest start"
# Budgets of `expressible` that are shown: FRoD's own, and low ranks at about it and above it.
BUDGETS = ("rank 2", "FRoD's own", "rank 8")
WAYS = {
    "low rank": "truncated SVD",
    "on axis + sparse": "FRoD's basis and support",
    "random subspace": "random subspace",
}


def rates() -> str:
    """Scores at a factor on all of a method's learning rates, and areas under them."""
    found = _table("rate_robustness", "rate_curve")
    overall = found[found["scope"] == "overall"]
    scores = overall[overall["quantity"] == "score"].pivot(
        index="method", columns="factor", values="mean"
    )
    areas = overall[overall["quantity"] == "area"].set_index("method")
    in_tasks = found[found["scope"] == "task"]
    in_tasks = in_tasks[in_tasks["quantity"] == "score"]
    best = in_tasks.groupby(["task", "method"])["mean"].transform("max") == in_tasks["mean"]
    at_pick = in_tasks[best & (in_tasks["factor"] == 1)]["method"].value_counts()
    columns = [f"× {factor:g}" for factor in scores.columns]
    columns += ["mean", f"best at × 1, of {in_tasks['task'].nunique()} tasks", "area"]
    columns += ["FRoD's mean minus its", "FRoD's area minus its"]
    lines = head("points", columns)
    for method in METHODS:
        row = scores.loc[method]
        others = ["", ""]
        if method != "frod":
            distances = (over_rates(quantity, method) for quantity in ("score", "area"))
            others = [with_interval(*distance[:3]) for distance in distances]
        area = with_interval(*areas.loc[method, ["mean", "low", "high"]])
        cells = [
            *_points([*row, row.mean(skipna=False)]),
            f"{at_pick.get(method, 0)}",
            area,
            *others,
        ]
        lines.append(pipes([_name(method), *cells]))
    return "\n".join(lines)


def over_rates(quantity: str, other: str) -> Estimate:
    """FRoD minus a method over tasks: of the mean scores over the factors, or of the areas."""
    found = _table("rate_robustness", "rate_curve")
    found = found[(found["scope"] == "task") & (found["quantity"] == quantity)]
    means = found.groupby(["task", "method"])["mean"].agg(lambda of: of.mean(skipna=False))
    of_tasks = means.unstack()
    return mean_interval(of_tasks["frod"] - of_tasks[other])


def budgets() -> str:
    """Scores over trained parameters, cheapest first."""
    found = _table("budget_curve", "budget_curve")
    found = found[found["scope"] == "overall"].sort_values("percent", kind="stable")
    lines = head("variant", ["trained, % of the backbone", "score", "range over seeds"])
    for row in found.itertuples():
        cells = [f"{row.percent:.1f}", f"{row.mean:.1f}", f"{row.low:.1f} to {row.high:.1f}"]
        name, _, setting = row.variant.rstrip(")").partition(" (")
        lines.append(pipes([label(method_named(name, setting), in_text=True), *cells]))
    return "\n".join(lines)


def shares() -> str:
    """What the rotations add: for each share the score at the picked rates and the best of all."""
    found = _table("ablation", "heat_map")
    found = found[found["scope"] == "overall"]
    columns = ["at the picked rates", "best", "there λ's rate", "there S's rate", "settings"]
    columns.append("S alone, best")
    lines = head("share s of rotations", columns)
    for share, of_share in found.groupby("sparse_rate"):
        picked = of_share[(of_share["lambda_factor"] == 1) & (of_share["rotation_factor"] == 1)]
        best = of_share.loc[of_share["mean"].idxmax()]
        cells = [*_points([picked["mean"].item(), best["mean"]]), f"× {best['lambda_factor']:g}"]
        alone = of_share[of_share["lambda_factor"] == 0]["mean"].max()
        of_s = [f"× {best['rotation_factor']:g}", f"{len(of_share)}", f"{alone:.1f}"]
        cells += of_s if share else ["–", f"{len(of_share)}", "–"]
        lines.append(pipes([f"{share:g}", *cells]))
    return "\n".join(lines)


def seeds() -> str:
    """Spread over ten seeds, and the paired differences of their means."""
    found = _table("seed_robustness", "seed_spread")
    of_tasks = found[found["scope"] == "task"]
    columns = [*METHODS, "frozen"]
    lines = head("points", [_name(method) for method in columns])
    for task, of_task in of_tasks.groupby("task", sort=False):
        spreads = of_task.set_index("method")["spread"]
        lines.append(
            pipes([f"standard deviation, {label(Task(task))}", *_points(spreads[columns])])
        )
    overall = found[found["scope"] == "overall"].set_index("method").loc[columns]
    lines.append(pipes(["mean of them", *_points(overall["spread"])]))
    lines.append(pipes(["mean score", *_points(overall["mean"])]))
    distances = frod_minus("embedded/seed_robustness")
    lines.append(pipes(["FRoD minus it", *(distances.get(method, "") for method in columns)]))
    return "\n".join(lines)


def released() -> str:
    """The released layer's score, and FRoD's distance from it and others on the same tasks."""
    main = _table("released_layer", "main")
    means = main[(main["scope"] == "overall") & (main["metric"] == "primary")].set_index("method")
    distances = frod_minus("embedded/released_layer")
    lines = head("points", ["score", "FRoD minus it"])
    lines.append(pipes(["FRoD", *_points([means.loc["frod", "mean"]]), ""]))
    for method in ("frod_released", "frozen", "full"):
        score = _points([means.loc[method, "mean"]])
        lines.append(pipes([_name(method), *score, distances[method]]))
    return "\n".join(lines)


def updates() -> str:
    """Size and rank of the learned updates: medians over layers and seeds."""
    found = _table("update_spectrum", "update_spectrum")
    columns = {
        "relative_norm": "size, % of the weight",
        "effective_rank": "effective rank",
        "cosine_with_full": "cosine with full fine-tuning's",
    }
    lines = head("task, method", list(columns.values()))
    for task, of_task in found.groupby("task", sort=False):
        middle = of_task.groupby("method")[list(columns)].median()
        for method in METHODS:
            size, rank, cosine = middle.loc[method]
            cells = [f"{100 * size:.0f}", f"{rank:.0f}", f"{cosine:.2f}"]
            lines.append(pipes([f"{label(Task(task))}, {_name(method)}", *cells]))
    return "\n".join(lines)


def expressible() -> str:
    """Relative error, %, with which full fine-tuning's update can be approached."""
    found = _table("expressible", "expressible")
    found = found[found["method"] == "full"]
    errors = found.groupby(["task", "budget", "parametrisation"])["error"].mean().unstack()
    sizes = found.groupby(["task", "budget"])["percent"].mean()
    lines = head("task, budget", ["values, % of the weights", *WAYS.values()])
    for task in dict.fromkeys(found["task"]):
        for budget in BUDGETS:
            row = errors.loc[task, budget]
            cells = ["–" if np.isnan(row[way]) else f"{100 * row[way]:.0f}" for way in WAYS]
            size = f"{sizes.loc[task, budget]:.1f}"
            lines.append(pipes([f"{label(Task(task))}, {budget}", size, *cells]))
    return "\n".join(lines)


def landscapes() -> str:
    """By how much the held-out loss rises at half a filter norm around each method's end."""
    found = _table("landscape", "landscape")
    rises = found.pivot(index="task", columns="centre", values="rise_0.5")
    centres = ("start", *METHODS)
    lines = head("task", ["the start", *map(_name, METHODS)])
    for task in dict.fromkeys(found["task"]):
        lines.append(
            pipes([label(Task(task)), *(minus(f"{rises.loc[task, at]:.2f}") for at in centres)])
        )
    return "\n".join(lines)


def curvatures() -> str:
    """Largest eigenvalue at the start (geometric mean, adapter alone) next to the picked rate."""
    found = _table("curvature", "curvature")
    found = found[(found["coordinates"] == "adapter") & found["is_sound"]]
    picks = picks_of("embedded")
    lines = head("", [*map(_name, METHODS), FROD_AT])
    for family, area in AREAS.items():
        values = found[found["family"] == family].pivot(
            index=["task", "seed"], columns="method", values="eigenvalue"
        )
        means = np.exp(np.log(values).mean())
        ratio = values["frod"] / values["lora"]
        cells = [f"{means[method]:#.3g}" for method in METHODS]
        between = f"{ratio.min():#.2g} to {ratio.max():#.2g}"
        lines.append(pipes([f"{area}: largest eigenvalue", *cells, between]))
        picked = [f"{_picked(picks.loc[family, method]):.2g}" for method in METHODS]
        lines.append(pipes(["picked rate", *picked, ""]))
    return "\n".join(lines)


def _picked(pick: "pd.Series[float]") -> float:
    """The rate of a method's own parameters; FRoD's is lambda's."""
    return float(pick[["lr_lambda", "lr_adapter", "lr_backbone"]].dropna().iloc[0])


def _table(analysis: str, name: str) -> pd.DataFrame:
    """A published table of an analysis."""
    return pd.read_csv(REFERENCE / "embedded" / analysis / "tables" / f"{name}.csv")


def _points(values: Sequence[float] | pd.Series) -> Iterator[str]:
    return (f"{value:.1f}" for value in values)


def _name(method: str) -> str:
    return OTHERS.get(method) or label(method_named(method), in_text=True)
