"""The figures of a search."""

import matplotlib.pyplot as plt
import pandas as pd

from frod_bench.report.figures import render
from frod_bench.tuning import figure

METHODS = ("lora", "frod", "frozen", "lora_matched", "pissa", "vera")


def test_methods_of_the_main_table_at_other_budgets_and_others_have_a_figure_each() -> None:
    rates = (1e-3, 3e-3, 1e-2)
    rows = [
        {
            "family": "nlu", "method": method, "task": "rte", "seed": 100, "head_step": -7,
            "ratio": None, "rate_step": None if method == "frozen" else step, "points": 60.0 + step,
            "lr_adapter": None if method == "frozen" else rate,
            "lr_head": rate if method == "frozen" else 0.01,
        }
        for method in METHODS
        for step, rate in enumerate(rates)
    ]  # fmt: skip
    table = pd.DataFrame(rows)
    picks = table[table["points"] == 62.0]
    found = figure.drawings("search", table, picks, "embedded")
    lines = figure.curves(table).set_index(["method", "rate"])["points"]
    assert list(lines["frozen"].items()) == list(lines["lora"].items())  # over the head's rates
    shown = {}
    for name, drawing in found.items():
        drawn = render(drawing)
        [legend] = drawn.legends
        shown[name] = [text.get_text() for text in legend.get_texts()]
        plt.close(drawn)
    assert shown == {
        "search": ["LoRA", "FRoD", "Frozen"],
        "search_matched": ["LoRA (matched)"],
        "search_others": ["PiSSA", "VeRA"],
    }
    assert not figure.drawings("search", table[table["method"] == "frozen"], picks, "embedded")
