"""accelerate's Accelerator for one cell, on one process or on several that share its batches: DDP,
or FSDP, where each holds a shard of every parameter (files of `conf/accelerate/`).
"""

import os

import torch
from accelerate import Accelerator, DataLoaderConfiguration
from accelerate.state import AcceleratorState
from accelerate.utils import (
    DistributedDataParallelKwargs,
    DistributedType,
    FullyShardedDataParallelPlugin,
)
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from frod_bench.common import processes
from frod_bench.common.errors import InputError
from frod_bench.config.settings import Settings

SUPPORTED = ("NO", "MULTI_CPU", "MULTI_GPU", "FSDP")  # values of accelerate's DistributedType


def make_accelerator(settings: Settings) -> Accelerator:
    """Create the accelerator for the device and the precision of a cell, and all its processes.
    Raises InputError if the device does not exist, the processes cannot share a batch equally, or
    accelerate is configured for another strategy than DDP or FSDP 2.
    """
    processes.forget_mpi()
    device = settings.runtime.device
    if device.startswith("cuda"):
        _choose_cuda(device)
    rows, count = settings.trainer.batch_rows, processes.count()
    if rows % count:
        raise InputError(
            f"trainer.batch_rows={rows}: {count} processes cannot share it equally. Set it to a "
            f"multiple of {count}, or start another number of processes."
        )
    AcceleratorState._reset_state(reset_partial_state=True)  # the last cell's may have differed
    accelerator = Accelerator(
        cpu=device == "cpu" or (count > 1 and not torch.cuda.is_available()),
        mixed_precision=settings.trainer.mixed_precision,
        dataloader_config=DataLoaderConfiguration(split_batches=True),
        kwargs_handlers=[
            # Backbones may have weights that nothing reads (DINOv2's mask token).
            DistributedDataParallelKwargs(find_unused_parameters=settings.method.kind == "full")
        ],
    )
    asks_for_fsdp = os.environ.get("ACCELERATE_USE_FSDP", "false").lower() == "true"
    if accelerator.distributed_type is DistributedType.MULTI_CPU and asks_for_fsdp:
        _shard_on_cpu(accelerator)
    kind = accelerator.distributed_type
    if kind.value not in SUPPORTED or (kind is DistributedType.FSDP and not accelerator.is_fsdp2):
        raise InputError(
            f"accelerate: the strategy {kind.value} is not supported. Allowed: DDP, FSDP of "
            "version 2. Start with --config_file conf/accelerate/ddp.yaml or fsdp.yaml."
        )
    if settings.trainer.mixed_precision == "fp16" and accelerator.device.type == "cpu":
        raise InputError(
            "trainer.mixed_precision=fp16: needs an accelerator, and this run has the CPU, where "
            "it would do nothing. Set it to bf16 or no."
        )
    if accelerator.is_fsdp2:
        # Weights are gathered in the type in which they are held, and autocast casts them: one rule
        # for any number of processes. What a method holds in float32 (FRoD's lambda) stays exact.
        accelerator.state.fsdp_plugin.mixed_precision_policy = None
    return accelerator


def send_buffers_once(model: nn.Module) -> None:
    """Keep DDP from sending buffers before each forward pass, unless they change.

    DDP sent all buffers when it wrapped the model. Since then only running statistics change,
    and FRoD's U and V are gigabytes on a large backbone.
    """
    if isinstance(model, DistributedDataParallel):
        changing = any(getattr(one, "track_running_stats", False) for one in model.modules())
        model.broadcast_buffers = changing  # newer versions of torch set forward_sync_buffers by it


def name_blocks(model: nn.Module) -> None:
    """Tell accelerate which modules of the backbone FSDP shards separately.

    `transformers` lists them on the backbone, but accelerate looks for the list on the whole model.
    """
    backbone = model.backbone
    existing = {type(module).__name__ for module in backbone.modules()}  # type: ignore[union-attr]
    blocks = existing.intersection(getattr(backbone, "_no_split_modules", None) or ())
    model._no_split_modules = sorted(blocks)  # type: ignore[assignment]


def _choose_cuda(device: str) -> None:
    number = device.partition(":")[2]
    if number and processes.count() > 1:
        raise InputError(
            f"runtime.device={device}: names one device for {processes.count()} processes. Use "
            "runtime.device=cuda; CUDA_VISIBLE_DEVICES selects devices."
        )
    if int(number or 0) >= torch.cuda.device_count():
        raise InputError(
            f"runtime.device={device}: there are {torch.cuda.device_count()} CUDA devices "
            "here. Use runtime.device=cpu, or auto."
        )
    torch.cuda.set_device(int(number or 0))


def _shard_on_cpu(accelerator: Accelerator) -> None:
    """Shard on CPUs, to try a configuration without GPUs: accelerate would fall back to DDP."""
    if torch.cuda.is_available():
        raise InputError(
            "runtime.device=cpu: FSDP would shard over the GPUs of this machine. Use "
            "runtime.device=auto, or hide them with CUDA_VISIBLE_DEVICES= in the environment."
        )
    accelerator.state.fsdp_plugin = FullyShardedDataParallelPlugin()
    accelerator.state.distributed_type = DistributedType.FSDP
