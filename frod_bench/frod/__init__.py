"""FRoD: full-rank fine-tuning with a shared basis, trained scales and a sparse trained rotation.

    config = FrodConfig(target_modules=["query", "value"], sparse_rate=0.02, seed=0)
    model = attach_frod(model, config)
    groups = frod_parameters(model)  # {"lambda": [...], "rotation": [...]}
    model = merge_frod(model)

The method of Wan et al. (AAAI 2026, arXiv 2512.23485). The package depends on torch and safetensors
and not on the benchmark around it. docs/explanation/method.md derives what it computes.
"""

from .adapter import attach_frod, decay_to_zero, frod_parameters, merge_frod, unmerge_frod
from .config import FrodConfig
from .files import adapter_probes, check_adapter_probes, load_frod, save_frod
from .layer import FrodLinear

__all__ = [
    "FrodConfig",
    "FrodLinear",
    "adapter_probes",
    "attach_frod",
    "check_adapter_probes",
    "decay_to_zero",
    "frod_parameters",
    "load_frod",
    "merge_frod",
    "save_frod",
    "unmerge_frod",
]
