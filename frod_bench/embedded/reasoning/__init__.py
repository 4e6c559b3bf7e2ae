"""The eight reasoning data sets, written from the facts of the small world."""

from collections.abc import Callable
from functools import partial

from frod_bench.embedded.reasoning import daily, science
from frod_bench.embedded.reasoning.quiz import Maker, Splits, ToRow, draw


def _set(name: str, make: Maker, row: ToRow, test: bool = False) -> Callable[[int], Splits]:
    return partial(draw, name, make=make, row=row, test=test)


# (Hub id, Hub config) -> seed -> split -> rows
SETS: dict[tuple[str, str], Callable[[int], Splits]] = {
    ("google/boolq", "default"): _set("boolq", daily.passage, daily.passage_row),
    ("baber/piqa", "default"): _set("piqa", daily.physical, daily.physical_row),
    ("lighteval/siqa", "default"): _set("siqa", daily.social, daily.social_row),
    ("Rowan/hellaswag", "default"): _set("hellaswag", daily.scene, daily.scene_row),
    ("allenai/winogrande", "winogrande_l"): _set("winogrande", daily.pronoun, daily.pronoun_row),
    ("allenai/ai2_arc", "ARC-Easy"): _set(
        "arc_easy", science.easy, science.arc_row("Easy"), test=True
    ),
    ("allenai/ai2_arc", "ARC-Challenge"): _set(
        "arc_challenge", science.challenge, science.arc_row("Challenge"), test=True
    ),
    ("allenai/openbookqa", "main"): _set("openbookqa", science.book, science.book_row, test=True),
}
