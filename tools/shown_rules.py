"""What `tools/shown_commands.py` does with each command: the first rule that matches counts.

A command that would train for long is shortened, or planned; what needs a network, a GPU, records
of the reader's or a mirror that is not shipped is changed so that the rest of it still runs. Only
what cannot be changed is parsed by the shell alone.
"""

from typing import Literal, NamedTuple

How = Literal["run", "once", "short", "plan", "estimate", "parse"]
Edits = tuple[tuple[str, str], ...]  # pairs for re.sub, applied in order

SHORT = "trainer.max_steps=4 tracker=none"
TRAINED = f"frod-bench run -m task=rte,cola method=frod,lora,full seed=0 {SHORT}"
FEW_POINTS = "task=rte method.sparse_rate=0,0.02 rate_factors.lambda=1 rate_factors.rotation=1"
FIRST_STAGE = "experiment.procedure.points=3 experiment.procedure.margin=0"
ANOTHER = "rm -rf theirs && cp -r results/embedded theirs"
EXAMPLE = "method=examples/my_method/layer_norms.yaml task=rte seed=0 against=results/embedded"
OWN_SMALL = "mkdir -p results/mine && cp -r results/reference/small results/mine/"
# What a plan neither needs nor accepts here: mirrors, and how the processes would run.
NO_PLACES: Edits = ((r" (data_root|model_root|results_root|runtime\.\w+)=\S+", ""),)


class Rule(NamedTuple):
    """What happens to a command that `pattern` matches.

    how: "run" as shown or with `edits`; "once" for all pages; "short", for a few steps of one seed;
    "plan", with plan_only=true; "estimate", by `frod-bench plan`, which needs neither data nor
    weights, for one task; or "parse". `before` is run first, once on a page.
    """

    pattern: str
    how: How
    why: str
    edits: Edits = ()
    before: str = ""


