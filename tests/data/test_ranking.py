"""Questions with each option behind them: texts, what is cut, and what is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from frod_bench.common.errors import InputError
from frod_bench.data.hub_schema import features_of
from frod_bench.data.prompts import rank_prompt_of
from tests.data.conftest import (
    SPECIAL,
    TASKS,
    Load,
    sample_row,
    task_config,
    write_mirror,
    write_sample,
)

REASONING = [name for name in TASKS if task_config(name).rank is not None]
CHARACTERS = [*SPECIAL, *map(chr, range(32, 127)), "\n", "é"]


def texts_of(inputs: dict[str, np.ndarray]) -> list[tuple[str, str]]:
    """(question, option) of every sequence of a row; the tokenizer has a token a character."""
    sequences = np.split(inputs["input_ids"], inputs["lengths"].cumsum()[:-1])
    texts = ["".join(CHARACTERS[i] for i in ids[1:]) for ids in sequences]
    sizes = inputs["option_tokens"].tolist()
    return [(text[:-size], text[-size:]) for text, size in zip(texts, sizes, strict=True)]


def boolq_row(**changes: Any) -> dict[str, Any]:
    row = {"question": "is it", "answer": True, "passage": "It is so."}
    return {**row, **changes}


def arc_row(options: list[str], answer: str = "A", question: str = "Which?") -> dict[str, Any]:
    labels = list("ABCDEFG")[: len(options)]
    choices = {"text": options, "label": labels}
    return {"id": "x", "question": question, "choices": choices, "answerKey": answer}


def write(root: Path, name: str, rows: list[dict[str, Any]]) -> Any:
    task = task_config(name)
    write_mirror(root, task, dict.fromkeys((task.train_split, task.test_split), rows))
    return task


def test_every_reasoning_task_supports_rank() -> None:
    assert len(REASONING) == 8
    assert {task_config(name).family for name in REASONING} == {"reasoning"}


@pytest.mark.parametrize("name", REASONING)
def test_a_row_is_its_question_with_each_option(name: str, load: Load, tmp_path: Path) -> None:
    task = task_config(name)
    write_sample(tmp_path, task)
    row = load(task, head="rank", validation_percent=0.0).tests["test"][0]
    texts = texts_of(row.inputs)  # type: ignore[arg-type]
    assert len({question for question, _ in texts}) == 1
    assert all(option.startswith(" ") and option.strip() for _, option in texts)
    assert 2 <= len(texts) <= task.num_labels
    assert row.label < len(texts)


def test_yes_and_no_are_the_options_of_a_question_without_any(load: Load, tmp_path: Path) -> None:
    task = write(tmp_path, "boolq", [boolq_row()] * 10)
    data = load(task, head="rank")
    row = data.tests["test"][0]
    question = "It is so.\nquestion: is it?\nanswer:"
    assert texts_of(row.inputs) == [(question, " no"), (question, " yes")]  # type: ignore[arg-type]
    assert row.label == 1
    assert data.prompt_digest == rank_prompt_of(task).digest != load(task).prompt_digest


def test_the_passage_is_cut_and_never_the_question_or_an_option(load: Load, tmp_path: Path) -> None:
    rows = [boolq_row(passage="p" * 300)] * 10
    data = load(write(tmp_path, "boolq", rows), head="rank")
    assert data.counts.sequences_cut == 20
    row = data.tests["test"][0]
    for question, option in texts_of(row.inputs):  # type: ignore[arg-type]
        assert question.lstrip("p") == "\nquestion: is it?\nanswer:"
        assert option in (" no", " yes")
    assert row.inputs["lengths"].max() == 200  # type: ignore[call-overload]


def test_an_option_is_never_cut(load: Load, tmp_path: Path) -> None:
    rows = [arc_row(["o" * 150, "no"], question="q" * 300)] * 10
    rows += [arc_row(["o" * 190, "no"])] * 10
    data = load(write(tmp_path, "arc_easy", rows), head="rank")
    for row in data.tests["test"]:
        options = [option for _, option in texts_of(row.inputs)]
        assert options == [" " + "o" * (150 if row.id < 10 else 190), " no"]
        assert row.inputs["lengths"].max() == 200


def test_rows_with_fewer_options_are_masked(load: Load, tmp_path: Path) -> None:
    rows = [arc_row(["ab", "c", "def"]), arc_row(["a", "b", "c", "d", "e"], "E")] * 5
    data = load(write(tmp_path, "arc_easy", rows), head="rank")
    batch = data.collate([data.tests["test"][0], data.tests["test"][1]])
    assert batch["input_ids"].shape[:2] == (2, 5)
    assert batch["attention_mask"].any(dim=-1).tolist() == [[True] * 3 + [False] * 2, [True] * 5]
    assert batch["option_mask"].sum(dim=-1).tolist() == [[3, 2, 4, 0, 0], [2] * 5]
    ends = batch["attention_mask"].cumsum(dim=-1) * batch["attention_mask"]
    assert (ends.max(dim=-1).values == batch["attention_mask"].sum(dim=-1)).all()
    assert (batch["option_mask"] <= batch["attention_mask"]).all()
    assert batch["labels"].tolist() == [0, 4]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (arc_row(["a", ""]), "with an empty option"),
        (arc_row([]), "with "),
        (arc_row(list("abcdef")), r"6 options \(task.num_labels is 5\)"),
        (arc_row(["a", "b"], question=" "), "empty 'question'"),
    ],
)
def test_rows_without_usable_options_are_counted(
    load: Load, tmp_path: Path, row: dict[str, Any], message: str
) -> None:
    task = write(tmp_path / "few", "arc_easy", [row] + [arc_row(["a", "b"])] * 100)
    assert load(task, head="rank", data_root=tmp_path / "few").counts.rows_unusable == 2
    task = write(tmp_path / "many", "arc_easy", [row] * 10)
    with pytest.raises(InputError, match=message):
        load(task, head="rank", data_root=tmp_path / "many")


@pytest.mark.parametrize("head", ["rank", "classify"])
@pytest.mark.parametrize("name", ["arc_easy", "hellaswag"])
def test_a_label_beyond_the_options_of_its_row_is_unusable(
    name: str, head: str, load: Load, tmp_path: Path
) -> None:
    task = task_config(name)
    features = features_of(task.hub_id, task.hub_config)
    good = [sample_row(task, features, i) for i in range(100)]
    if name == "arc_easy":  # more names of options than options
        bad = arc_row(list("wxyz"), "E")
        bad["choices"]["label"] = list("ABCDE")
    else:
        bad = {**good[0], "endings": ["a", "b", "c"], "label": "3"}
    write(tmp_path / "few", name, [bad, *good])
    data = load(task, head=head, data_root=tmp_path / "few")
    assert data.counts.rows_unusable == 2
    assert data.tests["test"].ids == tuple(range(1, 101))
    write(tmp_path / "many", name, [bad] * 10)
    with pytest.raises(InputError, match="10 with a label that names no option of the row"):
        load(task, head=head, data_root=tmp_path / "many")


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("boolq", {"rank": None}, "head=rank: task boolq is not multiple choice"),
        ("boolq", {"rank": {"options": []}}, "only then"),
        ("arc_easy", {"rank": {"options": ["a"]}}, "only then"),
        (
            "boolq",
            {"rank": {"options": ["no", "yes", "so"]}},
            "3 options for the 2 classes of task boolq",
        ),
        ("boolq", {"rank": {"template": "{answer}"}}, "must name columns"),
        ("arc_easy", {"rank": {"template": "{question} {options}"}}, "must name columns"),
        ("boolq", {"rank": {"template": "{question"}}, "task.rank.template"),
        ("boolq", {"rank": {"template": "{question:d}"}}, "task.rank.template: .*format code"),
        ("boolq", {"rank": {"template": "{question}"}}, "truncate='passage': is not in task.rank"),
    ],
)
def test_bad_descriptions_are_refused(name: str, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        rank_prompt_of(task_config(name, **changes))
