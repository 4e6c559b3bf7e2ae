"""The eight reasoning data sets, written from the facts of the small world."""

from collections.abc import Callable
from functools import partial

from frod_bench.embedded.reasoning import daily, science
from frod_bench.embedded.reasoning.quiz import Maker, Splits, ToRow, draw

# (Hub id, Hub config) -> name, how a quiz is made, how it becomes a row
_VALIDATED: dict[tuple[str, str], tuple[str, Maker, ToRow]] = {
    ("google/boolq", "default"): ("boolq", daily.passage, daily.passage_row),
    ("baber/piqa", "default"): ("piqa", daily.physical, daily.physical_row),
    ("lighteval/siqa", "default"): ("siqa", daily.social, daily.social_row),
    ("Rowan/hellaswag", "default"): ("hellaswag", daily.scene, daily.scene_row),
    ("allenai/winogrande", "winogrande_l"): ("winogrande", daily.pronoun, daily.pronoun_row),
}
_EASY, _CHALLENGE = partial(science.arc_row, "Easy"), partial(science.arc_row, "Challenge")
_TESTED: dict[tuple[str, str], tuple[str, Maker, ToRow]] = {  # they have a test split, too
    ("allenai/ai2_arc", "ARC-Easy"): ("arc_easy", science.easy, _EASY),
    ("allenai/ai2_arc", "ARC-Challenge"): ("arc_challenge", science.challenge, _CHALLENGE),
    ("allenai/openbookqa", "main"): ("openbookqa", science.book, science.book_row),
}

# (Hub id, Hub config) -> seed -> split -> rows
SETS: dict[tuple[str, str], Callable[[int], Splits]] = {
    **{key: partial(draw, *one) for key, one in _VALIDATED.items()},
    **{key: partial(draw, *one, test=True) for key, one in _TESTED.items()},
}
