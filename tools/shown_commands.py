"""Run the commands that README, CONTRIBUTING and docs/ show, and compare the outputs they show.

    python -m tools.shown_commands                   # all pages
    python -m tools.shown_commands README.md --list  # what would happen to the commands of a page
    python -m tools.shown_commands --write PAGE      # put real outputs into a page

Three kinds of fenced blocks are read. In a block without a language (or `sh`), each line that
begins with a known program is a command, which must end with exit status 0. In a `console` block,
commands follow `$ ` and the lines below are the output, which must agree with the real one; a line
`...` stands for any lines, and durations, sizes and hashes are not compared. After
`console trained`, no number is compared, because training on another processor changes scores.
A block whose language is followed by `file=PATH` is written to PATH before what comes after it,
and `python run` is executed. Each page has a scratch copy of the repository to itself.

`RULES` says which commands are changed or only parsed.
"""

import argparse
import difflib
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from typing import Literal, NamedTuple

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "results"
PROGRAMS = ("frod-bench", "python", "make", "pip", "accelerate", "wandb", "source", "docker", "git")
FENCE = re.compile(r"^```([^\n`]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LIMIT_S = 400  # of one command
WORKERS = 2  # pages at a time

_PLANS: dict[str, tuple[str, str]] = {}
_LOCKS: dict[str, Lock] = {}
_PLANNING = Lock()

How = Literal["run", "plan", "one task", "parse"]


class Rule(NamedTuple):
    """What happens to a command that `pattern` matches; the first match counts."""

    pattern: str
    how: How
    why: str


RULES = (
    Rule(r"^(source|git|pip|docker|wandb|accelerate|sbatch) ", "parse", "network, or not ours"),
    Rule(r"^make (setup|test|lint|bench|clean)\b", "parse", ".ci/run starts what is cheap of them"),
    Rule(r"plan_only=true", "run", "plans"),
    Rule(r"\$\w|<\w+>|\.\.\.|\bNAME\b|\bVERB\b|\bDIR\b", "parse", "has a placeholder"),
    Rule(r"/theirs/|/my/|path/to/|=my_", "parse", "names a file of the reader's"),
    Rule(r" mirror verify", "parse", "needs a mirror, which is not shipped"),
    Rule(r" mirror .*(out|suite)=| mirror backbones", "parse", "needs network"),
    Rule(
        r"(?i)root=(/data|mirror)\b|results/mine/small", "parse", "needs data that is not shipped"
    ),
    Rule(r"learning_rates=paper_tuned", "parse", "needs what tuning writes"),
    Rule(r"folder=results/(paper|small)\b", "parse", "needs records that only a GPU makes"),
    Rule(r"device=cuda", "parse", "needs a GPU"),
    Rule(r"^frod-bench (tune|calibrate|analyze|bench|verify)\b", "parse", "takes half an hour"),
    Rule(r"^frod-bench (run|reproduce) .*profile=(small|paper)", "parse", "needs the Hub"),
    Rule(r"^frod-bench compare (?!.*results/reference)", "parse", "needs records of earlier runs"),
    Rule(r"^frod-bench report (?!.*results/reference)", "parse", "needs records of earlier runs"),
    Rule(r"^(frod-bench (run|reproduce)|make (reproduce-all|smoke))\b", "plan", "trains"),
    Rule(r"^frod-bench plan .*profile=paper", "one task", "two minutes for twenty tasks"),
    Rule(r"^python -m tools\.(shown|published|reference|pretrain)", "parse", "rewrites pages"),
    Rule(r"", "run", "cheap"),
)
# In a `console` block, which is there for its output, these alone hold.
CONSOLE_RULES = (
    Rule(r"^(source|git|pip|docker|wandb|accelerate|make) ", "parse", "network, or not ours"),
    Rule(r"^frod-bench (bench|verify|mirror)\b", "parse", "network, or takes half an hour"),
    Rule(r"", "run", "its output is compared"),
)
# Numbers and names that differ between two runs of the same command.
VOLATILE = (
    (re.compile(r"\d[\d.,]*(?= ?(?:s|ms|min|h|seconds|minutes|hours|MiB|GiB|MB|GB)\b)"), "N"),
    (re.compile(r"\b[0-9a-f]{12,64}\b"), "HASH"),
    (re.compile(r"\d{4}-\d\d-\d\d"), "DATE"),
    (re.compile(r"(/[\w.-]+)+/(?=(results|docs|conf|examples)/)"), ""),
    (re.compile(r"[━─═]+"), "-"),
    (re.compile(r"[ \t]+"), " "),
)


@dataclass(frozen=True)
class Step:
    """A command, or a file to write, at its place in a page."""

    page: str
    line: int
    command: str = ""
    how: How = "run"
    why: str = ""
    output: str | None = None  # None: not shown, so not compared
    compares_numbers: bool = True
    file: str = ""  # a path: `command` is then the content


def steps_of(page: str, text: str) -> Iterator[Step]:
    """The files and commands of a page, in order."""
    for match in FENCE.finditer(text):
        language, *words = match[1].split() or [""]
        line = text[: match.start()].count("\n") + 2
        named = [word.removeprefix("file=") for word in words if word.startswith("file=")]
        if named:
            yield Step(page, line, match[2], file=named[0])
        elif language == "python" and "run" in words:
            yield Step(page, line, match[2], why="a program", file="-")
        elif language == "console":
            yield from _with_outputs(page, line, match[2], "trained" not in words)
        elif language in ("", "sh", "bash"):
            yield from _commands(page, line, match[2])


def _commands(page: str, line: int, block: str) -> Iterator[Step]:
    joined = block.replace("\\\n", "  ")
    for offset, text in enumerate(joined.splitlines()):
        command = _without_comment(text)
        if not command.startswith(PROGRAMS) or " " not in command:
            continue
        for part in re.split(r" && |; ", command):
            yield _ruled(Step(page, line + offset, part.strip()), RULES)


def _with_outputs(page: str, line: int, block: str, compares_numbers: bool) -> Iterator[Step]:
    parts = re.split(r"^\$ ", block, flags=re.MULTILINE)
    line += parts[0].count("\n")
    for part in parts[1:]:
        command, _, output = part.partition("\n")
        step = Step(page, line, _without_comment(command), output=output)
        yield _ruled(replace(step, compares_numbers=compares_numbers), CONSOLE_RULES)
        line += part.count("\n")


def _without_comment(text: str) -> str:
    return re.sub(r"(^|\s+)#.*$", "", text).strip()


def _ruled(step: Step, rules: tuple[Rule, ...]) -> Step:
    command = re.sub(r"^python -m frod_bench[. ]?", "frod-bench ", step.command)
    command = command.replace("frod-bench insight", "frod-bench analyze")
    command = command.replace("frod-bench analyses", "frod-bench analyze")
    rule = next(rule for rule in rules if re.search(rule.pattern, command))
    return replace(step, how=rule.how, why=rule.why)


def pages(root: Path) -> list[Path]:
    """README, CONTRIBUTING and every page of docs/."""
    return [root / "README.md", root / "CONTRIBUTING.md", *sorted((root / "docs").rglob("*.md"))]


def runnable(command: str, how: How, root: Path) -> list[str]:
    """The shell commands that stand for `command`: make's recipe, and a plan for what trains."""
    if how == "one task":
        task = "boolq" if "reasoning" in command or "boolq" in command else "rte"
        command = re.sub(r" (suite|task|method)=\S+", "", command)
        return [f"{command} task={task} method=frod"]
    if command.startswith("make "):
        said = subprocess.run(
            ["make", "-n", *shlex.split(command)[1:]],
            cwd=root, capture_output=True, text=True, check=True,
        )  # fmt: skip
        lines = [line for line in said.stdout.splitlines() if "-m frod_bench" in line]
        return [re.sub(r"\S*/bin/python", "python", line) + " plan_only=true" for line in lines]
    return [f"{command} plan_only=true"] if how == "plan" else [command]


def perform(step: Step, folder: Path) -> tuple[str, str]:
    """Carry out a step in the scratch copy; returns (what is wrong or "", the output)."""
    if step.file == "-":
        return _shell(shlex.join([sys.executable, "-c", step.command]), folder)
    if step.file:
        target = folder / step.file
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(step.command, encoding="utf-8")
        return "", ""
    if step.how == "parse":
        return _parse(step.command), ""
    printed = ""
    for command in runnable(step.command, step.how, folder):
        wrong, output = _planned(command, folder) if step.how != "run" else _shell(command, folder)
        if wrong and (step.output or "").startswith("error: ") and output.startswith("error: "):
            wrong = ""  # the page shows how a command fails
        printed += output
        if wrong:
            return wrong, printed
    if step.output is not None and (difference := compared(step, printed)):
        return f"prints something else:\n{difference}", printed
    return "", printed


def _parse(command: str) -> str:
    said = subprocess.run(
        ["bash", "-n", "-c", command], check=False, capture_output=True, text=True
    )
    return said.stderr.strip()


def _planned(command: str, folder: Path) -> tuple[str, str]:
    """As `_shell`, once for all pages: a plan does not depend on what a page did before."""
    with _PLANNING:
        own = _LOCKS.setdefault(command, Lock())
    with own:
        if command not in _PLANS:
            _PLANS[command] = _shell(command, folder)
    return _PLANS[command]


def _shell(command: str, folder: Path) -> tuple[str, str]:
    bin_folder = Path(sys.executable).parent
    environment = os.environ | {
        "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(folder),
        "COLUMNS": "100",
        "HF_HUB_OFFLINE": "1",
        "WANDB_MODE": "offline",
    }
    try:
        said = subprocess.run(
            ["bash", "-o", "pipefail", "-c", command],
            cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, timeout=LIMIT_S, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return f"still runs after {LIMIT_S} s", ""
    printed = said.stdout.replace(f"{folder}/", "")
    output = "\n".join(line.rstrip() for line in printed.splitlines()).strip("\n") + "\n"
    if said.returncode:
        return f"exit status {said.returncode}:\n{output[-3000:]}", output
    return "", output


def normalized(output: str, compares_numbers: bool) -> list[str]:
    """Lines of an output without what differs between two runs of the same command."""
    for pattern, stands_for in VOLATILE:
        output = pattern.sub(stands_for, output)
    if not compares_numbers:
        output = re.sub(r"[-−+]?\d[\d.,]*|∞", "N", output)
        output = re.sub(r"[ \t]+", " ", output)
    return [line.strip() for line in output.strip().splitlines() if line.strip()]


def compared(step: Step, printed: str) -> str:
    """A difference between the output that a page shows and `printed`; "" if they agree."""
    shown = normalized(step.output or "", step.compares_numbers)
    real = normalized(printed, step.compares_numbers)
    pattern = "".join(r"(.*\n)*?" if line == "..." else re.escape(line) + r"\n" for line in shown)
    if re.fullmatch(pattern, "".join(f"{line}\n" for line in real)):
        return ""
    return "\n".join(difflib.unified_diff(shown, real, "the page", "the command", lineterm="", n=1))


def check(page: Path, copy: Path) -> list[tuple[Step, str, str]]:
    """Every step of a page with what is wrong with it and its output."""
    name = str(page.relative_to(ROOT))
    return [(step, *perform(step, copy)) for step in steps_of(name, page.read_text("utf-8"))]


def scratch_copy(target: Path) -> Path:
    """The repository without its history, environments, caches and results of its own."""
    unneeded = shutil.ignore_patterns(".*_cache", ".git", ".venv", ".hypothesis", "__pycache__")

    def ignored(folder: str, names: list[str]) -> set[str]:
        own = {name for name in names if name != "reference"} if folder == str(RESULTS) else set()
        return unneeded(folder, names) | own

    shutil.copytree(ROOT, target, symlinks=True, ignore=ignored, dirs_exist_ok=True)
    return target


def write_outputs(page: Path, done: list[tuple[Step, str, str]]) -> None:
    """Put the real outputs into the console blocks of a page."""
    lines = page.read_text("utf-8").splitlines(keepends=True)
    for step, wrong, printed in reversed(done):  # from the end: what is above keeps its place
        if step.output is not None and wrong.startswith("prints something else"):
            lines[step.line : step.line + step.output.count("\n")] = [printed]
    page.write_text("".join(lines), encoding="utf-8")


def _one(page: Path, writes: bool) -> list[tuple[Step, str, str]]:
    with tempfile.TemporaryDirectory() as folder:
        done = check(page, scratch_copy(Path(folder)))
    if writes:
        write_outputs(page, done)
    return done


def main(words: list[str]) -> int:
    """Check the pages; returns the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("pages", nargs="*", type=Path)
    parser.add_argument("--write", action="store_true", help="put real outputs into the pages")
    parser.add_argument("--list", action="store_true", help="print what would be done")
    asked = parser.parse_args(words)
    chosen = [page.resolve() for page in asked.pages] or pages(ROOT)
    if asked.list:
        for page in chosen:
            for step in steps_of(str(page.relative_to(ROOT)), page.read_text("utf-8")):
                what = f"[{step.file}]" if step.file else step.command
                print(f"{step.page}:{step.line}: {step.how:8} {what}  ({step.why})")
        return 0
    done: list[tuple[Step, str, str]] = []
    with ThreadPoolExecutor(WORKERS) as pool:
        for part in pool.map(lambda page: _one(page, asked.write), chosen):
            if part:
                print(f"{part[0][0].page}: {len(part)} commands and files", flush=True)
            done += part
    failed = [(step, wrong) for step, wrong, _ in done if wrong]
    for step, wrong in failed:
        print(
            f"{step.page}:{step.line}: {step.command}\n  {wrong.replace(chr(10), chr(10) + '  ')}"
        )
    reasons = Counter(step.why for step, _, _ in done if step.how == "parse" and not step.file)
    for why, number in reasons.most_common():
        print(f"{number:4} only parsed: {why}")
    counts = Counter(step.how for step, _, _ in done if not step.file)
    outputs = sum(step.output is not None and step.how == "run" for step, _, _ in done)
    files = sum(bool(step.file) for step, _, _ in done)
    print(
        f"{sum(counts.values())} commands on {len(chosen)} pages: {counts['run']} run as shown, "
        f"{counts['plan'] + counts['one task']} planned, {counts['parse']} parsed; "
        f"{outputs} outputs compared, {files} files and programs used; {len(failed)} wrong."
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
