"""The bench's command line."""

import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from frod_bench.bench.options import SHAPES, parse
from frod_bench.common.errors import InputError

BAD_WORDS = [
    (["shape=roberta_bas"], r"shape=roberta_bas: .*Did you mean 'roberta_base'"),
    (["shapes=roberta_bas"], r"shape=roberta_bas: .*Did you mean 'roberta_base'"),
    (["shape="], r"shape: is empty"),
    (["method=full,frdo"], r"method=full,frdo: 'frdo' is unknown. Did you mean 'frod'"),
    (["rounds=4"], r"rounds=4: must be a whole number of at least 5"),
    (["rounds=many"], r"rounds=many: must be a whole number"),
    (["rounds=-5"], r"rounds=-5: must be a whole number"),
    (["threads=0"], r"threads=0: must be a whole number of at least 1"),
    (["compile=yes"], r"compile=yes: 'yes' is unknown.*true"),
    (["device=gpu"], r"device=gpu: must be cpu, cuda or cuda:N"),
    (["device=cuda:99"], r"device=cuda:99: only \d+ CUDA devices exist"),
    (["results_root=/proc/nowhere"], r"results_root=/proc/nowhere: /proc cannot be written to"),
    (["round=9"], r"'round': is not a key of bench. Did you mean 'rounds'"),
    (["rounds"], r"'rounds': is not key=value. Write rounds=VALUE"),
]


@pytest.mark.parametrize(("words", "message"), BAD_WORDS, ids=[" ".join(w) for w, _ in BAD_WORDS])
def test_bad_words_are_refused(words: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse(words)


@pytest.mark.filterwarnings("ignore:.*found in sys.modules")
def test_bad_input_is_one_message_and_status_two(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["bench", "rounds=2"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("frod_bench.bench", run_name="__main__", alter_sys=False)
    assert ended.value.code == 2
    captured = capsys.readouterr()
    assert captured.err == "error: rounds=2: must be a whole number of at least 5.\n"
    assert captured.out == ""
    assert list(tmp_path.iterdir()) == []


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
