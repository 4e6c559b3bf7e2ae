"""What the encoder reads in pretraining: facts, reviews, plain sentences, and pairs of texts.

The words and the world are those of the tasks, but the documents are not. Reviews give reasons and
end in a verdict, and sentences have determiners and conjunctions that the tasks lack. The two texts
of a pair always fit together. Texts that do not fit together occur only as documents with a
replaced word, see `corruption`.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from random import Random

from frod_bench.embedded import lexicon
from frod_bench.embedded.grammar import (
    ADJUNCTS,
    FORMS,
    QUESTIONS,
    ask,
    draw,
    join,
    reword,
    tell,
)
from frod_bench.embedded.lexicon import GENRES, Genre, a, descriptions
from frod_bench.embedded.world import ANIMALS, FOODS, MATERIALS, MEN, PLACES, WOMEN

GENRE_WEIGHTS = (0.75, 0.25)
REWORD_RATE = 0.35
FORM_WEIGHTS = (3, 1, 1, 1)  # of FORMS: where two texts have one form, comparing them is easy
CONJUNCTIONS = ("and", "but", "while", "although", "so")
DETERMINERS = (("every", "this", "one", "the"), ("two", "these", "many", "the"))
PREPOSITIONS = ("near", "behind", "with", "beside")
ADVERBS = ("", "", "", "today", "again", "alone")

Document = tuple[str, ...]  # one text, or two that are encoded as a pair


def documents(count: int, seed: int) -> Iterator[Document]:
    """`count` documents, the same for the same seed."""
    rng = Random(f"encoder corpus {seed}")
    kinds, weights = zip(*KINDS, strict=True)
    for kind in rng.choices(kinds, weights, k=count):
        yield kind(rng)


def fact(rng: Random) -> Document:
    """ "the knife is something made of metal .", "anna is a woman ."."""
    noun = rng.choice(tuple(descriptions()))
    phrase = rng.choice(tuple(descriptions()[noun].values()))
    is_agent = any(noun in genre.agents for genre in GENRES)
    return (f"{noun if is_agent else f'the {noun}'} is {phrase} .",)


def review(rng: Random) -> Document:
    """A reason and the verdict that goes with it, in one text or in two."""
    good = rng.random() < 0.5
    liked = rng.choice(lexicon.LIKING if good else lexicon.DISLIKING)
    work, (one, two) = rng.choice(lexicon.WORKS), rng.sample(lexicon.ASPECTS, 2)
    if rng.random() < 0.5:
        reason = f"the {one} of this {work} is {_judgement(rng, good)}"
    else:
        reason = f"it has {a(_opinion(rng, not good))} {one} but {a(_opinion(rng, good))} {two}"
    who = rng.choice(("i", *lexicon.VIEWERS))
    verdict = rng.choice((f"{who} {liked} it .", f"{who} found it {_judgement(rng, good)} ."))
    return (f"{reason} .", verdict) if rng.random() < 0.4 else (f"{reason} , and {verdict}",)


def sentence(rng: Random) -> Document:
    """One or two plain clauses."""
    clause = rng.choice(CLAUSES)(rng)
    if rng.random() < 0.3:
        clause = join(clause, rng.choice(CONJUNCTIONS), rng.choice(CLAUSES)(rng))
    return (f"{clause} .",)


def restatement(rng: Random) -> Document:
    """A statement, and the same in other words with nothing or something left out."""
    scene = draw(_genre(rng), rng, adjuncts=rng.randint(1, 2))
    scene = replace(scene, negated=rng.random() < 0.15)
    other = scene.without(rng.sample(ADJUNCTS, rng.choice((0, 0, 1))))
    first, second = rng.choices(FORMS, FORM_WEIGHTS, k=2)
    return tell(scene, first), tell(reword(other, rng, REWORD_RATE), second)


def generalisation(rng: Random) -> Document:
    """A statement, and one that calls its object or its agent by a fact."""
    scene = draw(_genre(rng), rng, adjuncts=rng.randint(0, 1))
    other = scene.without(ADJUNCTS)
    if rng.random() < 0.6:
        phrase = rng.choice(tuple(descriptions()[scene.object].values()))
        general = tell(other, rng.choice(FORMS), object_phrase=phrase)
    else:
        phrase = rng.choice(tuple(descriptions()[scene.agent].values()))
        general = tell(replace(other, agent=phrase), rng.choice(FORMS))
    return tell(scene, rng.choice(FORMS)), general


def question(rng: Random) -> Document:
    """A statement and a question about it, in either order."""
    scene = draw(_genre(rng), rng, adjuncts=(rng.choice(("place", "time")),))
    slot = rng.choice([slot for slot in QUESTIONS if slot in scene.told()])
    texts = tell(scene, rng.choice(FORMS)), ask(reword(scene, rng, REWORD_RATE), slot, rng)
    return texts if rng.random() < 0.5 else texts[::-1]


def counted(rng: Random) -> str:
    """ "two dogs run", "this dog that runs sleeps"."""
    number = rng.randrange(2)
    determiner = rng.choice(DETERMINERS[number])
    noun = rng.choice(lexicon.COUNT_NOUNS)[number]
    verb, other = (pair[1 - number] for pair in rng.sample(lexicon.INTRANSITIVES, 2))
    return join(determiner, noun, rng.choice(("", f"that {other}")), verb, rng.choice(ADVERBS))


def acted(rng: Random) -> str:
    """ "the dogs near the cows run", "the dog sees many cows"."""
    number = rng.randrange(2)
    subject, thing = rng.sample(lexicon.COUNT_NOUNS, 2)
    whom = join(rng.choice(("the", "some", "many")), thing[1])
    sees, does = rng.choice(lexicon.TRANSITIVES), rng.choice(lexicon.INTRANSITIVES)
    if rng.random() < 0.5:
        return join("the", subject[number], sees[1 - number], whom)
    return join("the", subject[number], rng.choice(PREPOSITIONS), whom, does[1 - number])


def helped(rng: Random) -> str:
    """ "the dogs slept again", "the dogs were running", "the dog must run"."""
    number = rng.randrange(2)
    noun, verb = rng.choice(lexicon.COUNT_NOUNS)[number], rng.choice(lexicon.INTRANSITIVES)
    match rng.randrange(3):
        case 0:
            return join("the", noun, verb[2], rng.choice(ADVERBS))
        case 1:
            return join("the", noun, rng.choice((("is", "was"), ("are", "were"))[number]), verb[3])
    return join("the", noun, rng.choice(("will", "can", "must", "did not")), verb[0])


def mirrored(rng: Random) -> str:
    """ "anna sees herself"."""
    names, pronoun = rng.choice(((WOMEN, "herself"), (MEN, "himself")))
    verb = rng.choice(lexicon.TRANSITIVES)
    return join(rng.choice(names), rng.choice(verb[1:3]), pronoun)


CLAUSES: tuple[Callable[[Random], str], ...] = (counted, acted, helped, mirrored)
KINDS: tuple[tuple[Callable[[Random], Document], float], ...] = (
    (fact, 1.5),
    (review, 3.0),
    (sentence, 1.5),
    (restatement, 3.0),
    (generalisation, 3.0),
    (question, 2.0),
)


@cache
def alternatives() -> dict[str, tuple[str, ...]]:
    """Word -> the words that may replace it and change what the text says, synonyms left out."""
    synonyms = lexicon.synonyms() | {
        getattr(verb, form): getattr(other, form)
        for verb, other in lexicon.synonyms().items()
        if isinstance(verb, lexicon.Verb)
        for form in ("past", "participle", "base")
    }
    found: dict[str, set[str]] = {}
    for words in _classes():
        for word in words:
            found.setdefault(word, set()).update(set(words) - {word, synonyms.get(word)})
    return {word: tuple(sorted(others)) for word, others in sorted(found.items())}


def _classes() -> Iterator[tuple[str, ...]]:
    """Words of one role: those of a class can stand in for each other grammatically, or nearly."""
    for genre in GENRES:
        yield tuple(agent.removeprefix("the ") for agent in genre.agents)
        yield genre.objects
        for form in ("base", "past", "participle"):
            yield tuple(getattr(verb, form) for pair in genre.verbs for verb in pair)
        yield tuple(word for pair in genre.adjectives for word in pair)
        yield tuple(word for pair in genre.places for word in pair)
    yield lexicon.POSITIVE + lexicon.NEGATIVE
    yield lexicon.LIKING + lexicon.DISLIKING
    yield tuple(material.name for material in MATERIALS)
    yield tuple(sorted({material.touch for material in MATERIALS}))
    yield PLACES
    yield tuple(sorted({food.taste for food in FOODS}))
    yield tuple(sorted({food.group for food in FOODS}))
    yield tuple(sorted({animal.group for animal in ANIMALS}))
    yield tuple(sorted({animal.covering for animal in ANIMALS}))
    yield from (("woman", "man"), ("herself", "himself"), ("who", "what"), ("when", "where"))
    yield from (("dawn", "dusk", "noon"), ("sunrise", "sunset", "midday"), ("winter", "summer"))
    yield from (("hot", "cold"), ("is", "are"), ("was", "were"), ("but", "and"))
    yield from lexicon.COUNT_NOUNS
    yield from lexicon.INTRANSITIVES
    yield from lexicon.TRANSITIVES


def _genre(rng: Random) -> Genre:
    return rng.choices(GENRES, GENRE_WEIGHTS)[0]


def _opinion(rng: Random, good: bool) -> str:
    return rng.choice(lexicon.POSITIVE if good else lexicon.NEGATIVE)


def _judgement(rng: Random, good: bool) -> str:
    """ "very dull", "not witty"."""
    if rng.random() < 0.4:
        return join(rng.choice(lexicon.NEGATORS), _opinion(rng, not good))
    return join(rng.choice(("", *lexicon.INTENSIFIERS)), _opinion(rng, good))
