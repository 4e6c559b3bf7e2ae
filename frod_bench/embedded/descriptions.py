"""What a noun of the world may be called instead: facts as phrases.

"anna found the knife" entails "anna found something made of metal"; whoever does not know what a
knife is made of can not tell.
"""

from functools import cache

from frod_bench.embedded.grammar import a
from frod_bench.embedded.lexicon import GENRES
from frod_bench.embedded.world import ANIMALS, FOODS, JOBS, MATERIAL_OF, MEN, THINGS, WOMEN


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
        table[animal.name] = {
            "group": a(animal.group),
            "cover": f"something with {animal.covering}",
        }
    for job in JOBS:
        table[f"the {job.name}"] = {"does": f"someone who {job.does}"}
    table |= {name: {"sex": "a woman"} for name in WOMEN}
    table |= {name: {"sex": "a man"} for name in MEN}
    told = {word for genre in GENRES for word in genre.agents + genre.objects}
    return {noun: facts for noun, facts in table.items() if noun in told}


@cache
def phrases(kind: str, of_agents: bool) -> tuple[str, ...]:
    """All phrases of one kind, each once, sorted."""
    nouns = [n for genre in GENRES for n in (genre.agents if of_agents else genre.objects)]
    return tuple(sorted({d[kind] for noun in nouns if kind in (d := descriptions()[noun])}))
