"""What the pages of the analyses and of the method quote from the analyses' tables."""

import pandas as pd

from frod_bench.report.paired import THESE
from tools.quotes.found import MAIN, Quote, difference, in_words, number, pooled_spread, table

ANALYSES = "docs/reference/analyses_results.md"
METHOD = "docs/explanation/method.md"
RATES, ABLATION = "embedded/rate_robustness", "embedded/ablation"
RELEASED, SIDE = "embedded/released_layer", "embedded/shared_side"
UPDATES = "embedded/update_spectrum"
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


QUOTES = [
    Quote(
        "docs/explanation/statistics.md",
        "FRoD minus full fine-tuning spreads by {} points over seeds within a task",
        lambda: [number(pooled_spread(difference(MAIN, "frod", "full")))],
    ),
    Quote(
        ANALYSES,
        "No common factor does better than the picked rates by more than about a point on any task",
        holds=lambda: bool(best_factor_gains().max() < 1.5),
    ),
    Quote(
        ANALYSES,
        "The picked rates have the highest mean of all {} settings",
        lambda: [str(len(settings()))],
        lambda: settings().idxmax() == PICKED,
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
