"""The quirks of the real benchmarks, each on rows as they are written there.

What holds for all tasks alike is tested elsewhere: labels, leaks and unusable rows in `test_load`,
truncation in `test_text`, broken pictures in `test_images`.
"""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image as Pillow

from frod_bench.common.errors import InputError
from frod_bench.config.settings import TaskConfig
from frod_bench.data.hub_schema import features_of
from frod_bench.data.load import TaskData
from frod_bench.data.prompts import prompt_of
from tests.data.conftest import TASKS, Load, png, sample_row, task_config, write_mirror

MANY = 200  # of so many rows two may be unusable


def _rows(task: TaskConfig, number: int = 20) -> list[dict[str, Any]]:
    features = features_of(task.hub_id, task.hub_config)
    return [sample_row(task, features, i) for i in range(number)]


def _load(
    load: Load, root: Path, task: TaskConfig, rows: list[dict[str, Any]], **other: Any
) -> TaskData:
    """The task with these rows in every split, but for those that `other` gives."""
    names = {task.train_split, task.test_split, *task.extra_test_splits.values()}
    write_mirror(root, task, {**dict.fromkeys(names, rows), **other})
    return load(task, data_root=root)


def _arc(names: str, answer: str, number: int = 0) -> dict[str, Any]:
    texts = [f"option {i} of {number}" for i in range(len(names))]
    return {
        "id": f"q{number}",
        "question": f"which of {number}?",
        "choices": {"text": texts, "label": list(names)},
        "answerKey": answer,
    }


@pytest.mark.parametrize("name", ["arc_easy", "arc_challenge"])
def test_arc_names_options_by_letters_or_digits_and_has_three_to_five(
    name: str, load: Load, tmp_path: Path
) -> None:
    kinds = [("ABCD", "C"), ("1234", "3"), ("ABC", "C"), ("ABCDE", "E"), ("12345", "5")]
    rows = [_arc(*kinds[i % 5], i) for i in range(20)]
    data = _load(load, tmp_path, task_config(name), rows)
    assert [row.label for row in data.tests["test"]] == [2, 2, 2, 4, 4] * 4
    assert data.num_labels == 5
    assert data.counts.rows_unusable == 0


@pytest.mark.parametrize("names", ["ABC", "1234", "ABCDE"])
def test_options_of_an_arc_question_are_lettered_by_position(names: str) -> None:
    prompt = prompt_of(task_config("arc_challenge"))
    text = prompt.render(prompt.values(_arc(names, names[0])))
    listed = [f"{letter}: option {i} of 0" for i, letter in enumerate("ABCDE"[: len(names)])]
    assert text.splitlines() == ["question: which of 0?", *listed, "answer:"]


def test_a_question_without_its_list_of_options_is_unusable(load: Load, tmp_path: Path) -> None:
    rows = [_arc("ABCD", "A", i) for i in range(MANY)]
    rows[3]["choices"] = None
    rows[4]["choices"] = {"text": None, "label": None}
    data = _load(load, tmp_path, task_config("arc_easy"), rows)
    assert data.counts.rows_unusable == 4
    assert {3, 4}.isdisjoint(data.tests["test"].ids)


def test_siqa_labels_are_digits_in_text_counted_from_one(load: Load, tmp_path: Path) -> None:
    task = task_config("siqa")
    written = ["1", "2", "3", "2\n"]  # the original files end each with a line break
    rows = [{**row, "label": written[i % 4]} for i, row in enumerate(_rows(task))]
    data = _load(load, tmp_path, task, rows)
    assert [row.label for row in data.tests["test"]] == [0, 1, 2, 1] * 5


def test_winogrande_answers_are_digits_in_text_and_hidden_ones_empty(
    load: Load, tmp_path: Path
) -> None:
    task = task_config("winogrande")
    rows = [{**row, "answer": "12"[i % 2]} for i, row in enumerate(_rows(task, MANY))]
    rows[6]["answer"] = ""
    data = _load(load, tmp_path, task, rows)
    assert data.counts.rows_unusable == 2
    assert {row.id % 2 == row.label for row in data.tests["test"]} == {True}
    hidden = [{**row, "answer": ""} for row in rows]
    with pytest.raises(InputError, match="label '' "):
        _load(load, tmp_path / "hidden", task, hidden)


def test_hellaswag_labels_are_digits_in_text(load: Load, tmp_path: Path) -> None:
    task = task_config("hellaswag")
    rows = [{**row, "label": str(i % 4)} for i, row in enumerate(_rows(task))]
    data = _load(load, tmp_path, task, rows)
    assert [row.label for row in data.tests["test"]] == [0, 1, 2, 3] * 5


@pytest.mark.parametrize("mark", ["[header]", "[title]", "[step]", "[substeps]"])
@pytest.mark.parametrize("column", ["ctx", "endings"])
def test_marks_of_hellaswag_are_removed(mark: str, column: str) -> None:
    row = {"activity_label": "Baking", "ctx": "Mix.", "endings": ["Stir.", "Wait."]}
    text = f"First part. {mark} Second part."
    row[column] = text if column == "ctx" else [text, "Wait."]
    prompt = prompt_of(task_config("hellaswag"))
    rendered = prompt.render(prompt.values(row))
    assert mark not in rendered
    assert "First part." in rendered
    assert "Second part." in rendered
    assert "  " not in rendered


