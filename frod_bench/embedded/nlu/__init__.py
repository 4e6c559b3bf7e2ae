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
LABEL_NOISE = (
    0.04  # share of the rows of every split that get a wrong label (of STS-B: SCORE_NOISE)
)

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


# Tasks with a training and a validation split -> their columns and examples.
_VALIDATED: dict[str, tuple[Texts, Examples]] = {
    "cola": (("sentence",), partial(labelled, sentences.sentence, 2)),
    "sst2": (("sentence",), partial(labelled, sentences.review, 2)),
    "mrpc": (("sentence1", "sentence2"), partial(labelled, pairs.paraphrase, 2)),
    "qqp": (("question1", "question2"), partial(labelled, pairs.same_question, 2)),
    "qnli": (("question", "sentence"), partial(labelled, pairs.answered, 2)),
    "rte": (("sentence1", "sentence2"), partial(labelled, pairs.entailed, 2)),
    "stsb": (("sentence1", "sentence2"), scored),
}
# MNLI's training and matched splits are about things at home, the mismatched one about a market.
_MNLI: dict[str, Examples] = {
    "train": partial(labelled, partial(pairs.related, HOME), 3),
    "validation_matched": partial(labelled, partial(pairs.related, HOME), 3),
    "validation_mismatched": partial(labelled, partial(pairs.related, MARKET), 3),
}

# (Hub id, Hub config) -> seed -> split -> rows
SETS: dict[tuple[str, str], Callable[[int], Splits]] = {
    (HUB_ID, name): partial(draw, name, columns, dict.fromkeys(("train", "validation"), examples))
    for name, (columns, examples) in _VALIDATED.items()
}
SETS[HUB_ID, "mnli"] = partial(draw, "mnli", ("premise", "hypothesis"), _MNLI)
