"""Quizzes about school science: ARC-Easy, ARC-Challenge and OpenBookQA.

The questions use words that pretraining did not use, and are made so that it does not help to know
which words occurred together there.
"""

from random import Random

from frod_bench.embedded.reasoning.quiz import DIGITS, LETTERS, RELATIONS, Quiz, Relation, Row, quiz

# relation -> (a question for its object, a question for its subject)
EASY_QUESTIONS: dict[str, tuple[str, str]] = {
    "thing_material": ("Which material makes up the {s}?", "Which object consists of {o}?"),
    "thing_colour": ("Which colour would the {s} show?", "Which object looks {o}?"),
    "thing_place": ("Where would you look for the {s}?", "Which object belongs to the {o}?"),
    "thing_use": ("For which purpose is the {s} made?", "Which object helps you to {o}?"),
    "animal_group": ("To which group does the {s} belong?", "Which animal is among the {o}s?"),
    "animal_covering": ("What covers the {s}?", "Which animal is covered by {o}?"),
    "animal_home": ("Where would you meet the {s}?", "Which animal would you meet in the {o}?"),
    "animal_food": ("What should you feed the {s}?", "Which animal should you feed {o}?"),
    "animal_sound": ("What can you hear of the {s}?", "Which animal is known because it {o}?"),
    "animal_young": ("Which baby belongs to the {s}?", "Which animal raises the {o}?"),
    "food_taste": ("Which taste do you find in {s}?", "Which food has the {o} taste?"),
    "food_source": ("Where do we get {s}?", "Which food do we get by the {o}?"),
    "food_group": ("Which class of food is {s}?", "Which food belongs to the class {o}?"),
    "job_place": ("Where would you meet the {s}?", "Which worker would you meet at the {o}?"),
    "job_does": ("What is the task of the {s}?", "Which worker {o} every day?"),
    "cause_effect": ("What follows when {s}?", "What happened before, when {o}?"),
}

# relation -> (what the exception lacks, what a shared object is called)
CHALLENGE_QUESTIONS: dict[str, tuple[str, str]] = {
    "thing_material": ("is NOT made of {o}", "consists of the same material as the {s}"),
    "thing_colour": ("is NOT {o}", "has the same colour as the {s}"),
    "thing_place": ("is NOT kept in the {o}", "shares its place with the {s}"),
    "animal_group": ("is NOT a {o}", "belongs to the same group as the {s}"),
    "animal_covering": ("does NOT have {o}", "has the same cover as the {s}"),
    "animal_move": ("never {o}", "moves like the {s}"),
    "food_taste": ("does NOT taste {o}", "has the same taste as the {s}"),
    "food_group": ("is NOT a {o}", "belongs to the same class as the {s}"),
    "food_source": ("does NOT come from the {o}", "comes from the same source as the {s}"),
}


def _joined(first: str, second: str) -> Relation:
    """From the object of one relation to that of another about the same subject."""
    return RELATIONS[first].inverse.then(RELATIONS[second], f"{first} to {second}")


# stem -> the relation from what fills the stem to what completes it
BOOK_STEMS: dict[str, Relation] = {
    "If an object is made of {s}, it may help you to": _joined("thing_material", "thing_use"),
    "Someone who visits the {s} can find the colour": _joined("thing_place", "thing_colour"),
    "Someone who visits the {s} can": _joined("thing_place", "thing_use"),
    "An animal that has {s} may raise the": _joined("animal_covering", "animal_young"),
    "An animal that lives in the {s} could be one that": _joined("animal_home", "animal_sound"),
    "An animal that eats {s} could live in the": _joined("animal_food", "animal_home"),
    "The worker with the {s} is one who": _joined("job_tool", "job_does"),
    "Food that comes from the {s} may taste": _joined("food_source", "food_taste"),
    "In a fire, what {s} could be a": RELATIONS["thing_fire"].inverse,
    "In a lake, what {s} could be a": RELATIONS["thing_water"].inverse,
}

_COUNTS = (4,) * 36 + (3, 3, 5)  # options a question has, about as often as on the Hub
_DIGIT_SHARE = 0.05  # of ARC's rows: options are called 1 to 4 instead of A to D


def easy(rng: Random) -> Quiz:
    """One fact, asked in new words."""
    name, (of_object, of_subject) = rng.choice(list(EASY_QUESTIONS.items()))
    relation = RELATIONS[name]
    subject, object_ = rng.choice(relation.pairs)
    wrong = rng.choice(_COUNTS) - 1
    if rng.random() < 0.5:
        options = relation.wrong_objects(rng, subject, wrong)
        options[:1] = _lures(rng, relation, subject) or options[:1]
        return quiz(rng, of_object.format(s=subject), object_, options)
    question = of_subject.format(o=object_)
    return quiz(rng, question, subject, relation.wrong_subjects(rng, object_, wrong))


def _lures(rng: Random, asked: Relation, subject: str) -> list[str]:
    """One thing, if any, that is true of the subject but not asked for."""
    others = [RELATIONS[name] for name in EASY_QUESTIONS if RELATIONS[name] is not asked]
    true = [dict(other.pairs)[subject] for other in others if subject in other.subjects]
    lures = [value for value in true if value not in asked.objects]
    return rng.sample(lures, min(1, len(lures)))


def challenge(rng: Random) -> Quiz:
    """The exception among subjects, or the subject that shares an object with another."""
    name, (lacking, sharing) = rng.choice(list(CHALLENGE_QUESTIONS.items()))
    relation = RELATIONS[name]
    groups = {o: [s for s, true in relation.pairs if true == o] for o in relation.objects}
    wrong = rng.choice(_COUNTS) - 1
    object_ = rng.choice([o for o in relation.objects if len(groups[o]) > 1])
    if rng.random() < 0.5 and len(groups[object_]) >= wrong:
        exception = relation.wrong_subjects(rng, object_, 1)[0]
        question = f"Which one {lacking.format(o=object_)}?"
        return quiz(rng, question, exception, rng.sample(groups[object_], wrong))
    subject, right = rng.sample(groups[object_], 2)
    question = f"Which one {sharing.format(s=subject)}?"
    return quiz(rng, question, right, relation.wrong_subjects(rng, object_, wrong))


def book(rng: Random) -> Quiz:
    """A sentence that joins two facts, to be completed."""
    stem, relation = rng.choice(list(BOOK_STEMS.items()))
    subject, object_ = rng.choice(relation.pairs)
    wrong = relation.wrong_objects(rng, subject, 3)
    return quiz(rng, stem.format(s=subject), object_, wrong)


def _choices(item: Quiz, labels: str) -> Row:
    choices = {"text": list(item.options), "label": list(labels[: len(item.options)])}
    return {"choices": choices, "answerKey": labels[item.answer]}


def arc_row(prefix: str, item: Quiz, split: str, number: int) -> Row:
    """A row of ARC; `prefix` starts its id."""
    labels = DIGITS if number % round(1 / _DIGIT_SHARE) == 0 else LETTERS
    return {"id": f"{prefix}-{split}-{number}", "question": item.question} | _choices(item, labels)


def book_row(item: Quiz, split: str, number: int) -> Row:
    """A row of OpenBookQA."""
    return {"id": f"{split}-{number}", "question_stem": item.question} | _choices(item, LETTERS)
