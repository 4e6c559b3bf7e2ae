"""The eight GLUE tasks, in the Hub's columns, labels and splits."""

from collections.abc import Callable, Iterator
from functools import partial
from random import Random
from typing import Any

from frod_bench.embedded.lexicon import HOME, MARKET
from frod_bench.embedded.nlu import pairs, sentences

HUB_ID = "nyu-mll/glue"
TRAIN_ROWS = 1200
TEST_ROWS = 500
LABEL_NOISE = 0.04  # share of the rows of every split that get a wrong label

Texts = tuple[str, ...]
Splits = dict[str, list[dict[str, Any]]]
Maker = Callable[[Random, int], Texts]  # a label -> the texts of an example with that label
# random numbers, the texts to avoid, a count -> the texts and the label of as many examples
Examples = Callable[[Random, set[Texts], int], Iterator[tuple[Texts, float]]]


def labelled(
    make: Maker, classes: int, rng: Random, seen: set[Texts], count: int
) -> Iterator[tuple[Texts, float]]:
    """Examples in random order, balanced over classes before `LABEL_NOISE`."""
    labels = [number % classes for number in range(count)]
    rng.shuffle(labels)
    for label in labels:
        while (texts := make(rng, label)) in seen:
            pass
        noise = rng.randrange(1, classes) if rng.random() < LABEL_NOISE else 0
        yield texts, (label + noise) % classes


def scored(rng: Random, seen: set[Texts], count: int) -> Iterator[tuple[Texts, float]]:
    """Examples of STS-B, with scores from 0 to 5."""
    for _ in range(count):
        while (example := pairs.graded(rng))[0] in seen:
            pass
        yield example


def draw(name: str, columns: Texts, splits: dict[str, Examples], seed: int) -> Splits:
    """Draw the splits of a task; no two rows, in any splits, have the same texts."""
    rng, seen, rows_of = Random(f"{name} {seed}"), set[Texts](), Splits()
    for split, examples in splits.items():
        rows_of[split] = []
        for texts, label in examples(rng, seen, TRAIN_ROWS if split == "train" else TEST_ROWS):
            seen.add(texts)
            row = dict(zip(columns, texts, strict=True))
            rows_of[split].append({**row, "label": label, "idx": len(rows_of[split])})
    return rows_of


def _validated(name: str, columns: Texts, examples: Examples) -> Callable[[int], Splits]:
    """The generator of a task with a training and a validation split."""
    return partial(draw, name, columns, dict.fromkeys(("train", "validation"), examples))


# A task with labels 0 and 1 -> its columns, and how an example with a label is made.
_BINARY: dict[str, tuple[Texts, Maker]] = {
    "cola": (("sentence",), sentences.sentence),
    "sst2": (("sentence",), sentences.review),
    "mrpc": (("sentence1", "sentence2"), pairs.paraphrase),
    "qqp": (("question1", "question2"), pairs.same_question),
    "qnli": (("question", "sentence"), pairs.answered),
    "rte": (("sentence1", "sentence2"), pairs.entailed),
}
# MNLI's training and matched splits are about things at home, the mismatched one about a market.
_AT_HOME, _AT_A_MARKET = (
    partial(labelled, partial(pairs.related, genre), 3) for genre in (HOME, MARKET)
)
_MNLI: dict[str, Examples] = {
    "train": _AT_HOME,
    "validation_matched": _AT_HOME,
    "validation_mismatched": _AT_A_MARKET,
}

# (Hub id, Hub config) -> seed -> split -> rows
SETS: dict[tuple[str, str], Callable[[int], Splits]] = {
    **{
        (HUB_ID, name): _validated(name, columns, partial(labelled, make, 2))
        for name, (columns, make) in _BINARY.items()
    },
    (HUB_ID, "stsb"): _validated("stsb", ("sentence1", "sentence2"), scored),
    (HUB_ID, "mnli"): partial(draw, "mnli", ("premise", "hypothesis"), _MNLI),
}
