"""One cell on two processes, as `accelerate launch` starts them: DDP and FSDP over gloo."""

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
from accelerate.commands.launch import launch_command, launch_command_parser
from safetensors.torch import load_file
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from frod_bench.cells.cell import Cell
from frod_bench.cells.compose import composer
from frod_bench.cells.grid import cells_of
from frod_bench.common.errors import InputError
from frod_bench.common.paths import CONF_DIR
from frod_bench.records import store
from frod_bench.training import runner
from frod_bench.training.distributed import make_accelerator, send_buffers_once
from frod_bench.training.loop import Trainer
from tests.conftest import SHORT, MakeCell, RunHere
from tests.forked_command import Command
from tests.training.together import NO_SPACE, break_off

ODD = ("trainer.test_rows=31", "trainer.eval_batch_rows=10")  # the last batch has a row for one
BROKEN = ("task=rte", "method=full", "trainer.max_steps=8", "runtime.checkpoint_every_steps=2")
CASES = {
    "ddp": {
        "full": (
            "task=boolq",
            "method=full",
            "trainer.accumulation_steps=2",
            "trainer.length_groups=2",
            "tracker=wandb",
        ),
        "best step": ("task=eurosat", "method=lora", "protocol=paper"),
        "best step, no space": ("task=eurosat", "method=lora", "protocol=paper", "seed=1"),
        "frod": ("task=rte", "method=frod", "save=adapter"),
        "nothing trained": ("task=piqa", "method=frozen", "head=rank"),
        "unread weights": ("task=eurosat", "method=full", "backbones.vision.pooling=first"),
        "broken off": BROKEN,
    },
    "fsdp": {
        "full": ("task=eurosat", "method=full", "protocol=paper"),
        "full, no space": ("task=eurosat", "method=full", "protocol=paper", "seed=1"),
        "lora": ("task=boolq", "method=lora", "trainer.accumulation_steps=2", "save=adapter"),
        "frod": ("task=rte", "method=frod", "save=adapter"),
        "half precision": ("task=rte", "method=frod", "trainer.mixed_precision=bf16"),
        "ranked": ("task=piqa", "method=full", "head=rank"),
        "broken off": BROKEN,
    },
}


def words_of(way: str, case: str, root: Path) -> list[str]:
    """The command line of a case, with its results under `root`."""
    return [*SHORT, *ODD, *CASES[way][case], "runtime.device=cpu", f"results_root={root}"]


def cell_from(words: Sequence[str]) -> Cell:
    with composer() as compose_one:
        return cells_of([words], compose_one)[0]


def run_together(way: str, root: Path) -> dict[str, Path]:
    """The records of all cases of a strategy, each run on two processes, in one launch.

    One process began the last case; and two begin it again under `left`, and break off.
    """
    lines = [words_of(way, case, root / "two") for case in CASES[way]]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "train_step", break_off)
        assert runner.execute(cell_from(lines[-1])).status == "failed"
    lines = [
        [*words, NO_SPACE] if NO_SPACE in case else words
        for case, words in zip(CASES[way], lines, strict=True)
    ]
    lines.append(words_of(way, "broken off", root / "left"))
    file = root / "lines.json"
    file.write_text(json.dumps(lines))
    words = ["--config_file", str(CONF_DIR / "accelerate" / f"{way}.yaml"), "--num_processes", "2"]
    words += ["-m", "tests.training.together", way, str(file)]
    paths = LAUNCHES[way](words).splitlines()  # one a cell: only the first process tells
    assert len(paths) == len(lines), paths
    return dict(zip(CASES[way], map(Path, paths[:-1]), strict=True))


