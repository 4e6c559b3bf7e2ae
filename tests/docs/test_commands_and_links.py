"""Commands that README and docs show name what exists; links lead somewhere."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from frod_bench.bench.options import SHAPES
from frod_bench.cli.exits import keys
from frod_bench.cli.verbs import BY_NAME
from frod_bench.common.paths import CONF_DIR, PACKAGE_DIR

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^```([^\n`]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NAMED_FILE = re.compile(r"`((?:frod_bench|tests|tools|conf)/[\w./-]+)`")
LINK = re.compile(r"\]\(([^)#\s]+)(#[^)]*)?\)")
GROUPS = ("profile", "protocol", "suite", "task", "method", "experiment", "tracker", "launcher")
# Of verbs that compose a configuration: every key of the schema, and these.
OWN_KEYS = {"accelerator", "backbone", "format", "out", "root", "folder", "plot", "across"}
MAKE_VARIABLES = set(re.findall(r"^([A-Z_]+)\s*\?=", (ROOT / "Makefile").read_text(), re.M))
MAKE_TARGETS = set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.M))


def shown_commands() -> Iterator[tuple[str, list[str]]]:
    """(page, words) of every line in a fenced block that starts a command of ours."""
    for page in PAGES:
        for language, block in FENCE.findall(page.read_text(encoding="utf-8")):
            if language.partition(" ")[0] not in ("", "sh", "bash", "console"):
                continue
            for shown in block.replace("\\\n", " ").splitlines():
                line = shown.removeprefix("$ ")
                if not line.startswith(("frod-bench ", "python -m frod_bench", "make ")):
                    continue
                words = shlex.split(line, comments=True)
                if words[0] == "python":
                    verb = words[2].removeprefix("frod_bench").lstrip(".")
                    yield page.name, ([verb] if verb else []) + words[3:]
                else:
                    yield page.name, words[words[0] == "frod-bench" :]


def examples() -> Iterator[tuple[str, list[str]]]:
    """Those that `--help` shows."""
    for verb in BY_NAME.values():
        for example in verb.examples:
            yield f"{verb.name} --help", shlex.split(example)


COMMANDS = [*shown_commands(), *examples()]


def test_commands_were_found() -> None:
    assert len(COMMANDS) > 60
    assert {words[0] for _, words in COMMANDS} >= {"make", "run", "report", "compare", "plan"}


@pytest.mark.parametrize(("page", "words"), COMMANDS, ids=lambda value: str(value)[:60])
def test_a_shown_command_names_what_exists(page: str, words: list[str]) -> None:
    first, *rest = words
    if first == "make":
        for word in rest:
            name, is_variable, _ = word.partition("=")
            assert name in (MAKE_VARIABLES if is_variable else MAKE_TARGETS), (page, word)
        return
    verb = {"insight": "analyze", "analyses": "analyze"}.get(first, first)
    if "." in verb:  # a module, as frod_bench.stats.simulate
        assert (PACKAGE_DIR / (verb.replace(".", "/") + ".py")).is_file(), (page, words)
        return
    if "=" not in verb:
        assert verb in BY_NAME, (page, words)
    known = {*keys(), *OWN_KEYS, *(key.name for key in BY_NAME.get(verb, BY_NAME["run"]).keys)}
    aliases = {"methods", "seeds", "folders", "out_dir"} if verb == "compare" else set()
    for word in rest:
        key, is_choice, value = word.lstrip("+").partition("=")
        if not is_choice:
            continue
        top = re.split(r"[.@]", key)[0]
        assert key in known | aliases or top in known | aliases, (page, word)
        if (verb, key) == ("bench", "shapes"):
            assert set(value.split(",")) <= set(SHAPES), (page, word)
        if key in GROUPS:
            for name in value.strip("'[]").split(","):
                exists = (CONF_DIR / key / f"{name}.yaml").is_file()
                exists |= (PACKAGE_DIR / "search" / key / f"{name}.yaml").is_file()
                is_users = "/" in name or name.startswith("my_") or name in ("NAME", "...")
                is_users |= (page, name) in USERS_OWN
                assert exists or is_users, (page, word)


# Names of the reader's own, and names that a page shows to be refused.
USERS_OWN = {
    ("add_a_task.md", "reviews"),
    ("troubleshooting.md", "rt"),
    ("methods.md", "layer_norms"),
    ("paper_scale.md", "smoke"),
}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_named_files_exist(page: Path) -> None:
    for path in NAMED_FILE.findall(page.read_text("utf-8")):
        assert (ROOT / path).exists(), path


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_named_tests_exist(page: Path) -> None:
    for path, test in re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", page.read_text("utf-8")):
        assert f"def {test}(" in (ROOT / path).read_text("utf-8"), f"{path}::{test}"


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    heads = re.findall(r"^#+ (.*)$", FENCE.sub("", page.read_text(encoding="utf-8")), re.M)
    kept = (re.sub(r"[^\w\- ]", "", head.lower()) for head in heads)
    return {head.replace(" ", "-") for head in kept}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_anchors_exist(page: Path) -> None:
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    for target, anchor in re.findall(r"\]\(([^)#\s]*)#([^)]*)\)", text):
        if "://" not in target:
            to = page.parent / target if target else page
            assert anchor in anchors(to), f"{target}#{anchor}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target, _ in LINK.findall(FENCE.sub("", text)):
        if "://" not in target:
            assert (page.parent / target).exists(), target
