"""The eight GLUE tasks, in the Hub's columns, labels and splits."""

from collections.abc import Callable
from functools import partial

from frod_bench.embedded.lexicon import HOME, MARKET
from frod_bench.embedded.nlu.build import TEST_ROWS, TRAIN_ROWS, Maker, Rows, Writer
from frod_bench.embedded.nlu.pairs import (
    answered,
    entailed,
    graded,
    paraphrase,
    related,
    same_question,
)
from frod_bench.embedded.nlu.sentences import review, sentence

HUB_ID = "nyu-mll/glue"
Splits = dict[str, Rows]


def binary(name: str, columns: tuple[str, ...], make: Maker, seed: int) -> Splits:
    """The splits of a task with labels 0 and 1."""
    writer = Writer(name, seed, columns)
    return {
        "train": writer.labelled(make, 2, TRAIN_ROWS),
        "validation": writer.labelled(make, 2, TEST_ROWS),
    }


def stsb(seed: int) -> Splits:
    """Scores from 0 to 5."""
    writer = Writer("stsb", seed, ("sentence1", "sentence2"))
    return {
        "train": writer.scored(graded, TRAIN_ROWS),
        "validation": writer.scored(graded, TEST_ROWS),
    }


def mnli(seed: int) -> Splits:
    """Train and the matched split talk of things at home, the mismatched one of a market."""
    writer = Writer("mnli", seed, ("premise", "hypothesis"))
    return {
        "train": writer.labelled(partial(related, HOME), 3, TRAIN_ROWS),
        "validation_matched": writer.labelled(partial(related, HOME), 3, TEST_ROWS),
        "validation_mismatched": writer.labelled(partial(related, MARKET), 3, TEST_ROWS),
    }


SETS: dict[tuple[str, str], Callable[[int], Splits]] = {
    (HUB_ID, "cola"): partial(binary, "cola", ("sentence",), sentence),
    (HUB_ID, "sst2"): partial(binary, "sst2", ("sentence",), review),
    (HUB_ID, "mrpc"): partial(binary, "mrpc", ("sentence1", "sentence2"), paraphrase),
    (HUB_ID, "qqp"): partial(binary, "qqp", ("question1", "question2"), same_question),
    (HUB_ID, "qnli"): partial(binary, "qnli", ("question", "sentence"), answered),
    (HUB_ID, "rte"): partial(binary, "rte", ("sentence1", "sentence2"), entailed),
    (HUB_ID, "stsb"): stsb,
    (HUB_ID, "mnli"): mnli,
}
