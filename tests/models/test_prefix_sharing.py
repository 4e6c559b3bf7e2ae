"""Reading a question once: layout and attention of packed rows, and unchanged scores."""

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from transformers import (
    AutoModelForCausalLM,
    BloomConfig,
    GPT2Config,
    LlamaConfig,
    MistralConfig,
    PretrainedConfig,
)

from frod_bench.models.multiple_choice import MultipleChoice, build_multiple_choice, pack

VOCABULARY = 40
SMALL = {"vocab_size": VOCABULARY, "num_hidden_layers": 2, "num_attention_heads": 2}
LLAMA = LlamaConfig(hidden_size=16, intermediate_size=32, **SMALL)

Sequences = list[list[tuple[list[int], list[int]]]]  # rows of (question, option)


def batch_of(rows: Sequences) -> tuple[Tensor, Tensor, Tensor]:
    """Ids, attention mask and option mask, as the encoder of options stacks them."""
    shape = (
        len(rows),
        max(map(len, rows)),
        max(len(question) + len(option) for row in rows for question, option in row),
    )
    ids, mask, option_mask = (torch.zeros(shape, dtype=torch.int64) for _ in range(3))
    for i, row in enumerate(rows):
        for j, (question, option) in enumerate(row):
            size = len(question) + len(option)
            ids[i, j, :size] = torch.tensor(question + option)
            mask[i, j, :size] = 1
            option_mask[i, j, len(question) : size] = 1
    return ids, mask, option_mask


def ranker_of(config: PretrainedConfig, folder: Path) -> MultipleChoice:
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    return build_multiple_choice(folder, revision=None, pretrained=True, seed=0)


def test_options_attend_to_the_shared_question_and_to_themselves() -> None:
    packed = pack(*batch_of([[([5, 6], [7]), ([5, 6], [8, 9])], [([4], [1]), ([4], [2])]])[:2])
    assert packed.ids.tolist() == [[5, 6, 7, 8, 9], [4, 1, 2, 0, 0]]
    assert packed.positions.tolist() == [[0, 1, 2, 2, 3], [0, 1, 1, 0, 0]]
    assert packed.visible[0].int().tolist() == [
        [1, 0, 0, 0, 0],
        [1, 1, 0, 0, 0],
        [1, 1, 1, 0, 0],
        [1, 1, 0, 1, 0],
        [1, 1, 0, 1, 1],
    ]
    assert packed.before[0, :, 2:].tolist() == [[1, 2], [1, 3]]
    assert packed.visible.any(dim=-1).all()  # padding too, or its softmax would be NaN


def test_questions_that_were_cut_differently_share_their_common_beginning() -> None:
    rows = [[([5, 6, 7], [1]), ([5, 8], [1])], [([2, 3], [1]), ([3], [1])]]
    packed = pack(*batch_of(rows)[:2])
    assert packed.ids.tolist() == [[5, 6, 7, 1, 8, 1], [2, 3, 1, 3, 1, 0]]
    assert packed.positions.tolist() == [[0, 1, 2, 3, 1, 2], [0, 1, 2, 0, 1, 0]]


tokens = st.lists(st.integers(1, 3), min_size=1, max_size=5)
questions = st.lists(tokens, min_size=1, max_size=4)


@settings(max_examples=40)
@given(
    st.lists(st.lists(st.tuples(tokens, tokens), min_size=1, max_size=4), min_size=1, max_size=3)
)
def test_packed_scores_equal_separate_scores(tiny: MultipleChoice, rows: Sequences) -> None:
    batch = batch_of(rows)
    scores, gradients = [], []
    for tiny.reads_packed in (True, False):
        tiny.requires_grad_(True).zero_grad()
        found = tiny(*batch)
        found.masked_fill(found.isinf(), 0.0).square().sum().backward()
        scores.append(found.detach())
        gradients.append([p.grad for p in tiny.parameters()])
    torch.testing.assert_close(*scores, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-4)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> MultipleChoice:
    return ranker_of(LLAMA, tmp_path_factory.mktemp("tiny"))


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_either_attention_and_half_precision(
    tmp_path: Path, attention: str, dtype: torch.dtype
) -> None:
    model = ranker_of(LLAMA, tmp_path)
    model.backbone.set_attn_implementation(attention)
    batch = batch_of([[([5, 6, 7], [1, 2]), ([5, 6, 7], [3])], [([5], [1, 4])]])
    found = []
    for model.reads_packed in (True, False):
        with torch.no_grad(), torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
            found.append(model(*batch))
    tolerance = 1e-5 if dtype == torch.float32 else 2e-2
    torch.testing.assert_close(*found, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(
    ("config", "packs"),
    [
        (LLAMA, True),
        (GPT2Config(vocab_size=VOCABULARY, n_embd=16, n_layer=1, n_head=2), True),
        (BloomConfig(vocab_size=VOCABULARY, hidden_size=16, n_layer=1, n_head=2), False),
        (MistralConfig(**SMALL, hidden_size=16, intermediate_size=32, num_key_value_heads=2,
                       sliding_window=3), False),
    ],
)  # fmt: skip
def test_models_that_would_score_differently_read_options_separately(
    config: PretrainedConfig, packs: bool, tmp_path: Path
) -> None:
    """BLOOM takes no positions and tells them from the mask; Mistral here looks back 3 tokens."""
    assert ranker_of(config, tmp_path).reads_packed == packs
