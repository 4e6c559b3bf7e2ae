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

`tools/shown_rules.py` says which commands are changed or only parsed.
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
import zlib
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock

from tools.shown_rules import AS_SHOWN, CONSOLE_RULES, RULES, SHORT, Rule

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "results"
PROGRAMS = ("frod-bench", "python", "make", "pip", "accelerate", "wandb", "source", "docker", "git")
FENCE = re.compile(r"^```([^\n`]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LIMIT_S = 400  # of one command
WORKERS = 2  # pages at a time

_SHARED: dict[str, tuple[str, str]] = {}
_LOCKS: dict[str, Lock] = {}
_SHARING = Lock()

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
    rule: Rule = AS_SHOWN
    output: str | None = None  # None: not shown, so not compared
    compares_numbers: bool = True
    file: str = ""  # a path: `command` is then the content, and "-" a program to run

    @property
    def is_changed(self) -> bool:
        """Whether something else runs than what the page shows."""
        return self.rule.how == "short" or bool(self.rule.edits)


def steps_of(page: str, text: str) -> Iterator[Step]:
    """The files and commands of a page, in order."""
    for match in FENCE.finditer(text):
        language, *words = match[1].split() or [""]
        line = text[: match.start()].count("\n") + 2
        named = [word.removeprefix("file=") for word in words if word.startswith("file=")]
        if named:
            yield Step(page, line, match[2], file=named[0])
        elif language == "python" and "run" in words:
            yield Step(page, line, match[2], file="-")
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
    command = _by_front_door(step.command)
    return replace(step, rule=next(rule for rule in rules if re.search(rule.pattern, command)))


def _by_front_door(command: str) -> str:
    command = re.sub(r"^python -m frod_bench[. ]?", "frod-bench ", command)
    return re.sub(r"^frod-bench (insight|analyses)\b", "frod-bench analyze", command)


def pages(root: Path) -> list[Path]:
    """README, CONTRIBUTING and every page of docs/."""
    return [root / "README.md", root / "CONTRIBUTING.md", *sorted((root / "docs").rglob("*.md"))]


def runnable(command: str, rule: Rule, root: Path) -> list[str]:
    """The shell commands that stand for `command`: edited, make's recipe, a plan, fewer steps."""
    if rule.how == "parse":
        return [command]
    if rule.edits or rule.how in ("short", "estimate"):
        command = _by_front_door(command)
    for pattern, replacement in rule.edits:
        command = re.sub(pattern, replacement, command, count=0 if pattern != "$" else 1)
    if rule.how == "short":
        return [f"{command} {SHORT}"]
    if rule.how == "estimate":
        return [_estimate(command)]
    if command.startswith("make "):
        said = subprocess.run(
            ["make", "-n", *shlex.split(command)[1:]],
            cwd=root, capture_output=True, text=True, check=True,
        )  # fmt: skip
        lines = [line for line in said.stdout.splitlines() if "-m frod_bench" in line]
        return [re.sub(r"\S*/bin/python", "python", line) + " plan_only=true" for line in lines]
    return [f"{command} plan_only=true"] if rule.how == "plan" else [command]


def _estimate(command: str) -> str:
    """`frod-bench plan` for one task and FRoD, with the other keys of a training command."""
    command = re.sub(r"^frod-bench (run|reproduce)( -m)?", "frod-bench plan", command)
    task = "boolq" if "reasoning" in command or "boolq" in command else "rte"
    command = re.sub(r" (suite|task|method|seed)=\S+", "", command)
    return re.sub(r"\s+", " ", f"{command} task={task} method=frod")


def perform(step: Step, folder: Path) -> tuple[str, str]:
    """Carry out a step in the scratch copy; returns (what is wrong or "", the output)."""
    if step.file == "-":
        return _shell(shlex.join([sys.executable, "-c", step.command]), folder)
    if step.file:
        target = folder / step.file
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(step.command, encoding="utf-8")
        return "", ""
    if step.rule.how == "parse":
        return _parse(step.command), ""
    printed = ""
    is_shared = step.rule.how in ("plan", "estimate", "once")
    # Numbers that may differ may be longer elsewhere, and must not fold a table.
    wider = "" if step.compares_numbers else "export COLUMNS=120; "
    for runs in runnable(step.command, step.rule, folder):
        command = f"{wider}{runs}"
        wrong, output = (_shared if is_shared else _prepared)(command, step.rule.before, folder)
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


def _prepared(command: str, before: str, folder: Path) -> tuple[str, str]:
    """As `_shell`, after `before`, which is run once in a copy."""
    done = folder / f".done-{zlib.crc32(before.encode())}"
    if before and not done.exists():
        wrong, output = _shell(before, folder)
        if wrong:
            return f"before it, `{before}`: {wrong}", output
        done.touch()
    return _shell(command, folder)


def _shared(command: str, before: str, folder: Path) -> tuple[str, str]:
    """As `_shell`, once for all pages: its output does not depend on what a page did before."""
    with _SHARING:
        own = _LOCKS.setdefault(command, Lock())
    with own:
        if command not in _SHARED:
            _SHARED[command] = _prepared(command, before, folder)
    return _SHARED[command]


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


def matched(step: Step, printed: str) -> re.Match[str] | None:
    """The lines of `printed`, each in a group of its own, as the page shows them; None if not."""
    shown = normalized(step.output or "", step.compares_numbers)
    real = normalized(printed, step.compares_numbers)
    pattern = "".join(
        r"(?:.*\n)*?" if line == "..." else f"({re.escape(line)}\\n)" for line in shown
    )
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in real))


