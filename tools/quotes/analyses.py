"""What the pages of the analyses and of the method quote from the analyses' tables."""

import pandas as pd

from frod_bench.report.paired import THESE
from tools.analysis_tables import over_rates
from tools.processors import scores_of
from tools.quotes.found import MAIN, Quote, difference, in_words, number, pooled_spread, table

ANALYSES = "docs/reference/analyses_results.md"
METHOD = "docs/explanation/method.md"
RATES, ABLATION = "embedded/rate_robustness", "embedded/ablation"
BUDGETS, SEEDS = "embedded/budget_curve", "embedded/seed_robustness"
RELEASED, SIDE = "embedded/released_layer", "embedded/shared_side"
UPDATES = "embedded/update_spectrum"
OTHERS = ("full", "lora", "dora")
DIRECTIONS = 128  # of the layers of the embedded backbones
PICKED = (0.02, 1.0, 1.0)  # share, factors on the learning rates of lambda and S


def settings() -> "pd.Series[float]":
    """The mean score of each setting of the ablation."""
    found = table(ABLATION, "heat_map")
    overall = found[found["scope"] == "overall"]
    return overall.set_index(["sparse_rate", "lambda_factor", "rotation_factor"])["mean"]


def best_factor_gains() -> "pd.Series[float]":
    """By how much the best common factor is above the picked rates, by task and method."""
    found = table(RATES, "rate_curve")
    found = found[(found["scope"] == "task") & (found["quantity"] == "score")]
    by_factor = found.pivot(index=["task", "method"], columns="factor", values="mean")
    return by_factor.max(axis=1) - by_factor[1.0]


def of_shares(*, alone: bool = False) -> "pd.Series[float]":
    """The best mean score of each share of rotations; `alone` with lambda at its start."""
    found = settings().reset_index()
    return found[(found["lambda_factor"] == 0) | (not alone)].groupby("sparse_rate")["mean"].max()


def better_settings(task: str) -> float:
    """By how much the best setting of the ablation is above the picked rates on a task."""
    found = table(ABLATION, "heat_map")
    found = found[found["task"] == task]
    found = found.set_index(["sparse_rate", "lambda_factor", "rotation_factor"])["mean"]
    return float(found.max() - found[PICKED])


def at_picks(method: str) -> float:
    """The mean score of a method at its picked rates, on the tasks of the learning rates."""
    found = table(RATES, "rate_curve").set_index(["scope", "method", "quantity", "factor"])["mean"]
    return float(found["overall", method, "score", 1.0])


def budget(variant: str, task: str = "") -> "pd.Series[float]":
    """The row of a variant of the budgets, over all tasks or of one."""
    found = table(BUDGETS, "budget_curve")
    found = found[found["task"] == task] if task else found[found["scope"] == "overall"]
    return found.set_index("variant").loc[variant]


def without_the_failed_run() -> float:
    """The score of LoRA at rank 8 with the other seeds' mean for its lowest run of BoolQ."""
    boolq, tasks = budget("lora (r 8)", "boolq"), 3
    others = (boolq["n_cells"] * boolq["mean"] - boolq["low"]) / (boolq["n_cells"] - 1)
    return float(budget("lora (r 8)")["mean"] + (others - boolq["mean"]) / tasks)


def failed_seed(method: str, task: str) -> int:
    """The seed of the lowest of a method's ten runs on a task."""
    main = scores_of(MAIN)
    others = scores_of("analyses/embedded")
    found = pd.concat([main, others[others["seed"] > main["seed"].max()]], ignore_index=True)
    found = found[(found["method"] == method) & (found["task"] == task)]
    return int(found.loc[found["value"].idxmin(), "seed"])


def by_task(method: str) -> "pd.Series[float]":
    """FRoD minus a method in the mean over ten seeds, by task."""
    found = table(SEEDS, "seed_spread")
    means = found[found["scope"] == "task"].pivot(index="task", columns="method", values="mean")
    return means["frod"] - means[method]


def ahead(folder: str, method: str) -> tuple[float, float, float]:
    """FRoD minus a method on the tasks of an analysis: mean, and ends of its interval."""
    found = table(folder, "paired").set_index(["quantity", "method"])
    mean, low, high = found.loc[(THESE, method), ["mean", "low", "high"]]
    return mean, low, high


def primary(folder: str, scope: str) -> pd.DataFrame:
    """The mean scores of an analysis, by method."""
    found = table(folder, "main")
    found = found[(found["scope"] == scope) & (found["metric"] == "primary")]
    return found.set_index("method")


def sides(family: str) -> list[str]:
    """The mean scores of `frod` and `frod_smaller` in a family."""
    found = primary(SIDE, "family")
    by_method = found[found["family"] == family]["mean"]
    return [number(by_method[method]) for method in ("frod", "frod_smaller")]


def ranks() -> pd.DataFrame:
    """Median effective ranks by task and method."""
    found = table(UPDATES, "update_spectrum")
    return found.groupby(["task", "method"])["effective_rank"].median().unstack()


def score_of_released(method: str) -> float:
    """The mean score of a method next to the released layer."""
    return float(primary(RELEASED, "overall").loc[method, "mean"])


def rises() -> pd.DataFrame:
    """By how much the loss rises at half a filter norm, by task and method."""
    found = table("embedded/landscape", "landscape")
    return found.pivot(index="task", columns="centre", values="rise_0.5")


