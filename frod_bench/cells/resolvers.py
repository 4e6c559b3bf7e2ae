"""What a configuration leaves to be worked out from a backbone: the rank of a matched budget."""

from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from frod_bench.cells.fingerprint import backbone_fingerprint
from frod_bench.config import settings


def register() -> None:
    """Make the schema and every resolver that `conf/` uses known to Hydra. Idempotent."""
    settings.register()
    OmegaConf.register_new_resolver("budget_rank", budget_rank, replace=True)


def budget_rank(default: int, *, _root_: DictConfig, _parent_: DictConfig) -> int:
    """The rank of the adapter described by the node: `default`, or the one that matches FRoD."""
    if not settings.is_matched(_root_):
        return default
    from frod_bench.methods import budget  # needs torch, and only a matched rank needs it

    backbone = _root_.backbones[_root_.task.family]
    root = _root_.model_root
    backbone_fingerprint(backbone.hub_id, backbone.revision, root)  # says what is not there
    return budget.matched_rank(
        backbone.hub_id if root is None else str(Path(root) / backbone.hub_id),
        backbone.revision,
        list(backbone.target_modules),
        _root_.method.sparse_rate,
        modules=_parent_.get("target_modules"),
        dora=_parent_.get("use_dora", False),
    )
