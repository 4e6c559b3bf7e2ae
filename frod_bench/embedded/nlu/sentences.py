"""Single sentences: CoLA (is it grammatical?) and SST-2 (does the review praise or blame?).

No word gives CoLA's label away: words at a distance have to be related. In SST-2, words of praise
and of blame occur in reviews of both labels, a little more often in those that they fit.
"""

from collections.abc import Callable
from random import Random

from frod_bench.embedded import lexicon
from frod_bench.embedded.grammar import join
from frod_bench.embedded.world import MEN, WOMEN

PREPOSITIONS = ("near", "behind", "with", "beside")
Construction = Callable[[Random, bool], str]
# auxiliary -> which form of (plural, singular, past, -ing) it takes
AUXILIARIES = {"will": 0, "can": 0, "must": 0, "is": 3, "was": 3}


def sentence(rng: Random, label: int) -> tuple[str]:
    """An acceptable (1) or unacceptable (0) sentence of a random construction."""
    return (rng.choice(CONSTRUCTIONS)(rng, bool(label)),)


def agreement_over_phrase(rng: Random, good: bool) -> str:
    """ "the dog near the cows sleeps": the verb agrees with the head, not with its neighbour."""
    number = rng.randrange(2)  # of nouns, 0 is singular; of verbs, 1 is
    head, neighbour = rng.sample(lexicon.COUNT_NOUNS, 2)
    verb = rng.choice(lexicon.INTRANSITIVES)[1 - number if good else number]
    phrase = f"{rng.choice(PREPOSITIONS)} the {neighbour[rng.randrange(2)]}"
    return f"the {head[number]} {phrase} {verb} ."


def agreement_over_clause(rng: Random, good: bool) -> str:
    """ "the dogs that the boy likes sleep": the verb agrees with the noun before the clause."""
    number, inner_number = rng.randrange(2), rng.randrange(2)
    head, inner = rng.sample(lexicon.COUNT_NOUNS, 2)
    likes = rng.choice(lexicon.TRANSITIVES)[1 - inner_number]
    verb = rng.choice(lexicon.INTRANSITIVES)[1 - number if good else number]
    return f"the {head[number]} that the {inner[inner_number]} {likes} {verb} ."


def auxiliary(rng: Random, good: bool) -> str:
    """ "the dog will sleep", "the dog is sleeping" and not the other way round."""
    word = rng.choice(tuple(AUXILIARIES))
    form = AUXILIARIES[word] if good else 3 - AUXILIARIES[word]
    verb = rng.choice(lexicon.INTRANSITIVES)[form]
    return f"the {rng.choice(lexicon.COUNT_NOUNS)[0]} {word} {rng.choice(('not ', ''))}{verb} ."


def reflexive(rng: Random, good: bool) -> str:
    """ "anna saw herself" and not "himself", whoever stands between."""
    names = (WOMEN, MEN)
    sex = rng.randrange(2)
    who, other = rng.choice(names[sex]), rng.choice(names[rng.randrange(2)])
    pronoun = ("herself", "himself")[sex if good else 1 - sex]
    verb = rng.choice(lexicon.TRANSITIVES)[2]
    between = rng.choice(("", f"who met {other}"))
    return join(who, between, verb, pronoun, ".")


def word_order(rng: Random, good: bool) -> str:
    """ "the boy saw the dogs" and not "the boy the dogs saw", nor "saw the boy the dogs"."""
    subject, thing = (noun[rng.randrange(2)] for noun in rng.sample(lexicon.COUNT_NOUNS, 2))
    verb = rng.choice(lexicon.TRANSITIVES)[2]
    ending = rng.choice((".", "again .", "today ."))
    if good:
        return f"the {subject} {verb} the {thing} {ending}"
    verb_last, verb_first = f"the {subject} the {thing} {verb}", f"{verb} the {subject} the {thing}"
    wrong = rng.choice((verb_last, verb_first, f"the {subject} {verb} {thing} the"))
    return f"{wrong} {ending}"


def argument(rng: Random, good: bool) -> str:
    """ "the dog slept", "the dog saw the boy" and not "the dog saw", "the dog slept the boy"."""
    subject, thing = (noun[rng.randrange(2)] for noun in rng.sample(lexicon.COUNT_NOUNS, 2))
    transitive = rng.randrange(2)
    verb = rng.choice((lexicon.INTRANSITIVES, lexicon.TRANSITIVES)[transitive])[2]
    end = f"the {thing}" if bool(transitive) == good else rng.choice(("today", "again", "alone"))
    return f"the {subject} {verb} {end} ."


CONSTRUCTIONS: tuple[Construction, ...] = (
    agreement_over_phrase, agreement_over_clause, auxiliary, reflexive, word_order, argument,
)  # fmt: skip


def review(rng: Random, label: int) -> tuple[str]:
    """A negative (0) or positive (1) review of a random pattern."""
    return (rng.choice(PATTERNS)(rng, bool(label)) + " .",)


def clause(rng: Random, good: bool, negation: float = 0.22) -> str:
    """ "the plot was very dull", "the plot was not witty": negated at the rate `negation`."""
    subject = f"the {rng.choice(lexicon.ASPECTS)} was"
    if rng.random() < negation:
        return f"{subject} {rng.choice(lexicon.NEGATORS)} {opinion(rng, not good)}"
    very = rng.choice((*lexicon.INTENSIFIERS, ""))
    return join(subject, very, opinion(rng, good))


def opinion(rng: Random, good: bool) -> str:
    """An adjective of praise or of blame."""
    return rng.choice(lexicon.POSITIVE if good else lexicon.NEGATIVE)


def contrast(rng: Random, good: bool) -> str:
    """Two clauses against each other: the main one, or the one after "but", decides."""
    decides, yields = clause(rng, good), clause(rng, not good)
    but, although = f"{yields} but {decides}", f"although {yields} , {decides}"
    return rng.choice((but, although, f"{decides} although {yields}"))


def verdict_of_others(rng: Random, good: bool) -> str:
    """ "critics hated the film but i did not", "critics hated the film and so did i"."""
    agrees = rng.random() < 0.6
    liked = rng.choice(lexicon.LIKING if good == agrees else lexicon.DISLIKING)
    end = "and so did i" if agrees else "but i did not"
    return f"{rng.choice(lexicon.VIEWERS)} {liked} the {rng.choice(lexicon.WORKS)} {end}"


def expectation(rng: Random, good: bool) -> str:
    """ "i expected some dull film and it was not so"."""
    right = rng.random() < 0.6
    adjective = opinion(rng, good == right)
    hoped = rng.choice(("expected", "waited for", "was told of"))
    end = "and it was so" if right else "and it was not so"
    return f"i {hoped} some {adjective} {rng.choice(lexicon.WORKS)} {end}"


PATTERNS: tuple[Construction, ...] = (
    clause, clause, clause, clause, contrast, verdict_of_others, expectation,
)  # fmt: skip