QUOTES = [
    Quote(
        ANALYSES,
        "Around FRoD's ends the loss rises about as much as around full fine-tuning's on eurosat "
        "and boolq, and less on rte. Around LoRA's ends it rises more than around FRoD's on all "
        "three tasks, around DoRA's on eurosat and rte.",
        holds=lambda: bool(
            (rises()["frod"] - rises()["full"])[["eurosat", "boolq"]].abs().max() < 0.025
            and rises().loc["rte", "frod"] < rises().loc["rte", "full"] - 0.025
            and (rises()["frod"] < rises()["lora"] - 0.015).all()
            and (rises()["frod"] < rises()["dora"] - 0.015)[["eurosat", "rte"]].all()
        ),
    ),
    Quote(
        "docs/explanation/statistics.md",
        "FRoD minus full fine-tuning spreads by {} points over seeds within a task",
        lambda: [number(pooled_spread(difference(MAIN, "frod", "full")))],
    ),
    Quote(
        ANALYSES,
        "No common factor does better than the picked rates by more than {} points on any task "
        "(FRoD on rte, two seeds)",
        lambda: [number(best_factor_gains().max())],
        lambda: best_factor_gains().idxmax() == ("rte", "frod"),
    ),
    Quote(
        ANALYSES,
        "The picked rates are {} points below the best of all {} settings",
        lambda: [number(settings().max() - settings()[PICKED]), str(len(settings()))],
        lambda: settings().max() - settings()[PICKED] < 0.5,
    ),
    Quote(
        ANALYSES,
        "From its own best score FRoD loses less with a wrong learning rate than LoRA and DoRA do, "
        "mostly with one that is too high. It is not shown to differ from full fine-tuning in "
        "this.",
        holds=lambda: (
            over_rates("area", "lora")[1] > 0
            and over_rates("area", "dora")[1] > 0
            and over_rates("area", "full")[1] < 0 < over_rates("area", "full")[2]
        ),
    ),
    Quote(
        ANALYSES,
        "FRoD's best score is lower, which helps it.",
        holds=lambda: at_picks("frod") < min(map(at_picks, OTHERS)),
    ),
    Quote(
        ANALYSES,
        "In the mean score itself over the five factors, no method is shown to differ from FRoD.",
        holds=lambda: all(
            over_rates("score", other)[1] < 0 < over_rates("score", other)[2] for other in OTHERS
        ),
    ),
    Quote(
        ANALYSES,
        "One of these runs ({}) makes most of the distance by which LoRA at rank 8 is below FRoD "
        "here: with the mean of its two other seeds in its place LoRA would score {}.",
        lambda: [
            number(budget("lora (r 8)", "boolq")["low"]),
            number(without_the_failed_run()),
        ],
        lambda: (
            budget("lora (r 8)")["mean"]
            < (budget("lora (r 8)")["mean"] + budget("frod (s 0.02)")["mean"]) / 2
            < without_the_failed_run()
        ),
    ),
    Quote(
        ANALYSES,
        "With ten seeds on the same tasks (below) FRoD is not shown to be ahead of LoRA",
        holds=lambda: ahead(SEEDS, "lora")[1] < 0,
    ),
    Quote(
        ANALYSES,
        "Rotations add one to three points to the scales alone",
        holds=lambda: bool((of_shares().drop(0.0) - of_shares()[0.0]).round().between(1, 3).all()),
    ),
    Quote(
        ANALYSES,
        "With three seeds s 0.02 is two points above s 0",
        holds=lambda: round(budget("frod (s 0.02)")["mean"] - budget("frod (s 0)")["mean"]) == 2,
    ),
    Quote(
        ANALYSES,
        "Rotations alone, with lambda at its start, are one to three points below rotations and "
        "scales together.",
        holds=lambda: bool(
            (of_shares() - of_shares(alone=True)).drop(0.0).round().between(1, 3).all()
        ),
    ),
    Quote(
        ANALYSES,
        "On eurosat and rte other settings are {} and {} points better",
        lambda: [number(better_settings(task)) for task in ("eurosat", "rte")],
    ),
    Quote(
        ANALYSES,
        "FRoD's distances rest on rte more than on the other two tasks.",
        holds=lambda: all(by_task(other).abs().idxmax() == "rte" for other in OTHERS),
    ),
    Quote(
        ANALYSES,
        "FRoD's failed on rte with seed {}, which the main table does not have. LoRA's failed on "
        "boolq with seed {}, which the main table has.",
        lambda: [str(failed_seed("frod", "rte")), str(failed_seed("lora", "boolq"))],
        lambda: failed_seed("frod", "rte") > 4 >= failed_seed("lora", "boolq"),
    ),
    Quote(
        ANALYSES,
        "The released layer is below the frozen backbone.",
        holds=lambda: score_of_released("frod_released") < score_of_released("frozen"),
    ),
    Quote(
        ANALYSES,
        "FRoD's update has the highest effective rank, about half of the 128 directions and more; "
        "full fine-tuning's is next, then DoRA's, and LoRA's stays below its rank of 8.",
        holds=lambda: bool(
            (ranks()["frod"] > 0.48 * DIRECTIONS).all()
            and (ranks()["frod"] > ranks()["full"]).all()
            and (ranks()["full"] > ranks()["dora"]).all()
            and (ranks()["lora"] < 8).all()
        ),
    ),
    Quote(
        METHOD,
        "The paper's choice is {} points ahead on the mean (95 % interval {}).",
        lambda: in_words(*ahead(SIDE, "frod_smaller")),
        lambda: ahead(SIDE, "frod_smaller")[1] < 0 < ahead(SIDE, "frod_smaller")[2],
    ),
    Quote(
        METHOD,
        "The scores of `frod` and `frod_smaller` are {} and {} in vision, {} and {} in reasoning",
        lambda: sides("vision") + sides("reasoning"),
    ),
    Quote(
        METHOD,
        "and {} and {} in language understanding",
        lambda: sides("nlu"),
    ),
]
