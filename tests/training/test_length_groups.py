"""A batch in groups of similar length: the same outputs, and less padding."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from frod_bench.data.load import load_data
from frod_bench.records import store
from frod_bench.training import length_groups, runner
from frod_bench.training.length_groups import forward, split
from tests.conftest import MakeCell


class Counting(torch.nn.Module):
    """Returns the sum of each row's tokens, and notes the shapes that it reads."""

    def __init__(self) -> None:
        super().__init__()
        self.shapes: list[tuple[int, ...]] = []

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        self.shapes.append(tuple(input_ids.shape))
        return (input_ids * attention_mask).flatten(1).sum(dim=1, keepdim=True).float()


@st.composite
def batches(draw: st.DrawFn) -> dict[str, torch.Tensor]:
    """Texts, N x L, or options, N x C x L, padded on the right; a row has at least one token."""
    rows, options, width = (draw(st.integers(1, most)) for most in (9, 3, 7))
    lengths = torch.tensor(
        draw(
            st.lists(
                st.lists(st.integers(0, width), min_size=options, max_size=options).filter(any),
                min_size=rows,
                max_size=rows,
            )
        )
    )
    mask = (torch.arange(int(lengths.max())) < lengths[..., None]).long()
    ids = torch.arange(mask.numel()).view(mask.shape)
    if options == 1 and draw(st.booleans()):
        ids, mask = ids[:, 0], mask[:, 0]
    return {"input_ids": ids, "attention_mask": mask}


@given(batches(), st.integers(1, 12))
def test_outputs_are_those_of_one_batch_in_its_order(
    batch: dict[str, torch.Tensor], count: int
) -> None:
    assert forward(Counting(), batch, count).equal(Counting()(**batch))


@given(batches(), st.integers(2, 12))
def test_groups_hold_every_row_once_and_no_common_padding(
    batch: dict[str, torch.Tensor], count: int
) -> None:
    parts = list(split(batch, count))
    assert sorted(torch.cat([rows for rows, _ in parts]).tolist()) == list(
        range(len(batch["input_ids"]))
    )
    for _, part in parts:
        assert part["attention_mask"][..., -1].any()
    longest = [part["attention_mask"].shape[-1] for _, part in parts]
    assert longest == sorted(longest)


def test_one_group_is_the_batch_itself() -> None:
    batch = {"input_ids": torch.ones(3, 4), "attention_mask": torch.tensor([[1, 0, 0, 0]] * 3)}
    model = Counting()
    forward(model, batch, 1)
    assert model.shapes == [(3, 4)]
    forward(model, batch, 2)
    assert model.shapes[1:] == [(2, 1), (1, 1)]


@pytest.mark.parametrize(
    "words", [("task=rte",), ("task=boolq",), ("task=piqa", "head=rank"), ("task=eurosat",)]
)
def test_real_models_give_the_same_logits(make_cell: MakeCell, words: tuple[str, ...]) -> None:
    cell = make_cell(*words, "method=full")
    data = load_data(cell.settings)
    model = runner.build_model(cell.settings, data.num_labels).eval()
    batch = data.collate(data.train[:7])
    del batch["labels"]
    with torch.no_grad():
        torch.testing.assert_close(forward(model, batch, 3), model(**batch), rtol=1e-4, atol=1e-5)


def test_a_run_in_groups_is_the_run_but_for_rounding(
    make_cell: MakeCell, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates = ("method.learning_rates.lambda=0.00562", "method.learning_rates.rotation=0.00351")
    words = ("task=rte", "method=frod", *rates)  # at which rounding shows in the losses
    curves = []
    asked: set[int] = set()

    def noted(model: Any, batch: Any, groups: int) -> torch.Tensor:
        asked.add(groups)
        return forward(model, batch, groups)

    monkeypatch.setattr(length_groups, "forward", noted)
    for groups in (1, 3):
        asked.clear()
        cell = make_cell(*words, f"trainer.length_groups={groups}")
        assert runner.execute(cell).status == "ok"
        assert asked == {groups}
        curves.append([point["train_loss"] for point in store.read_curve(cell.record_path)[1:]])
    assert curves[0] != curves[1]
    assert curves[0] == pytest.approx(curves[1], rel=1e-3)
