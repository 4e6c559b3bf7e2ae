"""What rows of validation and of test have in common with those that are trained on."""

import pandas as pd
import pytest

from tests.conftest import MakeCell
from tools.row_overlap import COUNTED, OVERLAP, Pieces, pieces_of, shares


def test_a_text_is_found_as_it_is_and_within_another() -> None:
    trained = [
        Pieces(frozenset(["she is a good doctor"]), frozenset(["to the old house"])),
        Pieces(frozenset(["the second row"])),
    ]
    rows = [
        Pieces(frozenset(["the second row", "of its own"])),
        Pieces(frozenset(["is a good"]), frozenset(["the old house"])),
        Pieces(frozenset(["he is a good"]), frozenset(["a good doctor"])),  # he is not she
        Pieces(frozenset(["doctor the second"])),  # across two texts
        Pieces(frozenset()),  # all too short
    ]
    assert shares(rows, trained) == (20.0, 40.0, 40.0)


@pytest.mark.parametrize(
    ("words", "row", "pieces"),
    [
        (
            ("task=sst2",),
            {"sentence": "A  Film that\nworks"},
            Pieces(frozenset(["a film that works"])),
        ),
        (("task=sst2",), {"sentence": "too short"}, Pieces(frozenset())),
        (
            ("task=qqp",),
            {"question1": "Is it so?", "question2": "Why is it so?"},
            Pieces(frozenset(["is it so?", "why is it so?"])),
        ),
        (
            ("task=openbookqa", "head=rank"),
            {
                "question_stem": "Which gas is it",
                "choices": {"text": ["a wrong one", "the right one"]},
            },
            Pieces(frozenset(["which gas is it"]), frozenset(["the right one"])),
        ),
        (
            ("task=hellaswag", "head=rank"),
            {
                "activity_label": "Doing the dishes",
                "ctx": "A man washes",
                "endings": ["one wrong ending", "one right ending"],
            },
            Pieces(frozenset(["a man washes"]), frozenset(["one right ending"])),
        ),
        (
            ("task=gtsrb",),
            {"image": {"path": "00012_00003.png", "bytes": b"\x01\x02"}},
            Pieces(frozenset(["0102", "sign 1/00012"])),
        ),
        (
            ("task=gtsrb",),
            {"image": {"path": "05929.png", "bytes": b"\x01"}},
            Pieces(frozenset(["01"])),
        ),
    ],
)
def test_a_row_is_taken_apart(
    make_cell: MakeCell, words: tuple[str, ...], row: dict[str, object], pieces: Pieces
) -> None:
    task = make_cell("profile=real", "method=frozen", *words).settings.task
    assert pieces_of(row, task, 1) == pieces


def test_every_task_and_seed_of_the_table_was_counted() -> None:
    found = pd.read_csv(OVERLAP)
    assert len(found) == 10 * 3 * 2
    assert not found.duplicated(["task", "seed", "split"]).any()
    assert (found["within"] >= found["equal"]).all()
    assert found[list(COUNTED)].stack().between(0, 100).all()
