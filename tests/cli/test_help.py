"""The front door: every verb answers for itself, quickly, and means the same by both names."""

import subprocess
import sys
from types import SimpleNamespace

import pytest
import yaml

from frod_bench import __main__ as front
from frod_bench.cli import help as cli_help
from frod_bench.cli.verbs import BY_NAME, VERBS
from frod_bench.common.paths import CONF_DIR


def answered(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """What a command line prints that ends with status 0."""
    with pytest.raises(SystemExit) as ended:
        front_with(words)
    assert ended.value.code == 0
    return capsys.readouterr().out


def front_with(words: list[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["frod-bench", *words])
        front.main()


@pytest.mark.parametrize("name", BY_NAME)
def test_help_says_purpose_three_examples_and_keys(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = answered([name, "--help"], capsys)
    verb = BY_NAME[name]
    assert text.startswith(f"frod-bench {name}: {verb.purpose}")
    assert len(verb.examples) == 3
    assert all(f"  frod-bench {example}\n" in text for example in verb.examples)
    assert all(f"\n  {key.name} " in text for key in verb.keys)


def test_the_front_door_lists_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    text = answered(["--help"], capsys)
    assert all(f"\n  {verb.name} " in text for verb in VERBS)
    assert answered([], capsys) == text
    assert answered(["plan", "--version"], capsys) == answered(["--version"], capsys)


def test_python_m_is_the_same_door_and_imports_nothing_heavy() -> None:
    """One process has them all: what one of them imports, a new process would import, too."""
    code = (
        "import runpy, sys\n"
        "heavy = {'torch', 'pandas', 'transformers', 'datasets', 'matplotlib'}\n"
        f"for name in {list(BY_NAME)}:\n"
        "    sys.argv = ['x', '--help']\n"
        "    try:\n"
        "        runpy.run_module(f'frod_bench.{name}', run_name='__main__')\n"
        "    except SystemExit as end:\n"
        "        assert end.code == 0, (name, end.code)\n"
        "    found = heavy & set(sys.modules)\n"
        "    assert not found, f'{name} imported {found}'\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "".join(f"{cli_help.of_verb(verb)}\n" for verb in VERBS)


def test_a_misspelt_verb_gets_a_hint(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        front_with(["rnu"])
    assert ended.value.code == 2
    assert "Did you mean 'run'?" in capsys.readouterr().err


@pytest.mark.parametrize(("words", "verbs"), [(["x"], []), (["rep"], ["report", "reproduce"])])
def test_a_line_of_one_word_is_completed(
    words: list[str], verbs: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert answered(["--complete", *words], capsys).split() == verbs
    assert set(answered(["--complete"], capsys).split()) == set(BY_NAME)


@pytest.mark.parametrize(("verb", "resumes"), [("ls", False), ("calibrate", True)])
def test_only_a_command_that_leaves_work_says_how_to_resume(
    verb: str, resumes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(words: list[str]) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(front, "import_module", lambda _: SimpleNamespace(**{verb: broken}))
    with pytest.raises(SystemExit) as ended:
        front_with([verb])
    assert "No space left on device." in str(ended.value.code)
    assert ("Run the same command again" in str(ended.value.code)) == resumes


def test_ls_names_everything_that_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    for what, folder in (("tasks", "task"), ("methods", "method"), ("suites", "suite")):
        front_with(["ls", what])
        names = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
        assert names == sorted(path.stem for path in (CONF_DIR / folder).glob("*.yaml"))
    boolq = yaml.safe_load((CONF_DIR / "task/boolq.yaml").read_text())
    front_with(["ls", "tasks"])
    [line] = [line for line in capsys.readouterr().out.splitlines() if line.startswith("boolq ")]
    assert line.split()[1:] == [boolq["family"], boolq["primary_metric"], boolq["hub_id"]]


def test_ls_counts_the_published_records(capsys: pytest.CaptureFixture[str]) -> None:
    front_with(["ls", "records", "folder=results/reference/small"])
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert sum(int(row[-1]) for row in rows) == 90
    assert ["sst2", "frod", "fair", "ok", "2"] in rows


@pytest.mark.parametrize("words", [["taks"], ["records", "folder=nowhere"], ["tasks", "a=b"]])
def test_ls_refuses_what_it_does_not_know(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        front_with(["ls", *words])
    assert ended.value.code == 2
    assert capsys.readouterr().out == ""
