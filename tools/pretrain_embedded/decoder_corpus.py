"""What the decoder reads in pretraining: facts told in plain sentences, and quizzes about them.

The wordings here are not those of the tasks, the quizzes ask one fact at a time where the tasks
compose several, and no task's question or context occurs (`tests/embedded` checks).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random

from frod_bench.embedded import world
from frod_bench.embedded.lexicon import a
from frod_bench.embedded.reasoning.quiz import DIGITS, LETTERS, RELATIONS, Quiz, Relation, quiz

GIVEN, TOLD, ASKED = 0.0, 1.0, 6.0
"""Weights of a token in the loss: drawn at random, part of a fact, or an answer."""


@dataclass(frozen=True)
class Piece:
    """Text, the weight that each of its tokens has in the loss, and whether it is right.

    `fits` is the target at the piece's last token: whether an option answers the question,
    whether a sentence is true; None if there is nothing to judge.
    """

    text: str
    weight: float
    fits: bool | None = None


Document = tuple[Piece, ...]


def text_of(document: Document) -> str:
    """The document as it is read."""
    return "".join(piece.text for piece in document)


@dataclass(frozen=True)
class Wording:
    """How a relation is told and asked. `{s}` and `{o}` stand for subject and object."""

    told: tuple[str, ...]
    asked: str  # for the object
    which: str  # for the subject
    article: bool = True  # subjects are countable nouns


WORDINGS: dict[str, Wording] = {
    "thing_material": Wording(
        ("{s} is made of {o}.", "people make {s} out of {o}."),
        "what is {s} made of?", "which one is made of {o}?",
    ),
    "thing_colour": Wording(
        ("{s} is {o}.", "the colour of {s} is {o}."), "what colour is {s}?", "which one is {o}?"
    ),
    "thing_size": Wording(("{s} is {o}.",), "what size is {s}?", "which one is {o}?"),
    "thing_place": Wording(
        ("{s} is kept in the {o}.", "there is {s} in the {o}."),
        "what place has {s}?", "which one is in the {o}?",
    ),
    "thing_use": Wording(
        ("{s} is used to {o}.", "to {o} you need {s}."),
        "what is {s} used to do?", "which one is used to {o}?",
    ),
    "material_hardness": Wording(
        ("{s} is {o}.", "things of {s} are {o}."), "what is {s} like?", "which one is {o}?", False
    ),
    "material_water": Wording(
        ("{s} {o} in water.", "things of {s}: in water it {o}."),
        "what does {s} do in water?", "which one {o} in water?", False,
    ),
    "material_fire": Wording(
        ("{s} {o} in fire.", "things of {s}: in fire it {o}."),
        "what does {s} do in fire?", "which one {o} in fire?", False,
    ),
    "material_touch": Wording(
        ("{s} feels {o}.",), "what does {s} feel like?", "which one feels {o}?", False
    ),
    "animal_group": Wording(
        ("{s} is a kind of {o}.",), "what kind of animal is {s}?", "which one is a {o}?"
    ),
    "animal_covering": Wording(
        ("{s} has {o}.", "the body of {s} has {o}."), "what does {s} have?", "which one has {o}?"
    ),
    "animal_home": Wording(
        ("{s} lives in the {o}.", "the home of {s} is the {o}."),
        "what is the home of {s}?", "which one lives in the {o}?",
    ),
    "animal_food": Wording(("{s} eats {o}.",), "what does {s} eat?", "which one eats {o}?"),
    "animal_sound": Wording(("{s} {o}.",), "what sound has {s}?", "which one {o}?"),
    "animal_move": Wording(("{s} {o}.",), "how does {s} move?", "which one {o}?"),
    "animal_size": Wording(("{s} is {o}.",), "what size is {s}?", "which one is {o}?"),
    "animal_young": Wording(
        ("the young of {s} is a {o}.",), "what is the young of {s}?", "which one has a {o}?"
    ),
    "food_group": Wording(("{s} is a {o}.",), "what is {s}?", "which one is a {o}?", False),
    "food_taste": Wording(
        ("{s} tastes {o}.", "the taste of {s} is {o}."),
        "what does {s} taste like?", "which one tastes {o}?", False,
    ),
    "food_colour": Wording(("{s} is {o}.",), "what colour is {s}?", "which one is {o}?", False),
    "food_source": Wording(
        ("{s} comes from the {o}.",), "what gives us {s}?", "which one comes from the {o}?", False
    ),
    "job_place": Wording(
        ("{s} works at the {o}.",), "what is the work place of {s}?", "which one works at the {o}?"
    ),
    "job_tool": Wording(("{s} uses the {o}.",), "what does {s} use?", "which one uses the {o}?"),
    "job_does": Wording(("{s} {o}.",), "what does {s} do?", "which one {o}?"),
    "cause_effect": Wording(
        ("because {s}, {o}.", "{s}, so {o}."), "because {s}, what?", "why is it that {o}?", False
    ),
    "opposite": Wording(
        ("{s} is not {o}.", "the opposite of {s} is {o}."),
        "what is the opposite of {s}?", "which one is the opposite of {o}?", False,
    ),
    "thing_hardness": Wording(("{s} is {o}.",), "what is {s} like?", "which one is {o}?"),
    "thing_water": Wording(
        ("{s} {o} in water.",), "what does {s} do in water?", "which one {o} in water?"
    ),
    "thing_fire": Wording(
        ("{s} {o} in fire.",), "what does {s} do in fire?", "which one {o} in fire?"
    ),
}  # fmt: skip


def _named(wording: Wording, subject: str) -> str:
    return a(subject) if wording.article else subject


def entries(rng: Random) -> Document:
    """Lines of a lexicon: "the knife: metal, kitchen, small", or "metal: key, knife, spoon".

    Dense on purpose: nearly every token is a fact. Some values are false, and told to be.
    """
    pieces = []
    for _ in range(rng.choice((2, 3, 4))):
        pieces += (_by_subject if rng.random() < 0.6 else _by_object)(rng)
    return tuple(pieces)


def _by_subject(rng: Random) -> list[Piece]:
    subject = rng.choice(rng.choice(_ASKABLE).subjects)
    about = [relation for relation in _ASKABLE if subject in relation.subjects]
    values = []
    for relation in rng.sample(about, min(6, len(about))):
        true = dict(relation.pairs)[subject]
        wrong = relation.wrong_objects(rng, subject, 1)
        values.append((true, True) if rng.random() < _TRUE_SHARE else (wrong[0], False))
    return _line(subject, values)


def _by_object(rng: Random) -> list[Piece]:
    relation = rng.choice(_ASKABLE)
    object_ = rng.choice(relation.objects)
    right = [subject for subject, known in relation.pairs if known == object_]
    wrong = relation.wrong_subjects(rng, object_, 2)
    values = [(s, True) for s in rng.sample(right, min(4, len(right)))] + [
        (s, False) for s in wrong[: rng.randint(0, 2)]
    ]
    rng.shuffle(values)
    return _line(object_, values)


def _line(head: str, values: list[tuple[str, bool]]) -> list[Piece]:
    line = [Piece(f"{head}:", GIVEN)]
    line += [Piece(f" {value},", TOLD if true else GIVEN, true) for value, true in values]
    return [*line, Piece("\n", GIVEN)]


_TRUE_SHARE = 0.65  # of the values in a lexicon's line


def _told(rng: Random, relation: Relation, subject: str, object_: str) -> str:
    wording = WORDINGS[relation.name]
    return rng.choice(wording.told).format(s=_named(wording, subject), o=object_)


def fact_quiz(rng: Random) -> Document:
    """One fact asked with two to five options, for its object or for its subject."""
    relation = rng.choice(_ASKABLE)
    wording = WORDINGS[relation.name]
    subject, object_ = rng.choice(relation.pairs)
    count = rng.choice((1, 1, 2, 3, 3, 4))
    if rng.random() < 0.5:
        question = wording.asked.format(s=_named(wording, subject))
        return asked(rng, quiz(rng, question, object_, relation.wrong_objects(rng, subject, count)))
    question = wording.which.format(o=object_)
    return asked(rng, quiz(rng, question, subject, relation.wrong_subjects(rng, object_, count)))


def pointing(rng: Random) -> Document:
    """Options of which the right one is what the question names."""
    relation = rng.choice(_ASKABLE)
    column = relation.subjects if rng.random() < 0.5 else relation.objects
    words = rng.sample(column, min(len(column), rng.choice((2, 3, 4, 4))))
    return asked(rng, quiz(rng, f"find {words[0]}.", words[0], words[1:]))


def asked(rng: Random, item: Quiz) -> Document:
    """The quiz as a document: its answer is the letter of the right option."""
    labels = DIGITS if rng.random() < 0.05 else LETTERS
    question = item.question[0].upper() + item.question[1:]
    lead = rng.choice(("", "question: ", "goal: "))
    pieces = [Piece(f"{lead}{question}", GIVEN)]
    for number, (letter, option) in enumerate(zip(labels, item.options, strict=False)):
        pieces.append(Piece(f"\n{letter}: {option}", GIVEN, number == item.answer))
    pieces.append(Piece("\nanswer:", GIVEN))
    return (*pieces, Piece(f" {labels[item.answer]}", ASKED))


def compared(rng: Random) -> Document:
    """The exception among options, or the option that is like another subject."""
    relation = rng.choice(_COMPARABLE)
    groups = {o: [s for s, true in relation.pairs if true == o] for o in relation.objects}
    object_ = rng.choice([o for o in relation.objects if len(groups[o]) > 1])
    count = rng.choice((1, 2, 3))
    if rng.random() < 0.5 and len(groups[object_]) >= count:
        which = WORDINGS[relation.name].which.format(o=object_)
        question = which.replace("which one", "not so: which one")
        exception = relation.wrong_subjects(rng, object_, 1)[0]
        return asked(rng, quiz(rng, question, exception, rng.sample(groups[object_], count)))
    subject, right = rng.sample(groups[object_], 2)
    wrong = relation.wrong_subjects(rng, object_, count)
    return asked(rng, quiz(rng, f"which one is the same as the {subject}?", right, wrong))


def verdict(rng: Random) -> Document:
    """One to three claims of one relation, each found true or false."""
    relation = rng.choice(_ASKABLE)
    pieces: list[Piece] = []
    for subject, object_ in rng.sample(relation.pairs, rng.choice((1, 2, 3))):
        true = rng.random() < 0.5
        named = object_ if true else relation.wrong_objects(rng, subject, 1)[0]
        claim = (
            f"{subject}: {named}" if rng.random() < 0.5 else _told(rng, relation, subject, named)
        )
        pieces.append(Piece(f"question: {claim}?\nanswer:", GIVEN, true))
        pieces += [Piece(_ANSWERS[true], ASKED), Piece("\n", GIVEN)]
    return tuple(pieces[:-1])


_ANSWERS = {True: " yes", False: " no"}


def reading(rng: Random) -> Document:
    """What two to four people have or are, and whether one of them has or is something."""
    names = rng.sample(world.PEOPLE, rng.choice((2, 3, 4)))
    if rng.random() < 0.5:
        things = rng.sample(world.THINGS, len(names))
        what, verb = [a(thing.name) for thing in things], "has"
    else:
        contrasts = rng.sample(world.CONTRASTS, len(names))
        what, verb = [rng.choice((c.more, c.less)) for c in contrasts], "is"
    told = ". ".join(f"{name} {verb} {w}" for name, w in zip(names, what, strict=True))
    true = rng.random() < 0.5
    named = what[0] if true else rng.choice(what[1:])
    question = f"{told}.\nquestion: {verb} {names[0]} {named}?\nanswer:"
    return (Piece(question, GIVEN, true), Piece(_ANSWERS[true], ASKED))


def holders(rng: Random) -> Document:
    """Who has or is what: told of two to four people, then asked."""
    names = rng.sample(world.PEOPLE, rng.choice((2, 2, 3, 4)))
    if rng.random() < 0.5:
        things = rng.sample(world.THINGS, len(names))
        what = [f"has {a(thing.name)}" for thing in things]
    else:
        contrasts = rng.sample(world.CONTRASTS, len(names))
        what = [f"is {rng.choice((contrast.more, contrast.less))}" for contrast in contrasts]
    told = ". ".join(f"{name} {holds}" for name, holds in zip(names, what, strict=True))
    return asked(rng, quiz(rng, f"{told}. who {what[0]}?", names[0], names[1:]))


def traits(rng: Random) -> Document:
    """What a kind of person does, told or asked."""
    contrast = rng.choice(world.CONTRASTS)
    more, less = (contrast.more, contrast.more_does), (contrast.less, contrast.less_does)
    (kind, does), (other, _) = rng.choice(((more, less), (less, more)))
    if rng.random() < 0.3:
        return (Piece(f"someone {kind} {does}.", TOLD),)
    if rng.random() < 0.5:
        return asked(rng, quiz(rng, f"who {does}?", f"someone {kind}", [f"someone {other}"]))
    x, y = rng.sample(world.PEOPLE, 2)
    told = [f"{x} is {kind}", f"{y} is {other}"]
    rng.shuffle(told)
    link = rng.choice((". ", " and ", " but ", " while ", ", "))
    question = rng.choice((f"who {does}?", f"_ {does}."))
    return asked(rng, quiz(rng, f"{link.join(told)}. {question}", x, [y]))


# field of a situation -> how it is told and asked
_SOCIAL: tuple[tuple[str, str, str], ...] = (
    ("feeling_of_b", "so {b} was {o}.", "how was {b}?"),
    ("trait_of_a", "that was {o}.", "what was it like?"),
    ("reason_of_a", "{a} wanted to {o}.", "what did {a} want?"),
    ("next_of_b", "then {b} decided to {o}.", "what did {b} decide?"),
)


def social(rng: Random) -> Document:
    """What someone did to someone and what came of it, told or asked."""
    one, two = rng.sample(world.PEOPLE, 2)
    situations = rng.sample(world.SITUATIONS, 3)
    act = f"{one} {situations[0].act.format(b=two)}."
    field, told, question = rng.choice(_SOCIAL)
    right, *wrong = (getattr(s, field).format(a=one, b=two) for s in situations)
    if rng.random() < 0.3:
        return (Piece(f"{act} {told.format(a=one, b=two, o=right)}", TOLD),)
    return asked(rng, quiz(rng, f"{act} {question.format(a=one, b=two)}", right, wrong))


def script(rng: Random) -> Document:
    """The steps of an activity told in order, or the step after a step asked for."""
    activity = rng.choice(world.ACTIVITIES)
    if rng.random() < 0.4:
        return (Piece(f"{activity.name}: one {', then '.join(activity.steps)}.", TOLD),)
    at = rng.randrange(3)
    others = rng.sample([o for o in world.ACTIVITIES if o is not activity], rng.choice((1, 2, 3)))
    wrong = [rng.choice(other.steps) for other in others]
    question = f"{activity.name}: one {activity.steps[at]}. then one what?"
    return asked(rng, quiz(rng, question, activity.steps[at + 1], wrong))


_ASKABLE: tuple[Relation, ...] = tuple(RELATIONS[name] for name in WORDINGS)

# Relations that the synthetic ARC-Challenge does not ask about in this way.
_COMPARABLE: tuple[Relation, ...] = tuple(
    RELATIONS[name]
    for name in ("thing_size", "thing_hardness", "thing_water", "animal_home", "animal_size",
                 "material_fire", "food_colour")
)  # fmt: skip

MIXTURE: tuple[tuple[Callable[[Random], Document], int], ...] = (
    (entries, 8),
    (fact_quiz, 6),
    (compared, 2),
    (pointing, 3),
    (verdict, 2),
    (reading, 2),
    (holders, 2),
    (traits, 5),
    (social, 2),
    (script, 2),
)


def documents(rng: Random, count: int) -> Iterator[Document]:
    """`count` documents of the mixture."""
    kinds, weights = zip(*MIXTURE, strict=True)
    for kind in rng.choices(kinds, weights, k=count):
        yield kind(rng)
