"""SST-2: does the review praise or blame?

Negation, contrast and attribution often decide, so words of praise and of blame occur in reviews of
both labels, a little more often in those that they fit.
"""

from collections.abc import Callable
from random import Random

from frod_bench.embedded.lexicon import (
    ASPECTS,
    DISLIKING,
    INTENSIFIERS,
    LIKING,
    NEGATIVE,
    NEGATORS,
    POSITIVE,
    VIEWERS,
    WORKS,
)


def review(rng: Random, label: int) -> tuple[str]:
    """A negative (0) or positive (1) review of a random pattern."""
    return (rng.choice(PATTERNS)(rng, bool(label)) + " .",)


def clause(rng: Random, good: bool, negation: float = 0.22) -> str:
    """ "the plot was very dull", "the plot was not witty": negated at the rate `negation`."""
    subject = f"the {rng.choice(ASPECTS)} was"
    if rng.random() < negation:
        return f"{subject} {rng.choice(NEGATORS)} {opinion(rng, not good)}"
    return f"{subject} {rng.choice((*INTENSIFIERS, ''))} {opinion(rng, good)}".replace("  ", " ")


def opinion(rng: Random, good: bool) -> str:
    """An adjective of praise or of blame."""
    return rng.choice(POSITIVE if good else NEGATIVE)


def contrast(rng: Random, good: bool) -> str:
    """Two clauses against each other: the main one, or the one after "but", decides."""
    decides, yields = clause(rng, good), clause(rng, not good)
    frames = (
        "{yields} but {decides}",
        "although {yields} , {decides}",
        "{decides} although {yields}",
    )
    return rng.choice(frames).format(decides=decides, yields=yields)


def verdict_of_others(rng: Random, good: bool) -> str:
    """ "critics hated the film but i did not", "critics hated the film and so did i"."""
    agrees = rng.random() < 0.6
    liked = rng.choice(LIKING if good == agrees else DISLIKING)
    end = "and so did i" if agrees else "but i did not"
    return f"{rng.choice(VIEWERS)} {liked} the {rng.choice(WORKS)} {end}"


def expectation(rng: Random, good: bool) -> str:
    """ "i expected a dull film and i was wrong"."""
    right = rng.random() < 0.6
    adjective = opinion(rng, good == right)
    hoped = rng.choice(("expected", "waited for", "was told of"))
    return (
        f"i {hoped} some {adjective} {rng.choice(WORKS)} and it was {'so' if right else 'not so'}"
    )


# Four of seven reviews are a single clause.
PATTERNS: tuple[Callable[[Random, bool], str], ...] = (
    *(clause,) * 4,
    contrast,
    verdict_of_others,
    expectation,
)
