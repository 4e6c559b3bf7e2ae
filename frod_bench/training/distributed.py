"""accelerate's Accelerator for one cell: on one process, or on the several that share its batches.

Started by `accelerate launch` (or torchrun) with one of `conf/accelerate/`: DDP, where each process
holds the whole model, or FSDP, where each holds a part of every parameter.
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

from frod_bench.common import processes
from frod_bench.common.errors import InputError
from frod_bench.config.settings import Settings

TYPES = (
    DistributedType.NO,
    DistributedType.MULTI_CPU,
    DistributedType.MULTI_GPU,
    DistributedType.FSDP,
)


def make_accelerator(settings: Settings) -> Accelerator:
    """An accelerator for the device and the precision of this cell, and all processes of it.

    Raises InputError for a device that is not there, a batch that the processes cannot share
    equally, and a way of distributing that is none of ours.
    """
    device = settings.runtime.device
    if device.startswith("cuda"):
        _choose_cuda(device)
    _check_shares(settings)
    alone = processes.count() == 1
    AcceleratorState._reset_state(reset_partial_state=True)  # the last cell's may have differed
    accelerator = Accelerator(
        cpu=device == "cpu" or not (alone or torch.cuda.is_available()),
        mixed_precision=settings.trainer.mixed_precision,
        dataloader_config=DataLoaderConfiguration(split_batches=True),
        kwargs_handlers=[
            # Backbones may have weights that nothing reads (DINOv2's mask token).
            DistributedDataParallelKwargs(find_unused_parameters=settings.method.kind == "full")
        ],
    )
    if accelerator.distributed_type is DistributedType.MULTI_CPU and _asks_for_fsdp():
        _shard_on_cpu(accelerator)
    if accelerator.distributed_type not in TYPES or (
        accelerator.distributed_type is DistributedType.FSDP and not accelerator.is_fsdp2
    ):
        raise InputError(
            f"accelerate: {accelerator.distributed_type.value} is no way of running a cell on "
            "several processes here. Allowed: DDP, FSDP of version 2; start with --config_file "
            "conf/accelerate/ddp.yaml or fsdp.yaml."
        )
    if accelerator.is_fsdp2:
        # Weights are gathered as they are held, and autocast casts them: one rule however many
        # processes there are. What a method holds in float32 (FRoD's lambda) is not rounded.
        accelerator.state.fsdp_plugin.mixed_precision_policy = None
    return accelerator


def name_blocks(model: nn.Module) -> None:
    """Say which modules of a model's backbone FSDP shards apart: `transformers` names the classes
    of the blocks in an attribute of the backbone, and accelerate reads it off the whole model.
    """
    backbone = model.backbone
    there = {type(module).__name__ for module in backbone.modules()}  # type: ignore[union-attr]
    blocks = there.intersection(getattr(backbone, "_no_split_modules", None) or ())
    model._no_split_modules = sorted(blocks)  # type: ignore[assignment]


def _choose_cuda(device: str) -> None:
    number = device.partition(":")[2]
    if number and processes.count() > 1:
        raise InputError(
            f"runtime.device={device}: names one device for {processes.count()} processes. Use "
            "runtime.device=cuda; CUDA_VISIBLE_DEVICES chooses among devices."
        )
    if int(number or 0) >= torch.cuda.device_count():
        raise InputError(
            f"runtime.device={device}: there are {torch.cuda.device_count()} CUDA devices "
            "here. Use runtime.device=cpu, or auto."
        )
    torch.cuda.set_device(int(number or 0))


def _check_shares(settings: Settings) -> None:
    rows, parts = settings.trainer.batch_rows, processes.count()
    if rows % parts:
        raise InputError(
            f"trainer.batch_rows={rows}: {parts} processes cannot share it equally. Set it to a "
            f"multiple of {parts}, or start another number of processes."
        )


def _asks_for_fsdp() -> bool:
    return os.environ.get("ACCELERATE_USE_FSDP", "false").lower() == "true"


def _shard_on_cpu(accelerator: Accelerator) -> None:
    """Shard as on GPUs: accelerate turns to DDP on CPUs, though torch's FSDP runs there too.

    For trying out a configuration where there are no GPUs; torch shards over those that it sees.
    """
    if torch.cuda.is_available():
        raise InputError(
            "runtime.device=cpu: FSDP would shard over the GPUs that are here. Use "
            "runtime.device=auto, or hide them with CUDA_VISIBLE_DEVICES= in the environment."
        )
    accelerator.state.fsdp_plugin = FullyShardedDataParallelPlugin()
    accelerator.state.distributed_type = DistributedType.FSDP
