"""Stand-ins for the eight reasoning sets, written from the facts of the small world."""

from collections.abc import Callable

from frod_bench.embedded.reasoning.daily import boolq, hellaswag, piqa
from frod_bench.embedded.reasoning.draw import Row
from frod_bench.embedded.reasoning.people import siqa, winogrande
from frod_bench.embedded.reasoning.science import arc_challenge, arc_easy, openbookqa

SETS: dict[tuple[str, str], Callable[[int], dict[str, list[Row]]]] = {
    ("google/boolq", "default"): boolq,
    ("baber/piqa", "default"): piqa,
    ("lighteval/siqa", "default"): siqa,
    ("Rowan/hellaswag", "default"): hellaswag,
    ("allenai/winogrande", "winogrande_l"): winogrande,
    ("allenai/ai2_arc", "ARC-Easy"): arc_easy,
    ("allenai/ai2_arc", "ARC-Challenge"): arc_challenge,
    ("allenai/openbookqa", "main"): openbookqa,
}
"""(Hub id, Hub config) -> seed -> split -> rows."""
