"""Features of a frozen backbone, computed once for each image: a probe then trains on these alone.

A backbone without dropout gives a row the same features in every epoch. Which rows are computed
together depends on the split alone, so that a resumed run has the same bits.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property, partial

import torch
from accelerate import Accelerator
from accelerate.utils import send_to_device
from torch import Tensor, nn

from frod_bench.config.settings import Settings
from frod_bench.data.load import TaskData, label_type_of
from frod_bench.data.rows import Encoder, Inputs, Row, Split
from frod_bench.methods.registry import Prepared
from frod_bench.models.classifier import Classifier, pooled


class Probe(nn.Module):
    """The head of a classifier, under the name that it has there."""

    def __init__(self, head: nn.Linear) -> None:
        super().__init__()
        self.head = head

    def forward(self, features: Tensor) -> Tensor:
        """Return the logits, B x num_labels, of features, B x d."""
        logits: Tensor = self.head(features)
        return logits


class FeatureEncoder(Encoder):
    """Batches rows whose inputs are features, (d,)."""

    def stack(self, inputs: Sequence[Inputs]) -> dict[str, Tensor]:
        """Return `features`, N x d."""
        return {"features": torch.stack([one for one in inputs if isinstance(one, Tensor)])}


class FeatureSource:
    """The features of a split's rows, which are computed when the first of them is read."""

    def __init__(self, split: Split, compute: Callable[[Split], Iterator[Tensor]]) -> None:
        self.split, self.compute = split, compute

    def row(self, index: int) -> Row:
        """As `PreparedSplit.row`."""
        return self.rows[index]

    @cached_property
    def rows(self) -> dict[int, Row]:
        """All of them."""
        pairs = zip(self.split, self.compute(self.split), strict=True)
        return {row.id: Row(row.id, feature, row.label) for row, feature in pairs}


def with_features(
    settings: Settings, data: TaskData, prepared: Prepared, accelerator: Accelerator
) -> tuple[TaskData, nn.Module]:
    """Return the task's rows as features, and the probe to train on them.

    The rows and the model are returned as they are if `trainer.cached_features` is false, more than
    the head is trained, the rows are texts, several processes share the rows, or the backbone has
    dropout.
    """
    model = prepared.model
    if (
        not settings.trainer.cached_features
        or set(prepared.groups) != {"head"}
        or not isinstance(model, Classifier)
        or settings.task.family != "vision"
        or accelerator.num_processes > 1
        or has_dropout(model, data)
    ):
        return data, model

    @torch.no_grad()
    def compute(split: Split) -> Iterator[Tensor]:
        model.backbone.to(accelerator.device).eval()
        size = settings.trainer.eval_batch_rows
        for start in range(0, len(split), size):
            batch = data.collate(split[start : start + size])
            del batch["labels"]
            with accelerator.autocast():
                outputs = model.backbone(**send_to_device(batch, accelerator.device))
            yield from pooled(outputs, None, model.pooling).float().cpu()

    def featured(split: Split) -> Split:
        return Split(split.ids, FeatureSource(split, compute))

    probed = replace(
        data,
        train=featured(data.train),
        validation=featured(data.validation),
        tests={name: featured(split) for name, split in data.tests.items()},
        collate=partial(FeatureEncoder().collate, label_type=label_type_of(data.num_labels)),
    )
    return probed, Probe(model.head)


@torch.no_grad()
def has_dropout(model: Classifier, data: TaskData) -> bool:
    """Return whether the backbone draws random numbers while it trains."""
    batch = data.collate([data.train[0]])
    del batch["labels"]
    model.backbone.train()
    before = torch.random.get_rng_state()
    model.backbone(**batch)
    return not torch.equal(before, torch.random.get_rng_state())