def test_mnli_has_two_test_splits_of_its_own_rows(load: Load, tmp_path: Path) -> None:
    task = task_config("mnli")
    rows = [{**row, "label": 0} for row in _rows(task)]
    other = [{**row, "label": 2} for row in rows[:7]]
    data = _load(load, tmp_path, task, rows, validation_mismatched=other)
    assert {row.label for row in data.tests["test"]} == {0}
    assert [row.label for row in data.tests["mismatched"]] == [2] * 7


def test_stsb_is_a_regression_on_its_own_scale(load: Load, tmp_path: Path) -> None:
    task = task_config("stsb")
    scores = [0.0, 0.25, 3.2, 5.0]
    rows = [{**row, "label": scores[i % 4]} for i, row in enumerate(_rows(task, MANY))]
    rows[8]["label"] = -1.0  # GLUE's mark of a hidden one
    data = _load(load, tmp_path, task, rows)
    assert data.num_labels == 1
    assert data.counts.rows_unusable == 2
    labels = data.collate(list(data.tests["test"])[:4])["labels"]
    assert torch.equal(labels, torch.tensor(scores))


def test_minus_one_is_a_target_like_others_on_a_scale_with_negative_ones(
    load: Load, tmp_path: Path
) -> None:
    task = task_config("stsb")
    scores = [-1.0, -0.5, 0.25, 1.0]
    rows = [{**row, "label": scores[i % 4]} for i, row in enumerate(_rows(task, MANY))]
    data = _load(load, tmp_path, task, rows)
    assert data.counts.rows_unusable == 0
    labels = data.collate(list(data.tests["test"])[:4])["labels"]
    assert torch.equal(labels, torch.tensor(scores))


def test_every_task_is_judged_by_its_benchmarks_own_metric() -> None:
    primary = {name: task_config(name).primary_metric for name in TASKS}
    others = {name: metric for name, metric in primary.items() if metric != "accuracy"}
    assert others == {"cola": "matthews", "mrpc": "f1", "qqp": "f1", "stsb": "pearson"}


def test_the_question_of_a_long_boolq_passage_stays_whole(load: Load, tmp_path: Path) -> None:
    task = task_config("boolq")
    question = "is the question whole"
    rows = [{**row, "passage": "p" * 900, "question": question} for row in _rows(task)]
    data = _load(load, tmp_path, task, rows)
    assert data.counts.sequences_cut == 40
    ids = data.tests["test"][0].inputs["input_ids"]
    characters = "".join(chr(int(i) - 4 + 32) if i != 4 + 95 else "\n" for i in ids[1:])
    assert characters.endswith(f"p\nquestion: {question}?\nanswer:")
    assert len(ids) == 200


def _picture(mode: str, grey: int, file_format: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    if mode == "I;16":
        Pillow.fromarray(np.full((9, 9), grey * 257, dtype=np.uint16)).save(buffer, file_format)
    else:
        Pillow.new("RGB", (9, 9), (grey,) * 3).convert(mode).save(buffer, file_format)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("mode", "file_format"),
    [
        *(("L", "PNG"), ("L", "JPEG"), ("P", "PNG"), ("P", "GIF"), ("LA", "PNG"), ("RGBA", "PNG")),
        *(("I;16", "PNG"), ("I;16", "TIFF"), ("CMYK", "TIFF")),
    ],
)
def test_grey_and_palette_images_have_the_colours_of_rgb(
    mode: str, file_format: str, load: Load, tmp_path: Path
) -> None:
    task = task_config("mnist")
    pictures = [_picture("RGB", 102), _picture(mode, 102, file_format)] * 10
    rows = [{"image": {"bytes": p, "path": None}, "label": i % 10} for i, p in enumerate(pictures)]
    data = _load(load, tmp_path, task, rows)
    plain, other = (data.tests["test"][i].inputs for i in range(2))
    assert other.shape == (3, 32, 32)
    assert (other.int() - plain.int()).abs().max() <= 1


def test_an_image_that_is_too_large_to_decode_is_counted(
    load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = task_config("mnist")
    rows = [
        {"image": {"bytes": png(i, size=(90, 90) if i == 5 else (9, 9)), "path": None}, "label": 1}
        for i in range(MANY)
    ]
    monkeypatch.setattr(Pillow, "MAX_IMAGE_PIXELS", 1000)
    data = _load(load, tmp_path, task, rows)
    assert data.counts.rows_unusable == 2
    assert 5 not in data.tests["test"].ids


def test_classes_without_images_keep_their_numbers(load: Load, tmp_path: Path) -> None:
    """RESISC45 with pictures of two of its 45 classes: labels are not counted anew."""
    task = task_config("resisc45")
    rows = [{"image": {"bytes": png(i), "path": None}, "label": (3, 44)[i % 2]} for i in range(20)]
    data = _load(load, tmp_path, task, rows)
    assert data.num_labels == 45
    assert [row.label for row in data.tests["test"]] == [3, 44] * 10
