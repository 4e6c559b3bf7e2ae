"""Checkpoints: whatever becomes of them, the run ends as if it had never been interrupted."""

import errno
import json
import os
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from frod_bench.cells import results
from frod_bench.cells.code import code_digests
from frod_bench.frod import files
from frod_bench.records.store import digest_of
from frod_bench.training import checkpoint, loop, runner, tensor_files
from frod_bench.training.checkpoint import (
    Checkpoints,
    Origin,
    TrainingState,
    save_parameters,
)
from frod_bench.training.loop import Problem, Progress
from tests.conftest import MakeCell
from tests.report.factory import result_of
from tests.training.test_loop import Killed, Net, config, fit, kill_at, make_problem
from tests.training.test_loop import without_seconds as points_of

Damage = Callable[[Path], object]
CODE = code_digests()
NO_SPACE = {
    "safetensors": SafetensorError("Error while serializing: I/O error: ... (os error 28)"),
    "disk": OSError(errno.ENOSPC, "No space left on device"),
    "quota": OSError(errno.EDQUOT, "Disk quota exceeded"),
}


def selecting() -> Problem:
    return make_problem(is_better=lambda new, old: new["eval_loss"] < old["eval_loss"])


def assert_same(one: tuple[nn.Module, Progress], other: tuple[nn.Module, Progress]) -> None:
    assert points_of(one[1]) == points_of(other[1])
    for a, b in zip(one[0].parameters(), other[0].parameters(), strict=True):
        assert torch.equal(a, b)


def steps_in(folder: Path) -> list[int]:
    return sorted(int(file.name.split("-")[1]) for file in folder.glob("step-*"))


def first_step(folder: Path, origin: Origin | None = None) -> int:
    """The step that a run of the folder would resume from."""
    model = Net()
    state = TrainingState(model, torch.optim.AdamW(model.parameters()), None)
    restored = Checkpoints(folder, 4, origin or Origin()).restore(state, Progress)
    return restored[0] if restored else 0


def interrupted(folder: Path, problem: Problem | None = None, at: int = 9) -> Path:
    """A run that was killed after the checkpoints of steps 4 and 8; returns the last one."""
    with pytest.raises(Killed):
        fit(folder, config(), problem or selecting(), on_point=kill_at(at))
    assert steps_in(folder) == [4, 8]
    return max(folder.glob("step-*"))


def resealed(change: Callable[[dict[str, Tensor], dict[str, str]], object]) -> Damage:
    """Change tensors or metadata, and give the file the name that fits what is then in it."""

    def damage(file: Path) -> None:
        tensors = load_file(file)
        with safe_open(file, "pt") as opened:
            metadata = opened.metadata()
        change(tensors, metadata)
        save_file(tensors, file, metadata)
        stem = file.name.rpartition("-")[0]
        file.rename(file.with_name(f"{stem}-{digest_of(file)['sha256']}.safetensors"))

    return damage


def with_tensor(name: str, value: Tensor | None) -> Damage:
    """A tensor is another one, or is missing."""
    return resealed(lambda t, _: t.update({name: value}) if value is not None else t.pop(name))


def with_text(text: str) -> Damage:
    """The state is another text."""
    return resealed(lambda _, metadata: metadata.update(state=text))


def with_state(change: Callable[[dict[str, Any]], object]) -> Damage:
    """Something in the state is another."""

    def edit(_: object, metadata: dict[str, str]) -> None:
        state = json.loads(metadata["state"])
        change(state)
        metadata["state"] = json.dumps(state)

    return resealed(edit)


