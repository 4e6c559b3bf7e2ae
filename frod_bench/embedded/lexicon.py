"""The vocabulary of the language-understanding tasks, in addition to that of `world`.

Synonyms come in pairs: who knows them can tell a paraphrase from a change of meaning.
"""

from functools import cache
from typing import Any, NamedTuple

from frod_bench.embedded.world import ANIMALS, FOODS, JOBS, MATERIAL_OF, MEN, THINGS, WOMEN


class Verb(NamedTuple):
    """A transitive verb in the forms that the grammar needs."""

    base: str
    past: str
    participle: str


class Genre(NamedTuple):
    """A vocabulary. Each pair holds two synonyms."""

    agents: tuple[str, ...]
    objects: tuple[str, ...]
    verbs: tuple[tuple[Verb, Verb], ...]
    adjectives: tuple[tuple[str, str], ...]
    places: tuple[tuple[str, str], ...]
    times: tuple[tuple[str, str], ...]


def _regular(base: str) -> Verb:
    past = base + ("d" if base.endswith("e") else "ed")
    return Verb(base, past, past)


TIMES = (("at dawn", "at sunrise"), ("at dusk", "at sunset"), ("at noon", "at midday"))

HOME = Genre(
    agents=WOMEN[:6] + MEN[:6],
    objects=tuple(thing.name for thing in THINGS[::3]),
    verbs=(
        (Verb("find", "found", "found"), _regular("discover")),
        (Verb("buy", "bought", "bought"), _regular("purchase")),
        (Verb("break", "broke", "broken"), _regular("smash")),
        (_regular("wash"), _regular("clean")),
        (Verb("take", "took", "taken"), Verb("grab", "grabbed", "grabbed")),
        (Verb("hide", "hid", "hidden"), _regular("conceal")),
    ),
    adjectives=(("large", "big"), ("small", "little"), ("wet", "soaked"), ("dirty", "filthy")),
    places=(("house", "home"), ("shop", "store"), ("garden", "yard"), ("park", "playground")),
    times=TIMES,
)

MARKET = Genre(
    agents=tuple(f"the {job.name}" for job in JOBS[:8]),
    objects=tuple(food.name for food in FOODS[::3]) + tuple(a.name for a in ANIMALS[::3]),
    verbs=(
        (Verb("sell", "sold", "sold"), _regular("trade")),
        (_regular("want"), _regular("desire")),
        (Verb("bring", "brought", "brought"), _regular("deliver")),
        (_regular("collect"), _regular("gather")),
        (Verb("choose", "chose", "chosen"), Verb("pick", "picked", "picked")),
    ),
    adjectives=(
        ("fresh", "new"),
        ("tasty", "delicious"),
        ("cheap", "inexpensive"),
        ("strange", "odd"),
    ),
    places=(("street", "road"), ("farm", "ranch"), ("lake", "pond"), ("market", "fair")),
    times=TIMES,
)

GENRES: tuple[Genre, ...] = (HOME, MARKET)

# Reviews.
WORKS: tuple[str, ...] = ("film", "book", "show", "play", "song", "story")
ASPECTS: tuple[str, ...] = (
    "plot", "acting", "music", "ending", "cast", "script", "humor", "dialogue", "style", "idea",
)  # fmt: skip
POSITIVE = ("great", "brilliant", "charming", "clever", "superb", "touching", "witty", "wonderful")
NEGATIVE = ("awful", "boring", "clumsy", "dull", "silly", "stupid", "tedious", "terrible")
LIKING: tuple[str, ...] = ("loved", "enjoyed", "admired", "praised", "adored")
DISLIKING: tuple[str, ...] = ("hated", "disliked", "regretted", "mocked", "despised")
INTENSIFIERS: tuple[str, ...] = ("very", "really", "truly", "quite", "rather")
NEGATORS: tuple[str, ...] = ("not", "never", "hardly")
VIEWERS: tuple[str, ...] = ("critics", "viewers", "people", "fans", "children")

# Agreement: count nouns, and intransitive verbs as (plural, singular, past, participle in -ing).
COUNT_NOUNS: tuple[tuple[str, str], ...] = (
    ("dog", "dogs"), ("cat", "cats"), ("cow", "cows"), ("horse", "horses"), ("bird", "birds"),
    ("boy", "boys"), ("girl", "girls"), ("teacher", "teachers"), ("doctor", "doctors"),
    ("farmer", "farmers"), ("baker", "bakers"), ("guard", "guards"), ("king", "kings"),
    ("queen", "queens"),
)  # fmt: skip
INTRANSITIVES: tuple[tuple[str, str, str, str], ...] = (
    ("sleep", "sleeps", "slept", "sleeping"), ("run", "runs", "ran", "running"),
    ("sing", "sings", "sang", "singing"), ("dance", "dances", "danced", "dancing"),
    ("wait", "waits", "waited", "waiting"), ("smile", "smiles", "smiled", "smiling"),
    ("swim", "swims", "swam", "swimming"), ("laugh", "laughs", "laughed", "laughing"),
    ("rest", "rests", "rested", "resting"), ("work", "works", "worked", "working"),
)  # fmt: skip
TRANSITIVES: tuple[tuple[str, str, str, str], ...] = (
    ("see", "sees", "saw", "seeing"), ("help", "helps", "helped", "helping"),
    ("follow", "follows", "followed", "following"), ("like", "likes", "liked", "liking"),
    ("know", "knows", "knew", "knowing"), ("chase", "chases", "chased", "chasing"),
    ("hear", "hears", "heard", "hearing"), ("call", "calls", "called", "calling"),
)  # fmt: skip


@cache
def synonyms() -> dict[Any, Any]:
    """Verb, adjective, place or time -> the other one of its pair."""
    tables = [table for g in GENRES for table in (g.verbs, g.adjectives, g.places, g.times)]
    return {word: other for table in tables for a, b in table for word, other in ((a, b), (b, a))}


def a(noun: str) -> str:
    """The noun with its indefinite article: `a dog`, `an owl`."""
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


@cache
def descriptions() -> dict[str, dict[str, str]]:
    """Noun -> kind of fact -> phrase, for every agent and object of the genres."""
    table: dict[str, dict[str, str]] = {}
    for thing in THINGS:
        table[thing.name] = {
            "material": f"something made of {thing.material}",
            "place": f"something from the {thing.place}",
            "touch": f"something {MATERIAL_OF[thing.material].touch}",
        }
    for food in FOODS:
        table[food.name] = {"group": f"a kind of {food.group}", "taste": f"something {food.taste}"}
    for animal in ANIMALS:
        cover = f"something with {animal.covering}"
        table[animal.name] = {"group": a(animal.group), "cover": cover}
    table |= {f"the {job.name}": {"does": f"someone who {job.does}"} for job in JOBS}
    table |= {name: {"sex": "a woman"} for name in WOMEN}
    table |= {name: {"sex": "a man"} for name in MEN}
    used = {word for genre in GENRES for word in genre.agents + genre.objects}
    return {noun: facts for noun, facts in table.items() if noun in used}


@cache
def phrases(kind: str, of_agents: bool) -> tuple[str, ...]:
    """All phrases of one kind, each once, sorted."""
    nouns = [n for genre in GENRES for n in (genre.agents if of_agents else genre.objects)]
    return tuple(sorted({d[kind] for noun in nouns if kind in (d := descriptions()[noun])}))