def compared(step: Step, printed: str) -> str:
    """A difference between the output that a page shows and `printed`; "" if they agree."""
    if matched(step, printed):
        return ""
    shown = normalized(step.output or "", step.compares_numbers)
    real = normalized(printed, step.compares_numbers)
    return "\n".join(difflib.unified_diff(shown, real, "the page", "the command", lineterm="", n=1))


def refreshed(step: Step, printed: str) -> str:
    """The output that a page shows, with the numbers of `printed`: all of it if lines differ."""
    match = matched(step, printed)
    if match is None:
        return printed
    real = [line for line in printed.splitlines() if line.strip()]
    found = iter(real[match.string.count("\n", 0, start)] for start, _ in match.regs[1:])
    shown = (step.output or "").splitlines()
    lines = [next(found) if line.strip() not in ("", "...") else line for line in shown]
    return "".join(f"{line}\n" for line in lines)


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
    """Put the real outputs into the console blocks of a page; what `...` leaves out stays out."""
    lines = page.read_text("utf-8").splitlines(keepends=True)
    for step, wrong, printed in reversed(done):  # from the end: what is above keeps its place
        is_another = wrong.startswith("prints something else")
        if step.output is not None and (is_another or not (wrong or step.compares_numbers)):
            shown = [refreshed(step, printed)]
            lines[step.line : step.line + step.output.count("\n")] = shown
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
                print(f"{step.page}:{step.line}: {step.rule.how:8} {what}  ({step.rule.why})")
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
    commands = [step for step, _, _ in done if not step.file]
    reasons = Counter(step.rule.why for step in commands if step.rule.how == "parse")
    for why, number in reasons.most_common():
        print(f"{number:4} only parsed: {why}")
    counts = Counter(step.rule.how for step in commands)
    changed = sum(step.is_changed and step.rule.how in ("run", "short") for step in commands)
    outputs = sum(step.output is not None and step.rule.how == "run" for step, _, _ in done)
    shown = counts["run"] + counts["once"] + counts["short"] - changed
    print(
        f"{len(commands)} commands on {len(chosen)} pages: {shown} run as shown, {changed} run "
        f"with fewer steps or another folder, {counts['plan'] + counts['estimate']} planned, "
        f"{counts['parse']} parsed; {outputs} outputs compared, {len(done) - len(commands)} files "
        f"and programs used; {len(failed)} wrong."
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
