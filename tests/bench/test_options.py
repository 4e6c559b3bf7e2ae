"""The bench's command line."""

import subprocess
import sys
from pathlib import Path

import pytest

from frod_bench.bench.options import SHAPES, parse


def test_bad_input_is_refused_without_importing_torch() -> None:
    code = (
        "import sys; from frod_bench.bench.command import start\n"
        "try: start(['round=9'])\n"
        "except SystemExit as ended: sys.exit('torch' in sys.modules and 9 or ended.code)"
    )
    command = [sys.executable, "-c", code]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 2, ended.stderr


def test_words_are_read(tmp_path: Path) -> None:
    line = "shape=embedded_vit,roberta_base method=full,frod,full rounds=7 threads=3"
    options = parse([*line.split(), "compile=false,true", f"results_root={tmp_path}"])
    assert options.shapes == ("embedded_vit", "roberta_base")
    assert options.methods == ("full", "frod")
    assert (options.rounds, options.threads, options.compiled) == (7, 3, (False, True))
    assert options.path == tmp_path / "bench" / "frod.json"


def test_the_former_names_of_keys_are_read(tmp_path: Path) -> None:
    old = parse(["shapes=embedded_vit", "methods=full", f"results_root={tmp_path}"])
    assert old == parse(["shape=embedded_vit", "method=full", f"out={tmp_path}/bench"])


def test_what_is_not_said_is_the_cpus_run() -> None:
    options = parse([])
    assert [SHAPES[name].batches[-1].rows for name in options.shapes] == [None, None, None, 32]
    assert {"full", "lora", "dora", "frod", "frod_peft", "frozen"} == set(options.methods)
    assert (options.rounds, options.device, options.compiled) == (5, "cpu", (False,))


def test_a_gpus_run_is_another_and_leaves_another_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    options = parse(["device=cuda:1"])
    assert options.shapes == ("roberta_large",)
    assert options.compiled == (False, True)
    assert options.path == Path("results/bench/frod_cuda.json")
