"""What the page on reasons quotes of curvature at the start of training."""

import functools

import numpy as np
import pandas as pd

from tools.differences import AREAS
from tools.quotes.found import Quote, number, table
from tools.quotes.why import WHY
from tools.searched_picks import picks_of

FOLDER = "embedded/curvature"


@functools.cache
def by_family() -> pd.DataFrame:
    """Geometric means and picked rates in the coordinates of the adapter, by family and method."""
    found = table(FOLDER, "curvature_points")
    return found[found["coordinates"] == "adapter"].set_index(["family", "method"])


def picked_over(ours: str, theirs: str) -> "pd.Series[float]":
    """Our picked rate over theirs, by family."""
    rates = by_family()["picked_rate"].unstack("method")
    return rates[ours] / rates[theirs]


def predicted_over(ours: str, theirs: str, power: float = 1) -> "pd.Series[float]":
    """The same as the inverse of the eigenvalue, or of a power of it, predicts."""
    values = by_family()["eigenvalue"].unstack("method")
    return (values[theirs] / values[ours]) ** power


def off_by(power: float) -> "pd.Series[float]":
    """By what factor LoRA's picked rate over full fine-tuning's is not the predicted one."""
    ratio = predicted_over("lora", "full", power) / picked_over("lora", "full")
    return np.exp(np.abs(np.log(ratio)))


@functools.cache
def starts() -> pd.DataFrame:
    """The eigenvalue of each start in the adapter's coordinates: methods are columns."""
    found = table(FOLDER, "curvature")
    found = found[found["coordinates"] == "adapter"]
    return found.set_index(["family", "task", "seed", "method"])["eigenvalue"].unstack("method")


def ratio_of_rates() -> float:
    """The smallest picked ratio of the rate of S to lambda's."""
    picks = picks_of("embedded").xs("frod", level="method")
    return float((picks["lr_rotation"] / picks["lr_lambda"]).min())


def above(power: int) -> list[bool]:
    """Whether FRoD's eigenvalue, times a power of that ratio, is above LoRA's, for each start in
    language understanding and reasoning.
    """
    found = starts().loc[["nlu", "reasoning"]]
    return list(ratio_of_rates() ** power * found["frod"] > found["lora"])


QUOTES = [
    Quote(
        WHY,
        "In size, inverse proportion to the eigenvalue is off by a factor of three to five. The "
        "inverse of the eigenvalue's square root, which is what scaled coordinates ask of Adam "
        "(above), is off by a factor of {} in every family.",
        lambda: [number(off_by(0.5).max())],
        lambda: (
            round(off_by(1).min()) == 3
            and round(off_by(1).max()) == 5
            and number(off_by(0.5).min()) == number(off_by(0.5).max())
        ),
    ),
    Quote(
        WHY,
        "it fails between FRoD and LoRA (below), where it predicts half of LoRA's rate in language "
        "understanding and {} times was picked.",
        lambda: [number(picked_over("frod", "lora")["nlu"])],
        lambda: round(predicted_over("frod", "lora", 0.5)["nlu"], 1) == 0.5,
    ),
    Quote(
        WHY,
        "{} times LoRA's rate would follow from the eigenvalues, and {} times was picked.",
        lambda: [
            number(found("frod", "lora")["vision"]) for found in (predicted_over, picked_over)
        ],
    ),
    Quote(
        WHY,
        "The smallest ratio of the two rates that was picked is {}. Counted in lambda's rate, the "
        "eigenvalue is at least {} times as large for gradient descent, and so still above LoRA's "
        "for all twelve pairs in language understanding and reasoning; by Adam's scaling it is at "
        "least {} times as large, which leaves one of them open.",
        lambda: [number(ratio_of_rates() ** power, 2) for power in (1, 1, 2)],
        lambda: above(1) == [True] * 12 and above(2).count(False) == 1,
    ),
    Quote(
        WHY,
        "the eigenvalues differ by up to {} times, less than the 1.78 between two rates of the "
        "grid, and the picks are the same.",
        lambda: [number(float((starts()["dora"] / starts()["lora"]).max()), 2)],
        lambda: bool(
            (picked_over("dora", "lora") == 1).all()
            and (starts()["lora"] / starts()["dora"]).max() < 1.36
            and set(picked_over("dora", "lora").index) == set(AREAS)
        ),
    ),
]
