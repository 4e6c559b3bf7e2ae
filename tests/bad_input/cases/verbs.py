"""Words of the other verbs: their actions, keys, values, and the folders that they name."""

from pathlib import Path

import pytest

from frod_bench.common.paths import REFERENCE_DIR
from frod_bench.records import archive
from tests.bad_input.case import Bad
from tests.report.factory import make_record, noting_files, synthetic_curve, write_record

LONG = "a" * 300


def records(here: Path, _patch: pytest.MonkeyPatch) -> None:
    """Two methods with two seeds of one task."""
    for method in ("frod", "full"):
        for seed in (0, 1):
            noting_files(write_record(here, make_record("rte", method, seed), synthetic_curve()))


def two_profiles(here: Path, _patch: pytest.MonkeyPatch) -> None:
    """Records of two profiles in one folder, and another folder with one of them."""
    write_record(here, make_record("rte", "frod", 0))
    other = write_record(here / "other", make_record("rte", "frod", 1, profile="small"))
    other.rename(here / "embedded/records/rte/frod" / other.name)


def parts_and_files(here: Path, patch: pytest.MonkeyPatch) -> None:
    """A folder with parts and with records as files."""
    records(here, patch)
    archive.pack(here / "embedded", here / "kept")
    (here / "kept/records/rte/frod").mkdir(parents=True)
    for path in (here / "embedded/records/rte/frod").glob("*.json"):
        path.rename(here / "kept/records/rte/frod" / path.name)


def file_in_place_of_out(here: Path, patch: pytest.MonkeyPatch) -> None:
    """Parts, and a file in place of the folder that they are to be unpacked into."""
    records(here, patch)
    archive.pack(here / "embedded", here / "kept")
    (here / "cache").write_text("")


def parts_in_place_of_results(here: Path, patch: pytest.MonkeyPatch) -> None:
    """Parts where a run's results would be written as files."""
    records(here, patch)
    archive.pack(here / "embedded", here / "kept/embedded")


def parts_and_more(here: Path, patch: pytest.MonkeyPatch) -> None:
    """Records as files in two folders, and parts in two others."""
    records(here, patch)
    for name in ("kept", "again"):
        archive.pack(here / "embedded", here / name)
    noting_files(write_record(here / "more", make_record("cola", "frod", 0), synthetic_curve()))


