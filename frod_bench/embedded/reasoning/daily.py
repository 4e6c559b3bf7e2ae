"""Quizzes about daily life and people: PIQA, HellaSwag, BoolQ, Social IQa and WinoGrande."""

from collections.abc import Callable
from random import Random

from frod_bench.embedded import world
from frod_bench.embedded.lexicon import a
from frod_bench.embedded.reasoning.quiz import DIGITS, RELATIONS, Quiz, Row, quiz

GOALS = ("How do you {use} best?", "to {use}", "{use}", "I want to {use}, what now?")
SOLUTIONS = (
    "Go to the {place} and take {thing}.",
    "Get {thing} from the {place}.",
    "In the {place}, pick up {thing}.",
)
MATERIAL_GOALS = {
    "keep a fire burning": ("thing_fire", "burns"),
    "line a stove without any smoke": ("thing_fire", "stays"),
    "mark a spot on top of the lake": ("thing_water", "floats"),
    "hold a net down in the lake": ("thing_water", "sinks"),
    "rest softly on the ground": ("thing_hardness", "soft"),
    "crack a nut open": ("thing_hardness", "hard"),
}


def physical(rng: Random) -> Quiz:
    """A goal, and two solutions that differ in the thing they take."""
    if rng.random() < 0.35:
        goal, (name, object_) = rng.choice(list(MATERIAL_GOALS.items()))
        relation = RELATIONS[name]
        right = rng.choice([s for s, true in relation.pairs if true == object_])
        wrong = relation.wrong_subjects(rng, object_, 1)[0]
        right, wrong = (f"Take {a(name)} for it." for name in (right, wrong))
        return quiz(rng, rng.choice(GOALS).format(use=goal), right, [wrong])
    thing, other = rng.sample(world.THINGS, 2)
    solution = rng.choice(SOLUTIONS)
    right, wrong = (solution.format(place=t.place, thing=a(t.name)) for t in (thing, other))
    return quiz(rng, rng.choice(GOALS).format(use=thing.use), right, [wrong])


def physical_row(item: Quiz, *_: object) -> Row:
    """A row of PIQA."""
    first, second = item.options
    return {"goal": item.question, "sol1": first, "sol2": second, "label": item.answer}


def scene(rng: Random) -> Quiz:
    """The start of an activity, and four endings: the next step, a past one, and strange ones."""
    activity = rng.choice(world.ACTIVITIES)
    name = rng.choice(world.PEOPLE)
    pronoun = "she" if name in world.WOMEN else "he"
    done = rng.randint(1, 3)
    told = [f"{name.capitalize()} is in the {activity.place}. "]
    told += [f"{pronoun.capitalize()} {step}. " for step in activity.steps[:done]]
    others = [other for other in world.ACTIVITIES if other is not activity]
    strange = [step for other in others for step in other.steps[1:]]
    past = rng.choice(activity.steps[:done])
    wrong = [f"{step}." for step in (past, *rng.sample(strange, 2))]
    return quiz(rng, "".join(told) + pronoun, f"{activity.steps[done]}.", wrong)


def scene_row(item: Quiz, split: str, number: int) -> Row:
    """A row of HellaSwag."""
    start, last = item.question.rsplit(" ", 1)
    activity = next(one for one in world.ACTIVITIES if f"{one.steps[0]}. " in item.question)
    return {
        "ind": number,
        "activity_label": activity.name.capitalize(),
        "ctx_a": start,
        "ctx_b": last,
        "ctx": item.question,
        "endings": list(item.options),
        "source_id": f"embedded~{split}{number}",
        "split": "train" if split == "train" else "val",
        "split_type": "indomain",
        "label": str(item.answer),
    }


# relation -> (a sentence of the passage, the question)
PASSAGE_WORDINGS: dict[str, tuple[str, str]] = {
    "thing_material": ("The {s} was built from {o}.", "does the {s} consist of {o}"),
    "thing_colour": ("The {s} is mostly {o}.", "does the {s} look {o}"),
    "thing_place": ("People leave the {s} in the {o}.", "do you find the {s} in the {o}"),
    "thing_use": ("With the {s} they {o}.", "does the {s} help to {o}"),
    "thing_size": ("The {s} is a {o} object.", "would you say that the {s} is {o}"),
    "animal_covering": ("The {s} wears {o} all year.", "is the {s} covered by {o}"),
    "animal_home": ("You meet the {s} in the {o}.", "would you meet the {s} in the {o}"),
    "animal_food": ("The meals of the {s} are {o}.", "should you feed the {s} with {o}"),
    "animal_sound": ("At night the {s} {o}.", "can the {s} be heard when it {o}"),
    "animal_size": ("The {s} is a {o} animal.", "would you say that the {s} is {o}"),
}