AS_SHOWN = Rule("", "run", "cheap")
RULES = (
    Rule(r"^(source|git|pip|docker|wandb|sbatch) ", "parse", "needs a network, or is not ours"),
    Rule(
        r"^make (setup|test|lint|bench|chaos|clean)\b",
        "parse",
        ".ci/run starts what is cheap of them",
    ),
    Rule(
        r"<\w+>|\.\.\.|\bNAME\b|\bVERB\b|\bDIR\b|reproduce=|\$reproduce", "parse", "a placeholder"
    ),
    Rule(r" mirror verify", "parse", "needs a mirror, which is not shipped"),
    Rule(r" mirror .*(out|suite)=| mirror backbones", "parse", "needs a network"),
    Rule(r"^frod-bench verify", "parse", "five minutes; tests run it on fewer cells"),
    Rule(
        r"^frod-bench challenge ",
        "once",
        "the example on one task, four steps long, compared with runs of four steps",
        ((r"^.*$", f"frod-bench challenge {EXAMPLE} {FIRST_STAGE} {SHORT}"),),
        TRAINED,
    ),
    Rule(r"^frod-bench archive pack folder=results/real", "parse", "needs runs of a day"),
    Rule(r"plan_only=true", "run", "plans"),
    Rule(
        r"^accelerate launch",
        "estimate",
        "needs several processes",
        (
            (r"^.*-m frod_bench\.", "frod-bench "),
            (r"\$task", "boolq"),
            (r"\$seed", "0"),
            *NO_PLACES,
        ),
    ),
    Rule(
        r"^make .*PROFILE=small",
        "estimate",
        "needs data that is not shipped",
        (
            (r"^make reproduce-all", "frod-bench plan head=auto profile=small"),
            (r" [A-Z_]+=\S+", ""),
        ),
    ),
    Rule(
        r"path/to/my_task",
        "plan",
        "names a file of the reader's",
        ((r"path/to/my_task", "mine"), (r"^frod-bench validate", "frod-bench run"), *NO_PLACES),
        "sed 's/^name: .*/name: mine/' conf/task/rte.yaml > mine.yaml",
    ),
    Rule(r"backbones.nlu=roberta_base", "parse", "needs a checkpoint that is not shipped"),
    Rule(
        r"^frod-bench (run|reproduce) .*(profile=(small|real|paper)|data_root=mirror|device=cuda)",
        "estimate",
        "needs a GPU, or data that is not shipped",
        (*NO_PLACES, (r" learning_rates=paper_tuned", "")),
    ),
    Rule(
        r"folder=results/(paper|mine/small)\b",
        "run",
        "a published folder takes its place",
        ((r"folder=results/(paper|mine/small)\b", "folder=results/reference/small out=drawn"),),
    ),
    Rule(
        r"^frod-bench compare .*results/mine/small",
        "run",
        "with a copy of the published folder",
        before=OWN_SMALL,
    ),
    Rule(
        r"^frod-bench compare .*/theirs/",
        "run",
        "after four steps of training",
        ((r"/theirs/results/embedded", "theirs"), (r" seed=0,1", " seed=0")),
        f"{TRAINED} && {ANOTHER}",
    ),
    Rule(
        r"^frod-bench compare task=rte,cola", "run", "after four steps of training", before=TRAINED
    ),
    Rule(
        r"^frod-bench report .*experiment=ablation",
        "run",
        "after four steps of training",
        ((r"$", f" {FEW_POINTS} {SHORT}"),),
        f"frod-bench run -m experiment=ablation {FEW_POINTS} {SHORT}",
    ),
    Rule(
        r"^frod-bench run -m experiment=(landscape|update_spectrum|expressible)\b",
        "short",
        "trains",
        ((r"$", " task=rte method=frod"),),
    ),
    Rule(
        r"^frod-bench analyze ",
        "run",
        "after four steps of training",
        ((r"$", f" task=rte method=frod {SHORT}"),),
    ),
    Rule(
        r"^frod-bench tune .*profile=(small|real|paper)",
        "estimate",
        "needs a GPU, or data that is not shipped",
        ((r" tune ", " plan "), (r" out=\S+", ""), *NO_PLACES),
    ),
    Rule(r"^frod-bench tune experiment=(?!tune)", "plan", "trains"),
    Rule(
        r"^frod-bench reproduce experiment=(capacity|slow_learning|basis|conditioning)\b",
        "parse",
        "needs the rates that its search finds",
    ),
    Rule(
        r"^frod-bench tune\b",
        "once",
        "the first stage of one method on one task, four steps long",
        ((r" method=\S+", ""), (r"$", f" task=rte method=frozen {FIRST_STAGE} {SHORT}")),
    ),
    Rule(
        r"^frod-bench archive ",
        "run",
        "after four steps of training",
        before=f"{TRAINED} && frod-bench archive folder=results/embedded out=mine/embedded",
    ),
    Rule(r"^frod-bench run -m task=\S+ ", "short", "trains", ((r" seed=\S+", " seed=0"),)),
    Rule(r"^(frod-bench (run|reproduce)|make (reproduce-all|smoke))\b", "plan", "trains"),
    Rule(
        r"^frod-bench rehearse .*profile=paper",
        "once",
        "the embedded backbones on one task",
        ((r"^.*$", "frod-bench rehearse task=rte method=frod,lora"),),
    ),
    Rule(r"^frod-bench plan .*profile=paper", "estimate", "two minutes for twenty tasks"),
    Rule(r"^python -m tools\.shown_commands", "run", "this program", ((r"$", " --list"),)),
    AS_SHOWN,
)
# In a `console` block, which is there for its output, these alone hold.
CONSOLE_RULES = (
    Rule(r"^(source|git|pip|docker|wandb|accelerate|make) ", "parse", "network, or not ours"),
    Rule(r"^frod-bench (bench|mirror)\b", "parse", "network, or takes half an hour"),
    Rule(r"", "run", "its output is compared"),
)
