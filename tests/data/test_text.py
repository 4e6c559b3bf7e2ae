"""Prompts, truncation and padding. The test tokenizer makes one token of each character."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoTokenizer, BertConfig

from frod_bench.common.errors import InputError
from frod_bench.config.settings import BackboneConfig
from frod_bench.data.hub_schema import features_of
from frod_bench.data.prompts import prompt_of
from frod_bench.data.text import PromptEncoder, tokens_of
from tests.data.conftest import SPECIAL, TASKS, Load, sample_row, task_config, write_mirror

REASONING = [name for name in TASKS if task_config(name).family == "reasoning"]
Backbones = dict[str, tuple[BackboneConfig, Path]]


def _rows(name: str, number: int = 20, **changes: Any) -> list[dict[str, Any]]:
    task = task_config(name)
    features = features_of(task.hub_id, task.hub_config)
    return [{**sample_row(task, features, i), **changes} for i in range(number)]


def _text(ids: Any) -> str:
    characters = [chr(code) for code in range(32, 127)] + ["\n", "é"]
    return "".join(["", "", "|", "?", *characters][int(i)] for i in ids)


def test_a_prompt_reads_as_documented() -> None:
    prompt = prompt_of(task_config("arc_easy"))
    row = {
        "question": "Which gas do plants take in?",
        "choices": {"text": ["oxygen", "carbon dioxide"], "label": ["1", "2"]},
        "answerKey": "2",
    }
    assert prompt.render(prompt.values(row)) == (
        "question: Which gas do plants take in?\nA: oxygen\nB: carbon dioxide\nanswer:"
    )


def test_braces_in_a_row_are_text() -> None:
    prompt = prompt_of(task_config("winogrande"))
    row = {"sentence": "{answer} is _", "option1": "{", "option2": "}"}
    assert "{answer} is _\nA: {\nB: }" in prompt.render(prompt.values(row))


def test_hellaswag_marks_are_taken_out() -> None:
    prompt = prompt_of(task_config("hellaswag"))
    row = {
        "activity_label": "Baking",
        "ctx": "[header] How to bake [title] Mix the dough. [step] Use flour.",
        "endings": ["[substeps] Stir well.", "Sleep."],
    }
    assert prompt.render(prompt.values(row)) == (
        "Baking: How to bake. Mix the dough. Use flour.\nA: Stir well.\nB: Sleep.\nanswer:"
    )


def test_the_digest_follows_the_prompt() -> None:
    task = task_config("boolq")
    assert task.prompt is not None
    again = replace(task, prompt=replace(task.prompt))
    other = replace(task, prompt=replace(task.prompt, version=2))
    assert prompt_of(task).digest == prompt_of(again).digest
    assert prompt_of(task).digest != prompt_of(other).digest


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"template": "{question"}, "template"),
        ({"template": "answer:"}, "names no column"),
        ({"template": "{sentence}\nanswer:"}, r"must contain \{options\} if"),
        ({"template": "{sentence} {answer} {options}"}, "would show the label"),
        ({"truncate": "sentense"}, "Did you mean 'sentence'"),
        ({"template": "{sentence:d} {options}"}, "without format code"),
        ({"template": "{sentence!r} {options}"}, "without format code"),
        ({"template": "{sentence} {} {options}"}, r"braces with '' in them"),
        ({"template": "{sentence.x} {options}"}, "index or attribute"),
        ({"template": "{sentence[0]} {options}"}, "index or attribute"),
    ],
)
def test_bad_prompts_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        prompt_of(task_config("winogrande", prompt=changes))


@pytest.mark.parametrize("name", REASONING)
def test_only_the_named_column_is_cut(name: str, load: Load, tmp_path: Path) -> None:
    """The cut prompt is the whole one with a shorter column in it, and fills the length."""
    task = task_config(name)
    assert task.prompt is not None
    column = task.prompt.truncate
    assert column is not None
    rows = _rows(name, **{column: "x" * 300})
    write_mirror(tmp_path, task, dict.fromkeys((task.train_split, task.test_split), rows))
    data = load(task)
    assert data.counts.sequences_cut == 40
    row = data.tests["test"][0]
    text = _text(row.inputs["input_ids"])
    kept = text.count("x")
    prompt = prompt_of(task)
    values = {**prompt.values(rows[row.id]), column: "x" * 300}
    others = prompt.render({**values, column: ""}).count("x")
    assert 0 < kept - others < 300
    assert text == prompt.render({**values, column: "x" * (kept - others)})
    assert len(row.inputs["input_ids"]) == 200


def test_the_end_of_a_prompt_is_never_cut(load: Load, tmp_path: Path) -> None:
    task = task_config("boolq")
    rows = _rows("boolq", question="q" * 400)
    write_mirror(tmp_path, task, {"train": rows, "validation": rows})
    row = load(task).tests["test"][0]
    assert len(row.inputs["input_ids"]) == 200
    assert _text(row.inputs["input_ids"]).endswith("qqq?\nanswer:")


@pytest.mark.parametrize("head", ["classify", "rank"])
def test_a_context_of_marks_alone_is_empty(head: str, load: Load, tmp_path: Path) -> None:
    """HellaSwag's marks are taken out before a text is judged, and before it is cut."""
    task = task_config("hellaswag")
    rows = _rows("hellaswag", 200)
    rows[3] = {**rows[3], "ctx": "[header]", "endings": ["e" * 90] * 4}
    write_mirror(tmp_path, task, dict.fromkeys((task.train_split, task.test_split), rows))
    data = load(task, head=head)
    assert data.counts.rows_unusable == 2
    assert 3 not in data.tests["test"].ids


