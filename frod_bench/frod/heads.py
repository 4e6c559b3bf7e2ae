"""Which parameters of a model are a head on top of the adapted body, and so not ours to freeze."""

import re
from collections.abc import Collection, Iterator

from torch import nn


def head_parameters(model: nn.Module, targets: Collection[nn.Module]) -> set[nn.Parameter]:
    """Parameters outside the body that holds the target layers.

    - A transformers model that names its body (`base_model_prefix`): all that is outside of it,
      wherever in `model` it stands. A body alone (`RobertaModel`) has no head.
    - Any other module, and a transformers model whose body is no module of its own
      (`CLIPForImageClassification`): the children after the last one with a target that have a
      linear layer in them (of an `nn.Sequential` the last child only). A final norm is the body's.

    A parameter of a target, or one that the body has too (tied embeddings), is the body's.
    """
    heads = {child for part in _parts(model) for child in _heads(part, part is model, targets)}
    inside: set[nn.Parameter] = set()
    outside: set[nn.Parameter] = set()

    def sort(module: nn.Module, in_head: bool) -> None:
        in_head = (in_head or module in heads) and module not in targets
        (inside if in_head else outside).update(module.parameters(recurse=False))
        for child in module.children():
            sort(child, in_head)

    sort(model, in_head=False)
    return inside - outside


def _parts(model: nn.Module) -> Iterator[nn.Module]:
    """The model, and the transformers models inside it."""
    yield model
    yield from (part for part in model.modules() if part is not model and _is_transformers(part))


def _heads(part: nn.Module, is_whole: bool, targets: Collection[nn.Module]) -> list[nn.Module]:
    """Children of `part` that are heads."""
    children = list(part.children())
    if _is_transformers(part):
        body = getattr(part, str(part.base_model_prefix), None)
        if isinstance(body, nn.Module):
            beside = [child for child in children if body not in child.modules()]
            return beside if _has_target(body, targets) else []
        # as transformers names models with heads: RobertaForMaskedLM, but not Mask2FormerModel
        may_have_head = re.search("For[A-Z]", type(part).__name__) is not None
    else:
        may_have_head = is_whole
    adapted = [index for index, child in enumerate(children) if _has_target(child, targets)]
    if not may_have_head or not adapted:
        return []
    following = children[adapted[-1] + 1 :]
    if isinstance(part, nn.Sequential | nn.ModuleList):  # the rest may be blocks as well
        following = following[-1:]
    return [child for child in following if _has_linear(child)]


def _is_transformers(module: nn.Module) -> bool:
    """Told by an attribute of `PreTrainedModel`, so that nothing is imported."""
    return bool(getattr(module, "base_model_prefix", ""))


def _has_target(module: nn.Module, targets: Collection[nn.Module]) -> bool:
    return any(inner in targets for inner in module.modules())


def _has_linear(module: nn.Module) -> bool:
    return any(isinstance(inner, nn.Linear) for inner in module.modules())