def launched(words: list[str]) -> str:
    """What `accelerate launch words` prints."""
    done = subprocess.run(
        [sys.executable, "-m", "accelerate.commands.launch", *words],
        capture_output=True, text=True, check=False,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def launched_forked(words: list[str]) -> str:
    """The same, in the environment that accelerate makes of its file, without torchrun, which the
    other way has: it would start two processes that import everything.
    """
    printed: list[str] = []

    def start_two(_: object) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
        command = words[words.index("-m") + 1 :]
        two = [
            Command(*command, environment={**os.environ, **ranks(rank, 2, port)})
            for rank in range(2)
        ]
        printed.extend(one.out.read() for one in two)
        told = [one.err.read() for one in two]
        assert [one.ended() for one in two] == [0, 0], told

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("torch.distributed.run.run", start_two)
        patch.setenv("CUDA_VISIBLE_DEVICES", "")
        launch_command(launch_command_parser().parse_args(words))
    return "".join(printed)


LAUNCHES = {"ddp": launched, "fsdp": launched_forked}


@pytest.mark.timeout(1200)  # of a busy machine
@pytest.mark.parametrize("way", CASES)
@pytest.mark.usefixtures("shallow", "forked")
def test_two_processes_give_the_result_of_one(tmp_path: Path, way: str) -> None:
    """One test a way: the launch is dear, and its cases must not be dealt to two workers."""
    for case, ours in run_together(way, tmp_path).items():
        cell = cell_from(words_of(way, case, tmp_path / "one"))
        assert runner.execute(cell).status == "ok", case
        half = case == "half precision"
        assert_same_result(ours, cell.record_path, 2e-2 if half else 1e-4, flips=2 if half else 0)
        counts = [store.load(path)["provenance"]["processes"] for path in (ours, cell.record_path)]  # type: ignore[typeddict-item]
        assert counts == [2, 1], case
        assert_same_files(ours, cell, CASES[way][case])
    left = cell_from(words_of(way, "broken off", tmp_path / "left"))
    assert store.load(left.record_path)["status"] == "failed"
    assert list(left.place("checkpoints").glob("step-*.safetensors"))
    assert runner.execute(left).status == "ok"  # one process goes on where two broke off
    assert_same_result(left.record_path, cell.record_path, 1e-3)


def assert_same_files(ours: Path, theirs: Cell, words: Sequence[str]) -> None:
    """No checkpoint is left next to the records; there is one wandb run, and adapters are equal."""
    results = ours.parents[3]
    checkpoints = results / "checkpoints" / theirs.task / theirs.method
    assert not list(checkpoints.rglob("*.safetensors"))
    if "tracker=wandb" in words:
        assert len(list(results.rglob("offline-run-*/*.wandb"))) == 1
    if "save=adapter" in words:
        file = results / "adapters" / theirs.task / theirs.method / f"{ours.stem}.safetensors"
        kept, expected = load_file(file), load_file(theirs.adapter_path)
        assert kept.keys() == expected.keys()
        for name, values in expected.items():
            assert (kept[name] - values).abs().max() <= 1e-4 * max(1, values.abs().max())


def assert_same_result(ours: Path, theirs: Path, tolerance: float, flips: int = 0) -> None:
    """Equal but for rounding: curve, metrics, predictions of the same rows in the same order.

    Rounding may turn over as many as `flips` predictions, of rows on the border of two classes.
    """
    a, b = (store.load(path) for path in (ours, theirs))
    for field in ("cell", "params", "steps", "tokens_or_images"):
        assert a[field] == b[field]  # type: ignore[literal-required]
    times = {"seconds": 0.0}
    for one, other in zip(*map(store.read_curve, (ours, theirs)), strict=True):
        assert {**one, **times} == pytest.approx({**other, **times}, rel=tolerance)
    tables = [pq.read_table(store.predictions_path(path)).to_pydict() for path in (ours, theirs)]
    predicted = [table.pop("prediction") for table in tables]
    assert tables[0] == tables[1]
    assert sum(one != other for one, other in zip(*predicted, strict=True)) <= flips
    for name, metric in a["metrics"].items():
        step = 1 / len(predicted[0])  # what one row is worth
        assert metric == pytest.approx(b["metrics"][name], abs=flips * step + 1e-6)


def ranks(rank: int, processes: int, port: int) -> dict[str, str]:
    """What torchrun tells a process."""
    numbers = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": processes, "MASTER_PORT": port}
    return {"MASTER_ADDR": "127.0.0.1", **{name: str(value) for name, value in numbers.items()}}


SHARDING = {"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2", "CUDA_VISIBLE_DEVICES": ""}


REFUSED = [
    (3, ["task=rte"], r"trainer.batch_rows=8: 3 processes cannot share it equally"),
    (2, ["-m", "task=rte,cola"], r"-m: a grid starts workers of its own"),
]


@pytest.mark.parametrize(("processes", "words", "message"), REFUSED)
def test_a_batch_that_cannot_be_shared_is_refused_by_the_first_process(
    tmp_path: Path,
    here: RunHere,
    monkeypatch: pytest.MonkeyPatch,
    processes: int,
    words: list[str],
    message: str,
) -> None:
    told = []
    for rank in range(2):
        for name, value in {**ranks(rank, processes, 1), **SHARDING}.items():
            monkeypatch.setenv(name, value)
        done = here("frod_bench.run", f"results_root={tmp_path}/r", *SHORT, *words)
        assert done.returncode == 2, done.stderr
        told.append(done.stderr.splitlines())
    assert re.search(message, told[0][-1])
    assert told[1] == []
    assert not list(tmp_path.iterdir())


def test_one_device_for_two_processes_is_refused(
    make_cell: MakeCell, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = make_cell("task=rte", "runtime.device=cuda:1").settings
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(InputError, match=r"runtime.device=cuda:1: names one device for 2"):
        make_accelerator(settings)


def test_half_precision_is_refused_where_it_would_do_nothing(make_cell: MakeCell) -> None:
    words = ("task=rte", "runtime.device=cpu", "trainer.mixed_precision=fp16")
    with pytest.raises(InputError, match=r"mixed_precision=fp16: needs an accelerator.*bf16 or no"):
        make_accelerator(make_cell(*words).settings)


def test_buffers_that_never_change_are_sent_once(tmp_path: Path) -> None:
    """FRoD's U and V would be sent before each forward pass; the statistics of batch norm are."""
    distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1
    )
    try:
        for norm, sends in ((nn.LayerNorm(2), False), (nn.BatchNorm1d(2), True)):
            model = nn.Sequential(nn.Linear(2, 2), norm)
            model.register_buffer("U", torch.ones(2))
            shared = DistributedDataParallel(model)
            assert shared.will_sync_module_buffers()
            send_buffers_once(shared)
            assert shared.will_sync_module_buffers() == sends
    finally:
        distributed.destroy_process_group()
    send_buffers_once(nn.Linear(2, 2))  # of one process: nothing to do
