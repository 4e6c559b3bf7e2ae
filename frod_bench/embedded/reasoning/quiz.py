"""A multiple-choice question with its options in random order."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

LETTERS = "ABCDE"
DIGITS = "12345"


@dataclass(frozen=True)
class Quiz:
    """A question with options, of which the one at `answer` (0-based) is right."""

    question: str
    options: tuple[str, ...]
    answer: int


def quiz(rng: Random, question: str, right: str, wrong: Sequence[str]) -> Quiz:
    """The question with its options shuffled."""
    options = [right, *wrong]
    rng.shuffle(options)
    return Quiz(question, tuple(options), options.index(right))