FRONT = (
    Bad("nonsense", "'nonsense': is not a verb", "Allowed: analyze"),
    Bad("--completion powershell", "--completion powershell: is not supported", "Allowed: bash"),
    Bad("ls bogus", "'bogus': is not an action of ls", "Allowed: experiments"),
    Bad("ls records folder={here}", "folder={here}: has no records", "Name a folder that holds"),
    Bad("ls records folder=~nobody_at_all/x", "folder=~nobody_at_all/x", "Write the folder out"),
    Bad(
        "archive unpack folder={here}/kept out={here}/cache",
        "out={here}/cache",
        "Name a folder that you",
        file_in_place_of_out,
    ),
    Bad(
        "ls records folder={here}/kept",
        "{here}/kept/records: has parts and records as files",
        "Move the files",
        parts_and_files,
        "ls: parts and files",
    ),
    Bad(
        "ls records folder={here}/cache",
        "folder={here}/cache: has no records",
        "Name a folder that holds",
        file_in_place_of_out,
        "ls: a file",
    ),
    Bad(
        "run -m task=rte method=frozen seed=0 results_root={here}/kept",
        "results_root: {here}/kept/embedded/records has parts",
        "Unpack them",
        parts_in_place_of_results,
        "a grid beside parts",
    ),
    Bad(
        "run task=rte method=frozen seed=0 results_root={here}/kept",
        "results_root: {here}/kept/embedded/records has parts",
        "Unpack them",
        parts_in_place_of_results,
        "a run beside parts",
    ),
    Bad("cache bogus", "'bogus': is not an action of cache", "Allowed: clear, list"),
    Bad("prune results_root={here}/none", "results_root={here}/none", "Name the folder of your"),
    Bad("prune delete=perhaps", "delete=perhaps: 'perhaps' is unknown", "Allowed: false, true"),
    Bad("prune results_root=s3://x", "results_root='s3://x': is an address", "Name such a folder"),
    Bad("rehearse task=null", "task=null: names no task", "Allowed: "),
    Bad("rehearse suite=smoke,glue", "suite=smoke,glue: a grid has one suite", "Name one"),
    Bad("verify task=rte", "task=rte: verify runs the published settings", "Allowed: runtime."),
    Bad("verify runtime.jobs=x", "runtime.jobs: Value 'x'", "Give it a whole number"),
    Bad("embedded seed=-1", "seed=-1", "must be a whole number of at least 0"),
    Bad("embedded out=/dev/null/x", "out=/dev/null/x", "Name a folder that you may write to"),
    Bad(
        f"embedded out={REFERENCE_DIR}/x",
        f"out={REFERENCE_DIR}/x",
        "is what the project publishes, and is not written to. Name another folder",
    ),
    Bad("reproduce --tracker", "'--tracker': is not a flag of reproduce", "Allowed: "),
    Bad("reproduce experiment=none", "experiment=none: has no grid", "Name one"),
    Bad("validate sede=0", "sede: there is no such key", "Did you mean 'seed'?"),
    Bad("validate task=null", "task=null: names no task", "Allowed: "),
    Bad("calibrate experiment=none", "rte/frod/0: has no record", "Run first: frod-bench run -m"),
    Bad("analyze", "No analysis is named", "Allowed: curvature"),
    Bad("analyze spectra", "'spectra': is not an action of analyze", "Did you mean 'spectrum'?"),
    Bad("analyze landscape experiment=none", "experiment=None, save=none", "Name an experiment"),
    Bad("analyze curvature experiment=none", "experiment=none", "Name one"),
    Bad(
        "analyze curvature task=rte method=frozen seed=0 results_root={here}",
        "method=frozen: trains nothing beside the head",
        "Name methods that train more",
    ),
    Bad(
        "analyze curvature task=rte method=frod method.sparse_rate=0.02,0.1 seed=0",
        "rte/classify/frod/0: is in the grid 2 times",
        "Name one value",
    ),
    Bad(
        "analyze spectrum task=rte method=frod method.sparse_rate=0.02,0.1 seed=0",
        "rte/frod/0: is in the grid 2 times",
        "Name one value",
    ),
    Bad(
        "tune method=lora task=rte method.peft.r=4,16 seed=100",
        "is in the grid at several settings",
        "Search them one at a time",
    ),
    Bad(
        "tune method=lora task=rte seed=100 results_root={here} out=/dev/null/x",
        "out=/dev/null/x: /dev/null",
        "Name a folder that you may write to",
    ),
    Bad("tune oot=x", "oot: there is no such key", "Did you mean 'out'?"),
    Bad(
        "tune method=frozen task=boolq head=rank seed=100 plan_only=true",
        "method=frozen: trains nothing here and has no learning rate",
        "Name a method that trains",
    ),
    Bad("tune experiment=null", "experiment=null: names no experiment", "Allowed: "),
    Bad("tune experiment=none seed=100", "protocol=fair: learning rates", "name a search"),
    Bad("tune method=lora 'seed=range(100,100)'", "seed=range(100,100): has no value", "Name some"),
    Bad("challenge method=null", "method=null: names no method", "Allowed: "),
    Bad("challenge method=lora,frod", "method: must be given once", "Name its YAML"),
)
REPORT = (
    Bad("report tabels", "'tabels': is not an action of report", "Did you mean 'tables'?"),
    Bad("report tables plots", "'plots': is not key=value", "Allowed: "),
    Bad("report foldr=x", "foldr: there is no such key", "Did you mean 'folder'?"),
    Bad("report experiment=none", "experiment=none: has no grid", "Name one"),
    Bad("report task=null", "task=null: names no task", "Allowed: "),
    Bad("report results_root=A,B", "results_root=A,B: a grid has one", "Name one"),
    Bad("report rules=3", "rules=3: '3' is unknown", "Allowed: 1, 2"),
    Bad("report folder=", "folder: is empty", "Give it a value"),
    Bad("report folder={here}/none", "No records under {here}/none/records", "Name a folder that"),
    Bad(f"report folder={LONG}", "folder='aaa", "Name such a folder"),
    Bad("report out=mine", "out=mine: is for a report of a folder", "Name it too"),
    Bad(
        "report folder={here}/embedded seed=0", "seed cannot be chosen", "Allowed with it: out=DIR"
    ),
    Bad("report folder={here}/embedded figures.style=print", "figures.style=print", "Allowed: "),
    Bad(
        "report folder={here}/embedded",
        "folder={here}/embedded: holds records of profile small",
        "move them apart",
        two_profiles,
    ),
    Bad("archive folder={here}", "folder={here}: has no records", "Name a folder that holds"),
    Bad(
        "archive unpack folder={here}/embedded out={here}/x",
        "folder={here}/embedded: has no parts",
        "unpack",
        records,
    ),
    Bad("archive unpack folder={here}/embedded", "out: is missing", "Name another", records),
    Bad("archive pack folder={here}/embedded", "out: is missing", "Name another", records),
    Bad(
        "archive pack folder={here}/embedded out={here}/more/embedded",
        "out={here}/more/embedded: has records as files",
        "Name another one",
        parts_and_more,
    ),
    Bad(
        "archive unpack folder={here}/kept out={here}/again",
        "out={here}/again: has parts",
        "Name another one",
        parts_and_more,
    ),
    Bad(
        "archive pack folder={here}/embedded out={here}/other/../embedded",
        "is the folder itself",
        "Name another one",
        records,
    ),
    Bad(
        "archive pack folder={here}/embedded out=/dev/null/x",
        "out=/dev/null/x: /dev/null",
        "Name a folder that you may write to",
        records,
    ),
    Bad(
        "archive unpack folder={here}/embedded out=/dev/null/x",
        "out=/dev/null/x: /dev/null",
        "Name a folder that you may write to",
        records,
    ),
)
ROOT = "results_root={here}"
BOTH = f"task=rte method=frod {ROOT}"
COMPARE = (
    Bad(f"compare tsk=rte {ROOT}", "'tsk': is not a key of compare", "Did you mean 'task'?"),
    Bad(f"compare rte {ROOT}", "'rte': is not key=value", "Allowed: "),
    Bad(f"compare task {ROOT}", "'task': is not key=value", "Write task=VALUE"),
    Bad(f"compare task=rte {ROOT}", "task and method must be given", "task=rte method=frod,lora"),
    Bad(f"compare task=[] method=frod {ROOT}", "task: is empty", "Give it a value"),
    Bad(f"compare seed=0 seeds=1 {ROOT}", "seed: is given twice", "Name it once"),
    Bad(f"compare {BOTH} seeds=[x]", "seed=[x]: is not a whole number", "seed=0,1,2"),
    Bad(f"compare {BOTH} seed={'9' * 5000}", "seed=999", "e.g. seed=0,1,2"),
    Bad(
        f"compare task=rt method=frod {ROOT}",
        "No records of task 'rt'",
        "Did you mean 'rte'?",
        records,
    ),
    Bad(
        f"compare task=rte method=frodo {ROOT}",
        "No records of method 'frodo'",
        "Did you mean",
        records,
    ),
    Bad(
        f"compare {BOTH} profile=small",
        "No records under {here}/small/records",
        "Run them: ",
        records,
    ),
    Bad(f"compare {BOTH} profile=none", "'none' is unknown", "paper, real, small"),
    Bad(f"compare {BOTH} protocol=foo", "'foo' is unknown", "Allowed: fair, paper, tune"),
    Bad(f"compare {BOTH} protocol=paper", "None of the 3 cells has a record", "Run them", records),
    Bad(f"compare {BOTH} plot=terminals", "'terminals' is unknown", "Did you mean 'terminal'?"),
    Bad(f"compare {BOTH} across=true", "across=true is for two folders", "name them by folder=A,B"),
    Bad("compare 'folders=[~nobody_at_all/x,b]'", "no such home folder", "Write the folder out"),
    Bad("compare 'folders=[a, ~nobody_at_all/x]'", "no such home folder", "Write the folder out"),
    Bad(f"compare {BOTH} published=~nobody_at_all/x.csv", "no such home", "Write the folder out"),
    Bad(f"compare folders=[a] {ROOT}", "folder has 1 names", "give two"),
    Bad(f"compare folders=a,b {ROOT}", "results_root is not used", "Leave it out"),
    Bad("compare folders=s3://a,b", "folder='s3://a': is an address", "Name such a folder"),
    Bad(f"compare {BOTH} published=nobody", "published=nobody: is unknown", "Or name a CSV file"),
    Bad(
        f"compare {BOTH} published={{here}}/none.csv", "{here}/none.csv: cannot be read", "Correct"
    ),
)
PLAN = (
    Bad("plan accelerator=h100", "accelerator=h100: is unknown", "Did you mean 'h100-80gb'?"),
    Bad("plan format=xml", "format=xml: 'xml' is unknown", "Allowed: "),
    Bad("plan format=jsn", "format=jsn: 'jsn' is unknown", "Did you mean 'json'?"),
    Bad("plan profile=papper", "profile=papper", "Did you mean 'paper'?"),
    Bad("plan suite=paper21", "suite=paper21", "Did you mean 'paper20'?"),
    Bad("plan method=loar", "method=loar", "Did you mean"),
    Bad("plan task=rte,cloa method=frozen", "task=cloa", "Did you mean 'cola'?"),
    Bad("plan profile", "'profile': is not key=value", "Write profile=VALUE"),
    Bad("plan --formt=json", "'formt': is not a flag of plan", "Did you mean 'format'?"),
    Bad("plan trainer.batch_rows=0", "trainer.batch_rows=0: is out of range", "must be in"),
    Bad("plan trainer.bathc_rows=1", "trainer.bathc_rows: there is no such key", "Did you mean"),
    Bad(
        "plan task=rte method=lora method.peft.lora_alpha=inf",
        "method.peft.lora_alpha=inf",
        "must be a finite number",
    ),
    Bad("plan task=rte 'seed=range(0)'", "seed=range(0): has no value in it", "Name some"),
    Bad("plan task=rte ~seed", "~seed: cannot be left out", "Set it"),
    Bad("plan task=sst2 head=rank", "head=rank: task sst2", "Set head=classify"),
    Bad("plan experiment=mached_budget", "experiment=mached_budget", "Did you mean 'matched_"),
    Bad("plan task=rte method=frod_peft", "method=frod_peft: can't be planned", "frod"),
    Bad(
        "plan profile=paper task=cars method=frozen backbones.vision.image_size=100",
        "backbone.image_size=100: clip_vit_b32 does not accept such inputs",
        "Give 224",
    ),
)
BENCH = (
    Bad("bench shape=roberta_bas", "shape=roberta_bas", "Did you mean 'roberta_base'?"),
    Bad("bench shape=", "shape: is empty", "Give it a value"),
    Bad("bench method=full,frdo", "method=full,frdo: 'frdo' is unknown", "Did you mean 'frod'?"),
    Bad("bench rounds=4", "rounds=4", "must be a whole number of at least 5"),
    Bad("bench rounds=many", "rounds=many", "must be a whole number of at least 5"),
    Bad("bench rounds=-5", "rounds=-5", "must be a whole number of at least 5"),
    Bad(f"bench rounds={'9' * 5000}", "rounds=999", "must be a whole number of at least 5"),
    Bad("bench threads=0", "threads=0", "must be a whole number of at least 1"),
    Bad("bench compile=yes", "compile=yes: 'yes' is unknown", "Allowed: false, true"),
    Bad("bench device=gpu", "device=gpu", "must be cpu, cuda or cuda:N"),
    Bad("bench device=cuda:99", "device=cuda:99: only", "Use device=cpu"),
    Bad("bench results_root=/proc/nowhere", "results_root=/proc/nowhere: /proc", "Name a folder"),
    Bad("bench round=9", "'round': is not a key of bench", "Did you mean 'rounds'?"),
    Bad("bench rounds", "'rounds': is not key=value", "Write rounds=VALUE"),
)
MIRROR = (
    Bad("mirror backbone --from-package-index", "'backbone': is not an action", "'backbones'"),
    Bad("mirror backbones", "backbones: needs --from-package-index", "copies the backbones"),
    Bad("mirror backbones --from-package-idnex", "'--from-package-idnex'", "Did you mean"),
    Bad("mirror backbones --from-package-index ouy=x", "ouy: ", "Did you mean 'out'?"),
    Bad("mirror backbones --from-package-index suite=glue", "suite=glue: is not used", "Allowed"),
    Bad("mirror verify out=x", "out: is not used by verify", "Allowed: folder"),
    Bad("mirror verify root=", "folder: is empty", "Give it a value"),
    Bad("mirror verify folder={here}/none", "folder={here}/none: has no SHA256SUMS", "Copy again"),
    Bad("mirror out=a out=b", "out: is given twice", "Name it once"),
    Bad("mirror out=x suite=paper", "suite=paper: no suite has this name", "Allowed: "),
    Bad("mirror out=/dev/null/x suite=smoke", "out=/dev/null/x: /dev/null", "Name a folder"),
    Bad("mirror profile=embedded", "profile=embedded: its data and backbones come", "Name another"),
)

CASES = (*FRONT, *REPORT, *COMPARE, *PLAN, *BENCH, *MIRROR)
