"""CoLA: is the sentence grammatical?

Each construction is a sentence with a choice of two fillers of which the context licenses one. Both
fillers occur in acceptable and unacceptable sentences, so that no word gives the label away: words
at a distance have to be related.
"""

from collections.abc import Callable
from random import Random

from frod_bench.embedded.lexicon import COUNT_NOUNS, INTRANSITIVES, TRANSITIVES
from frod_bench.embedded.world import MEN, WOMEN

PREPOSITIONS = ("near", "behind", "with", "beside")
# auxiliary -> which form of (plural, singular, past, -ing) it takes
AUXILIARIES = {"will": 0, "can": 0, "must": 0, "is": 3, "was": 3}


def sentence(rng: Random, label: int) -> tuple[str]:
    """An acceptable (1) or unacceptable (0) sentence of a random construction."""
    return (rng.choice(CONSTRUCTIONS)(rng, bool(label)),)


def agreement_over_phrase(rng: Random, good: bool) -> str:
    """ "the dog near the cows sleeps": the verb agrees with the head, not with its neighbour."""
    number = rng.randrange(2)
    head, neighbour = rng.sample(COUNT_NOUNS, 2)
    verb = rng.choice(INTRANSITIVES)
    phrase = f"{rng.choice(PREPOSITIONS)} the {neighbour[rng.randrange(2)]}"
    return f"the {head[number]} {phrase} {verb[_verb_form(number, good)]} ."


def agreement_over_clause(rng: Random, good: bool) -> str:
    """ "the dogs that the boy likes sleep": the verb agrees with the head of the clause."""
    number, inner_number = rng.randrange(2), rng.randrange(2)
    head, inner = rng.sample(COUNT_NOUNS, 2)
    likes = rng.choice(TRANSITIVES)[_verb_form(inner_number, True)]
    verb = rng.choice(INTRANSITIVES)[_verb_form(number, good)]
    return f"the {head[number]} that the {inner[inner_number]} {likes} {verb} ."


def auxiliary(rng: Random, good: bool) -> str:
    """ "the dog will sleep", "the dog is sleeping" and not the other way round."""
    word = rng.choice(tuple(AUXILIARIES))
    form = AUXILIARIES[word] if good else 3 - AUXILIARIES[word]
    verb = rng.choice(INTRANSITIVES)[form]
    return f"the {rng.choice(COUNT_NOUNS)[0]} {word} {rng.choice(('not ', ''))}{verb} ."


def reflexive(rng: Random, good: bool) -> str:
    """ "anna saw herself" and not "himself", whoever stands between."""
    names = (WOMEN, MEN)
    sex = rng.randrange(2)
    who, other = rng.choice(names[sex]), rng.choice(names[rng.randrange(2)])
    pronoun = ("herself", "himself")[sex if good else 1 - sex]
    verb = rng.choice(TRANSITIVES)[2]
    frame = rng.choice(("{who} {verb} {pronoun} .", "{who} who met {other} {verb} {pronoun} ."))
    return frame.format(who=who, other=other, verb=verb, pronoun=pronoun)


def word_order(rng: Random, good: bool) -> str:
    """ "the boy saw the dogs" and not "the boy the dogs saw", nor "saw the boy the dogs"."""
    subject, thing = (noun[rng.randrange(2)] for noun in rng.sample(COUNT_NOUNS, 2))
    verb = rng.choice(TRANSITIVES)[2]
    ending = rng.choice((".", "again .", "today ."))
    if good:
        return f"the {subject} {verb} the {thing} {ending}"
    frame = rng.choice(
        ("the {s} the {o} {v} {e}", "{v} the {s} the {o} {e}", "the {s} {v} {o} the {e}")
    )
    return frame.format(s=subject, o=thing, v=verb, e=ending)


def argument(rng: Random, good: bool) -> str:
    """ "the dog slept", "the dog saw the boy" and not "the dog saw", "the dog slept the boy"."""
    subject, thing = (noun[rng.randrange(2)] for noun in rng.sample(COUNT_NOUNS, 2))
    transitive = rng.randrange(2)
    verb = rng.choice((INTRANSITIVES, TRANSITIVES)[transitive])[2]
    end = f"the {thing}" if bool(transitive) == good else rng.choice(("today", "again", "alone"))
    return f"the {subject} {verb} {end} ."


def _verb_form(number: int, good: bool) -> int:
    """Index of the verb form that agrees (or does not) with a noun's 0 singular, 1 plural."""
    return 1 - number if good else number


CONSTRUCTIONS: tuple[Callable[[Random, bool], str], ...] = (
    agreement_over_phrase,
    agreement_over_clause,
    auxiliary,
    reflexive,
    word_order,
    argument,
)
