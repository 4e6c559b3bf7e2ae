"""One grammar for every verb: keys, aliases, flags, actions, and what is refused."""

import shlex
import shutil
import subprocess
import sys

import pytest

from frod_bench.cli.arguments import Arguments, parse
from frod_bench.cli.help import candidates
from frod_bench.cli.verbs import BY_NAME, VERBS
from frod_bench.common.paths import CONF_DIR


def test_own_keys_are_taken_apart_from_overrides() -> None:
    words = ["tables", "experiment=main_table", "out=mine", "-m", "folder=a", "~tracker", "+x.y=1"]
    assert parse("report", words) == Arguments(
        actions=["tables"],
        values={"out": "mine", "folder": "a"},
        overrides=["experiment=main_table", "~tracker", "+x.y=1"],
    )


@pytest.mark.parametrize(
    ("verb", "words", "values"),
    [
        ("compare", ["methods=[frod]", "seeds=0,1"], {"method": "[frod]", "seed": "0,1"}),
        ("compare", ["folders=a,b", "out_dir=c"], {"folder": "a,b", "out": "c"}),
        (
            "bench",
            ["methods=frod", "compile=false,true"],
            {"method": "frod", "compile": "false,true"},
        ),
        ("embedded", ["--root", "a", "--seed=1"], {"out": "a", "seed": "1"}),
        ("mirror", ["verify", "root=a"], {"folder": "a"}),
        ("tune", ["out_dir=a"], {"out": "a"}),
        ("compare", ["task=null"], {}),
    ],
)
def test_aliases_and_options_mean_the_shared_name(
    verb: str, words: list[str], values: dict[str, str]
) -> None:
    assert parse(verb, words).values == values


def test_lists_are_read_with_and_without_brackets() -> None:
    for text in ("0,1,2,1", "[0, 1, 2]", "['0','1','2']"):
        assert parse("compare", [f"seed={text}"]).integers("seed") == [0, 1, 2]
    assert parse("compare", []).names("seed") is None
    assert parse("bench", ["rounds=7"]).integer("rounds", 5) == 7
    assert parse("bench", []).integer("rounds", 5) is None


def test_words_complete_to_verbs_actions_keys_and_names() -> None:
    assert candidates("frod-bench rep") == ["report ", "reproduce "]
    assert len(candidates("frod-bench ")) == len(VERBS)
    assert {"all ", "folder=", "task="} <= set(candidates("frod-bench report "))
    assert candidates("frod-bench mirror --f") == ["--from-package-index "]
    tasks = sorted(path.stem for path in (CONF_DIR / "task").glob("*.yaml"))
    assert candidates("frod-bench run task=") == tasks
    assert candidates("frod-bench run -m method=frod,lor") == ["frod,lora"]
    assert candidates("frod-bench compare plot=t") == ["terminal"]
    assert candidates("frod-bench run experiment=main") == ["main_table"]


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_completes_with_the_printed_script() -> None:
    """The function that bash calls, with a `frod-bench` that is this interpreter's."""
    shell = f"""
    frod-bench() {{ {shlex.quote(sys.executable)} -m frod_bench "$@"; }}
    eval "$(frod-bench --completion bash)"
    COMP_LINE='frod-bench run task=rt' COMP_POINT=22
    _frod_bench
    echo "${{COMPREPLY[@]}}"
    complete -p frod-bench
    """
    done = subprocess.run(
        ["bash", "-c", shell], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.splitlines()[0] == "rte"
    assert "-F _frod_bench frod-bench" in done.stdout


@pytest.mark.parametrize("name", BY_NAME)
def test_every_key_has_a_meaning_and_one_name(name: str) -> None:
    keys = BY_NAME[name].keys
    names = [key.name for key in keys]
    assert len(names) == len(set(names))
    own = BY_NAME[name].own_keys
    assert all(own[key.name] is key for key in keys if key.name in own), "an alias hides a key"
    assert all(key.meaning for key in keys)