def one_bit(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[-3] ^= 1
    file.write_bytes(content)


def as_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def of_terabytes(file: Path) -> None:
    described = {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}
    header = json.dumps({"model/linear.bias": described}).encode()
    file.write_bytes(struct.pack("<Q", len(header)) + header)


def of_best(damage: Damage) -> Damage:
    """The best step's parameters that the newest checkpoint names are damaged."""

    def apply(file: Path) -> None:
        with safe_open(file, "pt") as opened:
            damage(file.with_name(json.loads(opened.metadata()["state"])["best"]))

    return apply


UNLIKE, LACKS = "its content is not", "lacks"
DAMAGES: dict[str, tuple[Damage, str]] = {
    "cut short": (lambda f: f.write_bytes(f.read_bytes()[:-100]), UNLIKE),
    "empty": (lambda f: f.write_bytes(b""), UNLIKE),
    "any bytes": (lambda f: f.write_bytes(os.urandom(5000)), UNLIKE),
    "zeros": (lambda f: f.write_bytes(bytes(f.stat().st_size)), UNLIKE),
    "one bit": (one_bit, UNLIKE),
    "terabytes": (of_terabytes, UNLIKE),
    "a folder": (as_folder, "Is a directory"),
    "no parameter": (with_tensor("model/linear.bias", None), "lacks model/linear.bias"),
    "no moment": (with_tensor("optimizer/1/exp_avg", None), "lacks optimizer/1/exp_avg"),
    "unknown": (with_tensor("model/x", torch.ones(1)), "an unknown model/x"),
    "unknown state": (with_tensor("optimizer/9/exp_avg", torch.ones(1)), "its parameter is None"),
    "odd state": (with_tensor("optimizer/x", torch.ones(1)), "unpack"),
    "shape": (
        with_tensor("model/linear.bias", torch.ones(5)),
        r"linear.bias is .*\(5,\)\); the model's is .*\(3,\)",
    ),
    "type": (
        with_tensor("model/linear.bias", torch.ones(3).double()),
        r"linear.bias is .*float64.*; the model's is .*float32",
    ),
    "moment's shape": (
        with_tensor("optimizer/1/exp_avg", torch.ones(5)),
        r"optimizer/1/exp_avg is \(5,\)",
    ),
    "moment a number": (
        with_tensor("optimizer/1/exp_avg", torch.tensor(1.0)),
        r"optimizer/1/exp_avg is \(\)",
    ),
    "no moment of any": (
        resealed(lambda t, _: [t.pop(f"optimizer/{n}/exp_avg") for n in (0, 1)]),
        "lacks optimizer/0/exp_avg",
    ),
    "steps a vector": (
        with_tensor("optimizer/1/step", torch.ones(3)),
        r"optimizer/1/step is \(3,\)",
    ),
    "steps below zero": (
        with_tensor("optimizer/1/step", torch.tensor(-1.0)),
        "optimizer/1/step is -1.0; the run had 8",
    ),
    "more steps": (
        with_tensor("optimizer/1/step", torch.tensor(9.0)),
        "optimizer/1/step is 9.0; the run had 8",
    ),
    "steps not a number": (
        with_tensor("optimizer/1/step", torch.tensor(torch.nan)),
        "optimizer/1/step is nan; the run had 8",
    ),
    "no state": (resealed(lambda _, metadata: metadata.clear()), "should be an object"),
    "state cut short": (resealed(lambda _, m: m.update(state=m["state"][:90])), "Invalid JSON"),
    "state a list": (with_text("[1]"), "should be an object"),
    "state deep": (with_text("[" * 100_000), "Invalid JSON|recursion"),
    "state not text": (with_text("\x00\ufffe"), "Invalid JSON"),
    "no step": (with_state(lambda s: s.pop("step")), "step"),
    "step a text": (with_state(lambda s: s.update(step="8")), "step"),
    "another step": (with_state(lambda s: s.update(step=7)), "of several steps"),
    "a step of its curve": (with_state(lambda s: s["progress"]["curve"].pop()), "several steps"),
    "no curve": (with_state(lambda s: s["progress"].pop("curve")), "progress lacks curve"),
    "curve a number": (with_state(lambda s: s["progress"].update(curve=3)), "curve"),
    "curve of text": (with_state(lambda s: s["progress"].update(curve=["a"])), "curve"),
    "curve empty": (with_state(lambda s: s["progress"].update(curve=[])), "index"),
    "progress a list": (with_state(lambda s: s.update(progress=[])), "progress"),
    "a step of its curve twice": (
        with_state(lambda s: s["progress"]["curve"][3].update(step=2)),
        "each of the steps 0 to 8 once",
    ),
    "a point without its step": (
        with_state(lambda s: s["progress"]["curve"][3].pop("step")),
        "'step'",
    ),
    "best without its step": (
        with_state(lambda s: s["progress"]["best"].pop("step")),
        "not a point of its curve",
    ),
    "best of another score": (
        with_state(lambda s: s["progress"]["best"].update(eval_loss=0.0)),
        "not a point of its curve",
    ),
    "best in another file": (
        with_state(lambda s: s.update(best=s["best"].replace("best", "step"))),
        "best is step-.*, and the best step is",
    ),
    "best a number": (with_state(lambda s: s["progress"].update(best=1)), "best"),
    "best elsewhere": (with_state(lambda s: s.update(best="../../x")), "best is ../../x, and the"),
    "best not named": (with_state(lambda s: s.update(best=None)), "both or neither"),
    "scaler": (with_state(lambda s: s.update(scaler={"scale": 1.0})), "an unknown scale"),
    "another cell": (with_state(lambda s: s["origin"].update(cell="b")), "its cell is 'b'"),
    "best missing": (of_best(Path.unlink), "No such file"),
    "best cut short": (of_best(lambda f: f.write_bytes(f.read_bytes()[:-9])), UNLIKE),
    "best of another model": (of_best(with_tensor("model/linear.bias", None)), "No such file"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_falls_back_to_the_one_before(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    whole = fit(tmp_path / "whole", config(), selecting())
    newest = interrupted(tmp_path / "parts")
    apply, words = DAMAGES[damage]
    apply(newest)
    assert first_step(tmp_path / "parts") == 4
    (told,) = caplog.messages
    assert re.search(rf"step-00000008-\w+.safetensors can't be used \(.*({words})", told, re.S)
    assert_same(fit(tmp_path / "parts", config(), selecting()), whole)


def test_without_any_that_is_usable_the_run_starts_over(tmp_path: Path) -> None:
    whole = fit(tmp_path / "whole", config(), selecting())
    interrupted(tmp_path / "parts")
    for file in (tmp_path / "parts").glob("step-*"):
        file.write_bytes(b"{}")
    (tmp_path / "parts" / "step-00000011.safetensors").write_bytes(b"of an older version")
    assert_same(fit(tmp_path / "parts", config(), selecting()), whole)


def test_a_folder_that_cannot_be_read_is_no_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    interrupted(tmp_path)

    def unreadable(*_: object) -> list[Path]:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(tensor_files, "find", unreadable)
    assert first_step(tmp_path) == 0
    assert "cannot be read ([Errno 5] Input/output error)" in caplog.text


@pytest.mark.parametrize("problem", [make_problem, selecting])
def test_two_are_kept_and_they_change_no_bit(
    tmp_path: Path, problem: Callable[[], Problem]
) -> None:
    none, every = (Checkpoints(tmp_path / str(n), n) for n in (100, 1))
    runs = [fit(tmp_path, config(), problem(), checkpoints=one) for one in (none, every)]
    assert_same(*runs)
    assert not list(none.folder.glob("step-*"))
    assert steps_in(every.folder) == [10, 11]
    assert all(not file.name.endswith(".partial") for file in every.folder.iterdir())


def test_each_keeps_the_best_step_that_it_knows_of(tmp_path: Path) -> None:
    """As if a second life did not improve where the first one did: on a GPU, bits differ."""
    improves = make_problem(is_better=lambda _new, _old: True)
    with pytest.raises(Killed):
        fit(tmp_path, config(), improves, on_point=kill_at(7))
    assert len(list(tmp_path.glob("best-*"))) == 2  # of step 3, which step 4 knows; of step 6
    rests = make_problem(is_better=lambda _new, _old: False)
    model, progress = fit(tmp_path, config(), rests)
    assert progress.best is not None
    assert progress.best["step"] == 3
    kept = load_file(next(tmp_path.glob("best-00000003-*")))
    assert torch.equal(kept["model/linear.weight"], model.linear.weight)  # type: ignore[arg-type]


def test_a_best_step_that_no_checkpoint_knows_of_makes_room(tmp_path: Path) -> None:
    improves = make_problem(is_better=lambda _new, _old: True)
    fit(tmp_path, config(), improves, checkpoints=Checkpoints(tmp_path, every_steps=100))
    assert [file.name.split("-")[1] for file in tmp_path.iterdir()] == ["00000012"]


def test_of_a_best_step_that_came_again_there_is_one_file(tmp_path: Path) -> None:
    """And until the next checkpoint is written, both that were kept stay."""
    improves = make_problem(is_better=lambda _new, _old: True)
    interrupted(tmp_path, improves, at=10)
    (before,) = tmp_path.glob("best-00000009-*")
    before.rename(before.with_name("best-00000009-of_other_bits.safetensors"))
    with pytest.raises(Killed):
        fit(tmp_path, config(), improves, on_point=kill_at(10))
    assert len(list(tmp_path.glob("best-00000009-*"))) == 1
    assert steps_in(tmp_path) == [4, 8]
    fit(tmp_path, config(), improves)


def origin(**changes: str) -> Origin:
    basis = torch.tensor([1.0, float(changes.pop("basis", "2"))])

    def check(kept: Any) -> None:
        if not torch.equal(kept["basis"], basis):
            raise ValueError("the basis is another one")

    names = {"cell": "abc", "method": "frod", "code of loop": "1"} | changes
    return Origin(names, lambda: {"basis": basis}, check)


@pytest.mark.parametrize("name", [None, "cell", "method", "code of loop", "basis"])
def test_one_of_another_origin_is_not_resumed_from(
    tmp_path: Path, name: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    checkpoints = Checkpoints(tmp_path, 4, origin())
    with pytest.raises(Killed):
        fit(tmp_path, config(), on_point=kill_at(9), checkpoints=checkpoints)
    found = first_step(tmp_path, origin(**({name: "3"} if name else {})))
    assert found == (0 if name else 8)
    assert name is None or f"({'the' if name == 'basis' else 'its'} {name} is" in caplog.text


@pytest.mark.parametrize("problem", [make_problem, selecting])
def test_one_of_another_origin_stays_for_a_return_to_it(
    tmp_path: Path, problem: Callable[[], Problem]
) -> None:
    for at, names in ((9, {}), (7, {"code of loop": "3"})):
        ours = Checkpoints(tmp_path, 4, origin(**names))
        with pytest.raises(Killed):
            fit(tmp_path, config(), problem(), on_point=kill_at(at), checkpoints=ours)
    assert first_step(tmp_path, origin(**{"code of loop": "3"})) == 4
    whole = fit(tmp_path / "whole", config(), problem())
    assert first_step(tmp_path, origin()) == 8
    ours = Checkpoints(tmp_path, 4, origin())
    assert_same(fit(tmp_path, config(), problem(), checkpoints=ours), whole)


def test_one_of_other_code_stays_though_that_code_keeps_other_progress(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    others = Checkpoints(tmp_path, 4, origin(**{"code of loop": "2"}))
    with pytest.raises(Killed):
        fit(tmp_path, config(), on_point=kill_at(9), checkpoints=others)
    for file in sorted(tmp_path.glob("step-*")):
        with_state(lambda s: s["progress"].update(processors=s["progress"].pop("machines")))(file)
    theirs = set(tmp_path.glob("step-*"))
    ours = Checkpoints(tmp_path, 4, origin())
    with pytest.raises(Killed):
        fit(tmp_path, config(), on_point=kill_at(7), checkpoints=ours)
    assert "its code of loop is '2'" in caplog.text
    assert len(theirs) == 2
    assert theirs < set(tmp_path.glob("step-*"))


class OtherNet(Net):
    """The model as other code computes it: all numbers differ in the last digits."""

    def __init__(self) -> None:
        super().__init__()
        with torch.no_grad():
            self.linear.weight.mul_(1.0001)


@pytest.mark.parametrize("net", [Net, OtherNet])
def test_other_code_leaves_the_best_steps_of_another_origin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, net: type[Net]
) -> None:
    """Also if it computes the same, so that a best step of both is one file."""
    ours, others = origin(), origin(**{"code of loop": "3"})
    improves = make_problem(is_better=lambda _new, _old: True)
    checkpoints = Checkpoints(tmp_path, 4, ours)
    with pytest.raises(Killed):
        fit(tmp_path, config(), improves, on_point=kill_at(9), checkpoints=checkpoints)
    monkeypatch.setattr("tests.training.test_loop.Net", net)
    for at in (7, 11, 12):  # the last of them resumes from its own, which is newer than ours
        checkpoints = Checkpoints(tmp_path, 2, others)
        with pytest.raises(Killed):
            fit(tmp_path, config(), improves, on_point=kill_at(at), checkpoints=checkpoints)
    monkeypatch.undo()
    assert first_step(tmp_path, ours) == 8


@pytest.mark.parametrize("damage", ["sealed garbage", "cut short", "a folder"])
def test_an_older_one_that_is_damaged_costs_nothing(tmp_path: Path, damage: str) -> None:
    newest = interrupted(tmp_path)
    (older,) = set(tmp_path.glob("step-*")) - {newest}
    if damage == "a folder":
        as_folder(older)
    elif damage == "cut short":
        older.write_bytes(older.read_bytes()[:-100])
    else:
        with_text("[" * 100_000)(older)
    assert first_step(tmp_path) == 8


def test_a_checkpoint_that_cannot_be_read_just_now_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    newest = interrupted(tmp_path)
    read = tensor_files.read

    def fails_once(file: Path) -> Any:
        if file == newest:
            monkeypatch.setattr(tensor_files, "read", read)
            raise OSError(errno.EIO, "Input/output error")
        return read(file)

    monkeypatch.setattr(tensor_files, "read", fails_once)
    checkpoints = Checkpoints(tmp_path, 3)
    with pytest.raises(Killed):
        fit(tmp_path, config(), selecting(), on_point=kill_at(7), checkpoints=checkpoints)
    assert steps_in(tmp_path) == [4, 6, 8]
    assert first_step(tmp_path) == 8


@pytest.mark.parametrize("error", NO_SPACE)
@pytest.mark.parametrize("problem", [make_problem, selecting])
def test_without_space_the_run_goes_on_with_one_warning(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: str,
    problem: Callable[[], Problem],
) -> None:
    whole = fit(tmp_path / "whole", config(), problem())
    interrupted(tmp_path / "parts", problem())

    def full(tensors: Any, file: Path, metadata: Any) -> None:
        file.write_bytes(b"half")
        raise NO_SPACE[error]

    monkeypatch.setattr(tensor_files, "save_file", full)
    for folder in ("parts", "none"):
        caplog.clear()
        run = fit(
            tmp_path / folder, config(), problem(), checkpoints=Checkpoints(tmp_path / folder, 1)
        )
        assert_same(run, whole)
        (told,) = caplog.messages
        assert re.search(r"a checkpoint cannot be written \(.*(os error 28|space|quota)", told)
        assert not [file for file in (tmp_path / folder).iterdir() if file.name.startswith(".")]
    assert steps_in(tmp_path / "parts") == [8]  # the newest; the other one had made room
    assert first_step(tmp_path / "parts") == 8


def test_when_there_is_space_again_the_best_step_is_written_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = fit(tmp_path / "whole", config(), selecting())
    write, calls = tensor_files.write, []

    def full_at_first(*arguments: Any) -> Path:
        calls.append(arguments)
        if len(calls) <= 3:  # the best of steps 0 and 3, and that again before step 4
            raise NO_SPACE["disk"]
        return write(*arguments)

    monkeypatch.setattr(tensor_files, "write", full_at_first)
    with pytest.raises(Killed):
        fit(tmp_path / "parts", config(), selecting(), on_point=kill_at(9))
    assert steps_in(tmp_path / "parts") == [8]
    assert_same(fit(tmp_path / "parts", config(), selecting()), whole)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ((runner, "code_digests", lambda: CODE | {"loop": "x"}), "its code of loop is '"),
        ((runner, "code_digests", lambda: CODE | {"layer": "x"}), "its code of layer is '"),
        ((results, "package_versions", lambda: {"torch": "1"}), "its version of accelerate is '"),
        ((files, "_V_probe", lambda shared: shared.V[0].double()), "The basis of"),
        (None, ""),
    ],
)
def test_a_cell_resumes_if_code_and_basis_are_the_same(
    make_cell: MakeCell,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    changed: tuple[object, str, object] | None,
    told: str,
) -> None:
    words = ("task=rte", "method=frod", "runtime.checkpoint_every_steps=1")
    cells = [make_cell(*words, f"results_root={tmp_path}/{name}") for name in ("whole", "parts")]
    assert runner.execute(cells[0]).status == "ok"
    train_step, steps = loop.Trainer.train_step, []

    def breaking(self: loop.Trainer, step: int, batches: Any) -> Any:
        steps.append(step)
        if steps == [1, 2, 3, 4]:
            raise RuntimeError("broke off")
        return train_step(self, step, batches)

    monkeypatch.setattr(loop.Trainer, "train_step", breaking)
    assert runner.execute(cells[1]).status == "failed"
    if changed:
        monkeypatch.setattr(*changed)
    assert runner.execute(cells[1]).status == "ok"
    assert steps[4:] == ([1, 2, 3, 4] if changed else [4])
    assert re.search(told, caplog.text) if told else "can't be used" not in caplog.text
    one, other = (result_of(cell.record_path) for cell in cells)
    assert one == other


@pytest.mark.parametrize(
    ("method", "precision", "told"),
    [
        ("frod", "no", {"code of layer"}),
        ("lora", "no", set()),
        ("lora", "bf16", {"arithmetic"}),
    ],
)
def test_what_a_cells_checkpoints_are_of(
    make_cell: MakeCell, method: str, precision: str, told: set[str]
) -> None:
    cell = make_cell("task=rte", f"method={method}", f"trainer.mixed_precision={precision}")
    ready = runner.make_ready(cell)
    names = set(runner.origin_of(cell, ready.prepared, ready.accelerator).names)
    parts = {f"code of {part}" for part in ("methods", "rows", "loop", "metrics")}
    packages = {f"version of {name}" for name in results.PACKAGES}
    assert names == {"cell", "method", "device", *parts, *packages, *told}


@pytest.mark.parametrize("method", ["frod", "lora"])
def test_a_cells_checkpoints_change_no_bit_of_its_record(
    make_cell: MakeCell, tmp_path: Path, method: str, caplog: pytest.LogCaptureFixture
) -> None:
    words = ("task=rte", f"method={method}", "protocol=paper")
    results = []
    for steps in (50, 1):
        where = f"results_root={tmp_path}/{steps}"
        cell = make_cell(*words, f"runtime.checkpoint_every_steps={steps}", where)
        assert runner.execute(cell).status == "ok"
        results.append(result_of(cell.record_path))
        assert not cell.place("checkpoints").exists()
    assert results[0] == results[1]
    assert "checkpoint" not in caplog.text


def test_a_folder_in_the_place_of_trained_values_is_set_aside(tmp_path: Path) -> None:
    file = tmp_path / "kept.safetensors"
    file.mkdir()
    save_parameters(file, Net())
    assert set(load_file(file)) == {"model/linear.weight", "model/linear.bias"}
    assert file.with_name(f"{file.name}.invalid-1").is_dir()


def test_every_process_restores_the_file_that_the_first_one_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others than the first do not write, and do not know which of two files of a step is newer."""
    best, model = {"step": 3.0}, nn.Linear(2, 1, bias=False)
    older, newer = Checkpoints(tmp_path, 1), Checkpoints(tmp_path, 1)
    for one, value in ((older, 1.0), (newer, 2.0)):
        nn.init.constant_(model.weight, value)
        one.save_best(best, model, writes=True)
        newer._others = {older._best} if older._best else set()  # of other code: it stays
    assert len(list(tmp_path.glob("best-*"))) == 2
    for one, value in ((older, 1.0), (newer, 2.0)):
        assert one._best is not None
        name = one._best.name

        def of_first(own: Any, name: str = name) -> Any:
            return name if isinstance(own, str) else own

        monkeypatch.setattr(checkpoint, "_of_first", of_first)
        Checkpoints(tmp_path, 1).restore_best(best, model)
        assert torch.equal(model.weight, torch.full((1, 2), value))