def test_options_too_long_for_the_backbone_are_cut_with_an_empty_column(
    backbones: Backbones,
) -> None:
    """Nothing of the column that gives way is left to drop."""
    backbone, path = backbones["reasoning"]
    encoder = PromptEncoder(prompt_of(task_config("hellaswag")), tokens_of(backbone, str(path)))
    row = {"activity_label": "Baking", "ctx": "[header]", "endings": ["e" * 90] * 4}
    (encoded,) = encoder.encode([row])
    assert encoded.cut
    assert isinstance(encoded.inputs, dict)
    assert _text(encoded.inputs["input_ids"]).endswith("e\nanswer:")
    assert len(encoded.inputs["input_ids"]) == 200


def test_long_pairs_are_cut_to_the_backbones_positions(load: Load, tmp_path: Path) -> None:
    """130 positions of a RoBERTa hold 128 tokens, whatever max_length says."""
    task = task_config("rte")
    rows = _rows("rte", sentence1="a" * 500)
    write_mirror(tmp_path, task, {"train": rows, "validation": rows})
    data = load(task)
    row = data.tests["test"][0]
    assert len(row.inputs["input_ids"]) == 128
    assert data.counts.sequences_cut == 40
    assert f"||{rows[row.id]['sentence2']}|" in _text(row.inputs["input_ids"])


def test_a_batch_is_padded_on_the_right_to_its_longest(load: Load, tmp_path: Path) -> None:
    task = task_config("sst2")
    rows = [{**row, "sentence": "a" * (i + 1)} for i, row in enumerate(_rows("sst2"))]
    write_mirror(tmp_path, task, {"train": rows, "validation": rows})
    data = load(task)
    batch = data.collate([data.tests["test"][0], data.tests["test"][4]])
    a = len(SPECIAL) + ord("a") - 32
    assert batch["input_ids"].tolist() == [[0, a, 2, 1, 1, 1, 1], [0, a, a, a, a, a, 2]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1, 0, 0, 0, 0], [1] * 7]


def test_without_a_padding_token_the_end_of_text_pads(load: Load, tmp_path: Path) -> None:
    task = task_config("winogrande")
    rows = [{**row, "sentence": "a" * (i + 1)} for i, row in enumerate(_rows("winogrande"))]
    write_mirror(tmp_path, task, {"train": rows, "validation": rows})
    data = load(task)
    batch = data.collate([data.tests["test"][0], data.tests["test"][5]])
    padding = batch["input_ids"][batch["attention_mask"] == 0]
    assert padding.numel() > 0
    assert torch.equal(padding, torch.full_like(padding, 2))
    ends = batch["attention_mask"].sum(dim=1) - 1
    assert _text(batch["input_ids"][range(2), ends]) == "::"  # the last token asks for the answer


def test_token_types_exist_if_the_backbone_reads_them(backbones: Backbones, tmp_path: Path) -> None:
    backbone, path = backbones["nlu"]
    AutoTokenizer.from_pretrained(path).save_pretrained(tmp_path)
    BertConfig(type_vocab_size=2).save_pretrained(tmp_path)
    (inputs,) = tokens_of(backbone, str(tmp_path)).encode([("ab", "c")])
    assert isinstance(inputs, dict)
    assert set(inputs) == {"input_ids", "token_type_ids"}
    assert tokens_of(backbone, str(path)).names == ("input_ids",)


def test_a_vision_backbone_on_text_is_refused(backbones: Backbones) -> None:
    backbone, path = backbones["vision"]
    with pytest.raises(InputError, match="max_length"):
        tokens_of(backbone, str(path))
    with pytest.raises(InputError, match="the tokenizer of"):
        tokens_of(replace(backbone, max_length=10), str(path))