def passage(rng: Random) -> Quiz:
    """Facts about two subjects, and a question about one; if false, with a fact of the other."""
    kind = rng.choice(("thing", "animal"))
    same_kind = [name for name in PASSAGE_WORDINGS if name.startswith(kind)]
    names = rng.sample(same_kind, rng.choice((1, 2)))
    relation = RELATIONS[names[0]]
    true = dict(relation.pairs)
    subject = rng.choice(relation.subjects)
    other = rng.choice([s for s in relation.subjects if true[s] != true[subject]])
    sentences = [
        PASSAGE_WORDINGS[name][0].format(s=who, o=dict(RELATIONS[name].pairs)[who])
        for who in (subject, other)
        for name in names
    ]
    rng.shuffle(sentences)
    right = rng.random() < 0.6  # the Hub's share of yes
    question = PASSAGE_WORDINGS[names[0]][1].format(s=subject, o=true[subject if right else other])
    return Quiz(f"{' '.join(sentences)}\n{question}", ("no", "yes"), int(right))


def passage_row(item: Quiz, *_: object) -> Row:
    """A row of BoolQ."""
    text, question = item.question.split("\n")
    return {"question": question, "answer": bool(item.answer), "passage": text}


TIMES = ("After lunch", "On Monday", "Last week", "At school", "In the park", "One evening")

# question -> what answers it in a situation
SOCIAL_QUESTIONS: dict[str, Callable[[world.Situation], str]] = {
    "How would {b} feel afterwards?": lambda situation: situation.feeling_of_b,
    "How would you describe {a}?": lambda situation: situation.trait_of_a,
    "Why did {a} do this?": lambda situation: f"to {situation.reason_of_a}",
    "What will {b} want to do next?": lambda situation: situation.next_of_b,
}


def social(rng: Random) -> Quiz:
    """What follows from an act; one wrong answer fits an act that was as kind or as unkind."""
    a, b = (name.capitalize() for name in rng.sample(world.PEOPLE, 2))
    situation = rng.choice(world.SITUATIONS)
    alike = [s for s in world.SITUATIONS if s.good == situation.good and s is not situation]
    unlike = [s for s in world.SITUATIONS if s.good != situation.good]
    question, answer = rng.choice(list(SOCIAL_QUESTIONS.items()))
    right, *wrong = (
        answer(s).format(a=a, b=b) for s in (situation, rng.choice(alike), rng.choice(unlike))
    )
    context = f"{rng.choice(TIMES)} {a} {situation.act.format(b=b)}."
    return quiz(rng, f"{context}\n{question.format(a=a, b=b)}", right, wrong)


def social_row(item: Quiz, *_: object) -> Row:
    """A row of Social IQa."""
    context, question = item.question.split("\n")
    answers = {f"answer{letter}": item.options[i] for i, letter in enumerate("ABC")}
    label = DIGITS[item.answer]
    return {"context": context, "question": question, **answers, "label": label}


# Two things in one sentence, and what only one of them is good for, or does.
USES = (
    "{who} took the {x} and the {y} to {use}, and held the _ all the time.",
    "{who} wanted to {use}, had the {x} and the {y}, and chose the _.",
    "With the {x} here and the {y} there, {who} used the _ to {use}.",
)
FATES = {
    "thing_water": "The {x} and the {y} fell into the lake, and it is the _ that {fate}.",
    "thing_fire": "The {x} and the {y} fell into the fire, and it is the _ that {fate}.",
}
USES_SHARE = 0.2


def pronoun(rng: Random) -> Quiz:
    """A sentence that tells two things and speaks of one of them, which the world's facts pick."""
    if rng.random() < USES_SHARE:
        right, wrong = rng.sample(world.THINGS, 2)
        names, more = (right.name, wrong.name), {"use": right.use}
        sentence = rng.choice(USES)
    else:
        relation, sentence = rng.choice(list(FATES.items()))
        name, fate = rng.choice(RELATIONS[relation].pairs)
        names, more = (name, RELATIONS[relation].wrong_subjects(rng, fate, 1)[0]), {"fate": fate}
    x, y = rng.sample(names, 2)
    who = rng.choice(world.PEOPLE).capitalize()
    return quiz(rng, sentence.format(who=who, x=x, y=y, **more), names[0], names[1:])


def pronoun_row(item: Quiz, *_: object) -> Row:
    """A row of WinoGrande."""
    first, second = item.options
    answer = DIGITS[item.answer]
    return {"sentence": item.question, "option1": first, "option2": second, "answer": answer}
