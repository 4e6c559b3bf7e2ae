"""Words of `frod-bench run`: names, types, ranges, Hydra's grammar, and grids."""

from tests.bad_input.case import PLAN, RUN, Bad, cell

LONG = "a" * 300


def command(words: str, field: str, remedy: str) -> Bad:
    """A command line that is refused, most of them before anything is composed."""
    return Bad(f"{PLAN} {words}", field, remedy, name=words[:100])


NAMES = (
    command("task=rtee", "task=rtee", "Did you mean 'rte'?"),
    cell("task=", "task=: names no task", "Allowed: arc_challenge"),
    command(f"task={LONG}", "task=aaa", "names no task"),
    Bad(f"{PLAN} method={LONG}", "method=aaa", "names no method", name="method of 300 letters"),
    command(f"-m experiment={LONG}", "experiment=aaa", "names no experiment"),
    command(f"{LONG}=1", "aaa: there is no such key", "Name one of"),
    command(f"+rate_factors.{LONG}=1", "aaa: there is no such key", "Name one of"),
    command("=1", "=1: there is no such key", "Name one of"),
    command("+=1", "+=1: there is no such key", "Name one of"),
    command("@=1", "@=1: there is no such key", "Name one of"),
    command("experiment=../task/rte", "experiment=../task/rte: names no experiment", "Allowed: "),
    command("-m suite=/etc/passwd", "suite=/etc/passwd: names no suite", "Allowed: "),
    command("trainer=../method/lora", "trainer=../method/lora: names no trainer", "Allowed: "),
    command("-m trainer=embedded,../x", "trainer=embedded,../x: names no trainer", "Allowed: "),
    command("'suite=${seed}'", "suite=${seed}: names no suite", "Allowed: "),
    command("+task=../x", "+task=../x: every run has one task", "Choose it, task=NAME"),
    command("+task=cola", "+task=cola: every run has one task", "Choose it, task=NAME"),
    command("++method@x=lora", "++method@x=lora: every run has one method", "method=NAME"),
    command("method@x=lora", "method@x=lora: goes to a place that no run reads", "Leave the @"),
    command("backbone@x=embedded_vit", "backbone@x=embedded_vit: goes to", "backbones.nlu=NAME"),
    command(
        "+backbone@x._global_.hydra.callbacks.a=embedded_vit",
        "hydra.callbacks.a=embedded_vit: is not used",
        "Leave it out.",
    ),
    command("method.name=lora_matched", "is taken by a method", "Choose that, method=lora"),
    command("method.name=lora", "method.name=lora: is taken by a method", "Choose that"),
    command("-m task.name=mine,cola", "task.name=mine,cola: is taken by a task", "Choose that"),
    cell("method=frdo", "method=frdo", "Did you mean 'frod'?"),
    cell("profile=embeded", "profile=embeded", "Did you mean 'embedded'?"),
    cell("experiment=main_tabl", "experiment=main_tabl", "Did you mean 'main_table'?"),
    command("sede=3", "sede: there is no such key", "Did you mean 'seed'?"),
    cell("trainer.max_step=3", "trainer.max_step:", "Did you mean 'trainer.max_steps'?"),
    command("+foo=1", "foo: there is no such key", "Allowed at the top"),
    cell("+trainer.foo=1", "trainer.foo: there is no such key", "Allowed in trainer"),
    cell("+seed=1", "already at 'seed'", "Leave out the +"),
    command("method=[frod,lora]", "method=[frod,lora]: is a list", "-m method=frod,lora"),
    command("seed=0,1", "seed=0,1", "start it with -m"),
    command("'seed=range(3)'", "seed=range(3)", "start it with -m"),
    cell("task=5", "task=5: names no task", "Allowed: "),
    cell("task.name=../x", "task.name='../x'", "must be a text of letters"),
    cell(f"task.name={LONG}", "task.name='aaa", "at most 100 characters"),
    cell("method.name=x/y", "method.name='x/y'", "must be a text of letters"),
    cell("suite.name=..", "suite.name='..'", "must be a text of letters"),
    cell("task.hub_id=../../etc", "task.hub_id='../../etc'", "must be NAME or OWNER/NAME"),
    cell(f"task.hub_config={LONG}", "task.hub_config='aaa", "at most 255 bytes"),
    cell("task.hub_config=''", "task.hub_config=''", "Name it as the data set's card does"),
)
OF_SEVERAL = (
    *((name, "mapping") for name in ("rate_factors", "runtime", "backbones")),
    *((f"task.{name}", "mapping") for name in ("extra_test_splits", "prompt", "rank", "rows")),
    *((f"method.{name}", "mapping") for name in ("learning_rates", "peft", "options")),
    *((f"task.{name}", "list") for name in ("input_columns", "label_values", "metrics")),
    ("launcher.sbatch", "mapping"),
)
# A mapping or a list that refers to something else.
REFERENCES = tuple(
    cell(f"'{key}=${{{what}}}'", f"{key}=${{{what}}}: must refer to a {kind}", "Set it")
    for key, kind, what in (
        *((name, "mapping", "task.rank") for name in ("rate_factors", "runtime", "backbones")),
        *((f"method.{name}", "mapping", "runtime") for name in ("learning_rates",)),
        ("task.input_columns", "list", "task.rank"),
        ("task.prompt", "mapping", "runtime"),
        ("runtime", "mapping", "launcher"),
        *((key, kind, "seed") for key, kind in OF_SEVERAL),
    )
)
# What each group is, for a word that names none of it.
NULLS = tuple(
    command(f"{group}=null", f"{group}=null: names no {group}", "Allowed: ")
    for group in (
        *("task", "method", "profile", "protocol", "suite", "tracker", "experiment", "trainer"),
        *("learning_rates", "adapter_sizes"),
    )
)
LEFT_OUT = (
    command("~seed", "~seed: cannot be left out", "Set it, seed=VALUE"),
    command("~task", "~task: cannot be left out", "Set it, task=VALUE"),
    command("~trainer", "~trainer: cannot be left out", "Set it"),
    command("~tracker", "~tracker: cannot be left out", "tracker=none"),
    command("~experiment", "~experiment: cannot be left out", "experiment=none"),
    command("~rate_factors.all", "~rate_factors.all: cannot be left out", "Set it"),
    command("~trainer.max_steps", "~trainer.max_steps: cannot be left out", "Set it"),
    command("~backbones.nlu", "has no backbone for the family nlu", "+backbone@backbones.nlu=NAME"),
    command(
        "~learning_rates.nlu", "learning_rates.nlu.frod.lambda: is missing", "conf/learning_rates"
    ),
)
FLAGS = (
    command("--resolve", "--resolve: is read only with --cfg", "Add --cfg job, or leave it out"),
    command("--package foo", "--package: is read only with --cfg", "Add --cfg job"),
    command("--cfg job --package nope", "--package nope: names no part", "e.g. --package trainer"),
    command("--cfg job -p=nope", "--package nope: names no part", "e.g. --package trainer"),
    command("--cfg job --package", "--package : names no part", "e.g. --package trainer"),
    command(
        "--cfg job -p hydra.run", "--package hydra.run: names no part", "e.g. --package trainer"
    ),
    command("--cfg all -p hydra.nope", "--package hydra.nope: names no part", "e.g. --package"),
    command("--cfg all -p hydra.run.x", "--package hydra.run.x: names no part", "e.g. --package"),
    command("--config-dir /tmp", "--config-dir: is not a flag of run", "Allowed: --cfg"),
    command("--config-name nope", "--config-name: is not a flag of run", "Allowed: --cfg"),
    command("--config-path=/tmp", "--config-path: is not a flag of run", "Allowed: --cfg"),
    command("--experimental-rerun x", "--experimental-rerun: is not a flag", "Allowed: --cfg"),
    command("--run", "--run: is not a flag of run", "Allowed: --cfg"),
    command("--shell-completion", "--shell-completion: is not a flag", "Allowed: --cfg"),
    command("-x", "-x: is not a flag of run", "Allowed: --cfg"),
    command("-m --cfg", "--cfg: cannot be combined with -m", "overrides only (key=value)"),
    command("hydra/launcher=ray", "hydra/launcher=ray: is not used", "launcher=ray or"),
    command("-m hydra/launcher=joblib", "hydra/launcher=joblib: is not used", "launcher=submitit"),
    command("-m hydra/sweeper=optuna", "hydra/sweeper=optuna: is not used", "frod-bench tune"),
    command("hydra.verbose=3", "hydra.verbose=3: is not used", "Leave it out."),
    command("hydra.job.name=x", "hydra.job.name=x: is not used", "Leave it out."),
    command("hydra.run.dir=zz", "hydra.run.dir=zz: is not used", "results_root=DIR names"),
    command("hydra.output_subdir=x", "hydra.output_subdir=x: is not used", "Leave it out."),
    command("hydra/job_logging=default", "job_logging=default: is not used", "Leave it out."),
    command("+hydra.callbacks.x._target_=os.system", "os.system: is not used", "Leave it out."),
    command("method@hydra.callbacks=lora", "callbacks=lora: is not used", "Leave it out."),
    command("method@_global_.hydra.x=lora", "hydra.x=lora: is not used", "Leave it out."),
    command("'hydra.searchpath=[file:///x]'", "file:///x]: is not used", "named by its path"),
    command("-m hydra.sweep.dir=zz", "hydra.sweep.dir=zz: is not used", "Leave it out."),
    command("--cfg nope", "--cfg nope: shows nothing", "Allowed: all, hydra, job"),
    command("--cfg", "--cfg: shows nothing", "Allowed: all, hydra, job"),
    command("--cfg=nope", "--cfg nope: shows nothing", "Allowed: all, hydra, job"),
    command("--info nope", "--info nope: shows nothing", "Allowed: all, config"),
    command("hydra.mode=MULTIRUN", "hydra.mode=MULTIRUN: is not used", "-m starts a grid"),
    command("'hydra={mode:MULTIRUN}'", "hydra={mode:MULTIRUN}: is not used", "-m starts a grid"),
    command("-m 'hydra={mode:RUN}'", "hydra={mode:RUN}: is not used", "-m starts a grid"),
    command("~hydra", "~hydra: is not used", "Leave it out"),
    command("hydra.launcher._target_=x", "hydra.launcher._target_=x: is not used", "launcher=ray"),
    command("++hydra.launcher.n_jobs=2", "++hydra.launcher.n_jobs=2: is not used", "launcher=ray"),
    command("'hydra.launcher={_target_:x}'", "hydra.launcher={_target_:x}: is not", "launcher=ray"),
    command("~hydra.launcher", "~hydra.launcher: is not used", "launcher=ray"),
    command("hydra/launcher@hydra.x=basic", "hydra/launcher@hydra.x=basic: is", "launcher=ray"),
    command("-m hydra.sweeper._target_=x", "hydra.sweeper._target_=x: is not used", "-m KEY=a,b"),
    command("hydra.sweeper.max_batch_size=2", "max_batch_size=2: is not used", "-m KEY=a,b"),
    command("+hydra.sweeper.params.seed=0", "params.seed=0: is not used", "-m KEY=a,b makes a"),
    command("+hydra/sweeper/sampler=tpe", "+hydra/sweeper/sampler=tpe: is not", "-m KEY=a,b"),
    command("hydra.nope=3", "hydra.nope=3: is not used", "Leave it out."),
)
GRAMMAR = (
    command("seed", "seed: is not key=value", "Write seed=VALUE"),
    command("seed=a=b", "seed=a=b: cannot be read", "in quotes: \"seed='a=b'\""),
    command("seed=٣", "seed=٣: cannot be read", "in quotes: \"seed='٣'\""),
    command("'seed=[1,2'", "seed=[1,2: cannot be read", "in quotes"),
    command("'seed=choice()'", "seed=choice(): cannot be read", "in quotes"),
    command("'seed=int(x)'", "seed=int(x): cannot be read", "in quotes"),
    command(f"seed={'9' * 5000}", "seed=999", "in quotes"),
    command(f"method.options={'[' * 500}", "method.options=[[[", "in quotes"),
    cell("'method.sparse_rate=${.sparse_rate}'", "method.sparse_rate", "Give it a value"),
    cell("'method.sparse_rate=${nope.x}'", "method.sparse_rate", "Give it a value"),
    cell("'method.sparse_rate=${rate:}'", "method.sparse_rate", "Give it a value"),
    command("'seed=${nope:1}'", "seed: ", "Unsupported interpolation type nope"),
    command(
        "'results_root=${results_root}'", "results_root: cannot be resolved", "Give it a value"
    ),
)
TYPES = (
    command("seed=many", "seed: Value 'many'", "Give it a whole number"),
    cell("seed=", "seed: Value ''", "Give it a whole number"),
    cell("seed=1.5", "seed: Value '1.5'", "Give it a whole number"),
    command("seed=true", "seed: Value 'True'", "Give it a whole number"),
    cell("seed=nan", "seed: Value 'nan'", "Give it a whole number"),
    command("seed=null", "seed: ", "null is not allowed"),
    cell("trainer.max_steps=many", "trainer.max_steps: Value 'many'", "Give it a whole number"),
    cell("trainer.weight_decay=much", "trainer.weight_decay: Value 'much'", "Give it a number"),
    cell("pretrained=perhaps", "pretrained: Value 'perhaps'", "Give it true or false"),
    cell("backbones=null", "backbones: ", "null is not allowed"),
    cell("backbones.nlu=null", "backbones.nlu: ", "null is not allowed"),
    cell("runtime=null", "runtime: ", "null is not allowed"),
    cell("method.learning_rates=null", "method.learning_rates: ", "null is not allowed"),
    cell("method.peft=3", "method.peft: Cannot assign int", "Set its keys one by one"),
    cell("task.metrics=accuracy", "task.metrics: ", "Give it a list"),
    cell("task.input_columns=null", "task.input_columns: ", "null is not allowed"),
    cell("results_root=null", "results_root: ", "null is not allowed"),
)
RANGES = (
    cell("trainer.weight_decay=inf", "trainer.weight_decay=inf", "must be in [0, inf)"),
    cell("trainer.clip_norm=nan", "trainer.clip_norm=nan", "must be in (0, inf)"),
    cell("trainer.epochs=inf", "trainer.epochs=inf", "must be in (0, inf)"),
    cell("trainer.max_steps=0", "trainer.max_steps=0", "must be in [1, 2147483648]"),
    cell("trainer.batch_rows=100000000000000", "trainer.batch_rows=1000", "must be in [1, "),
    cell("trainer.warmup_percent=101", "trainer.warmup_percent=101", "must be in [0, 100]"),
    cell("trainer.schedule=cosin", "trainer.schedule=cosin", "Did you mean 'cosine'?"),
    cell("trainer.mixed_precision=fp8", "trainer.mixed_precision=fp8", "Allowed: bf16"),
    cell("seed=-1", "seed=-1", "must be in [0, 2147483648]"),
    cell("seed=99999999999999999999", "seed=9999", "must be in [0, 2147483648]"),
    cell("method.sparse_rate=2", "method.sparse_rate=2.0", "must be in [0, 1]"),
    cell("method.regularization=0", "method.regularization=0.0", "must be in (0, inf)"),
    cell("method.kind=loar", "method.kind=loar: is unknown", "Allowed: bitfit"),
    cell("method.learning_rates.head=-1", "method.learning_rates.head=-1.0", "must be in [0, inf)"),
    cell("method.learning_rates.head=nan", "method.learning_rates.head=nan", "must be in"),
    cell("rate_factors.all=nan", "rate_factors.all=nan", "must be in [0, inf)"),
    cell(
        "rate_factors.all=1e308 rate_factors.head=1e308",
        "method.learning_rates.head=inf",
        "must be a finite number",
    ),
    cell("+rate_factors.body=2", "rate_factors.body: is unknown", "Allowed: adapter"),
    cell("protocol.validation_percent=nan", "protocol.validation_percent=nan", "[0, 90]"),
    cell("protocol.validation_percent=0", "protocol.validation_percent=0", "Set a share, or"),
    cell(
        "protocol=paper protocol.metrics_split=validation",
        "protocol.validation_percent=0: metrics_split is validation",
        "protocol.metrics_split=test",
    ),
    cell("protocol.curve_split=train", "protocol.curve_split=train", "Allowed: test, validation"),
    cell("runtime.device=gpu", "runtime.device=gpu", "must be auto, cpu, cuda or cuda:N"),
    cell("runtime.cell_minutes=0", "runtime.cell_minutes=0.0", "must be in (0, inf)"),
    cell("runtime.jobs=1000000", "runtime.jobs=1000000", "must be in [0, 4096]"),
    cell("backbones.nlu.pooling=max", "backbones.nlu.pooling=max", "Did you mean 'mean'?"),
    cell("backbones.nlu.max_length=-1", "backbones.nlu.max_length=-1", "must be in [0, "),
    cell("backbones.nlu.modules_per_block=0", "backbones.nlu.modules_per_block=0", "in [1, "),
    cell(
        "task=eurosat backbones.vision.image_size=1000000",
        "backbones.vision.image_size=1000000",
        "must be in [0, 16384]",
    ),
    cell("tracker.mode=sideways", "tracker.mode=sideways", "Allowed: disabled, offline, online"),
    cell("figures.style=poster", "figures.style=poster", "Did you mean 'paper'?"),
    cell("save=all", "save=all: is unknown", "Allowed: adapter, none"),
    cell("head=rank", "head=rank: task rte of family nlu", "Set head=classify"),
    cell("size=99", "size=99: is read by no setting", "Leave it out, or name one that does"),
)
TASKS = (
    cell("task.metrics=[bogus]", "task.metrics=[bogus]: unknown metric 'bogus'", "Allowed: accur"),
    cell("task.metrics=[]", "task.metrics=[]", "Name one"),
    cell("task.metrics=[accuracy,accuracy]", "accuracy is named twice", "Name it once"),
    cell(
        "task=stsb task.metrics=[accuracy] task.primary_metric=accuracy",
        "accuracy is of classes",
        "Use pearson or spearman",
    ),
    cell("task=mnli task.metrics=[f1] task.primary_metric=f1", "task.metrics=[f1]", "Use accuracy"),
    cell(
        "task.primary_metric=f1",
        "task.primary_metric=f1: is not one of task.metrics, accuracy",
        "Name one of these",
    ),
    cell(
        "task.test_split=train",
        "task.test_split=train: is the split that the run trains on",
        "Name one with other rows",
    ),
    cell("task.train_split=validation", "task.test_split=validation", "Name one with other rows"),
    cell("+task.extra_test_splits.more=train", "task.extra_test_splits.more=train", "other rows"),
    cell("+task.extra_test_splits.test=x", "task.extra_test_splits.test", "another name"),
    cell("task.num_labels=0", "task.num_labels=0", "must be in [1, 100000]"),
    cell("task.num_labels=1000000000000", "task.num_labels=1000", "must be in [1, 100000]"),
    cell("task.family=sound", "task.family=sound", "Allowed: nlu, reasoning, vision"),
    cell("task.family=vision", "task.input_columns=['sentence1', 'sentence2']", "needs one column"),
    cell("task.input_columns=[]", "task.input_columns=[]", "needs one or two columns"),
    cell("task.input_columns=[label]", "task.input_columns=['label']", "Remove that column"),
    cell("backbones.nlu.max_length=0", "backbones.nlu.max_length=0", "Set it, or choose"),
    cell("task=eurosat backbones.vision.image_size=0", "backbones.vision.image_size=0", "Set it"),
    cell("task=boolq task.prompt=null", "task.prompt: task boolq", "Give it a template"),
    cell(
        "task=boolq 'task.prompt.template=\"{x.y}\"'",
        "task.prompt.template: '{x.y}'",
        "Allowed is the name of a column",
    ),
    cell("task=boolq 'task.prompt.template=\"{x\"'", "task.prompt.template: '{x'", "Write {{"),
    cell(
        "task=boolq head=rank task.rank.options=[no]", "task.rank.options=['no']", "one per class"
    ),
)
METHODS = (
    cell("method=lora method.peft.lora_alpha=nan", "method.peft.lora_alpha=nan", "finite number"),
    cell(
        "method=lora '+method.peft.rank_pattern={a:nan}'",
        "method.peft.rank_pattern.a=nan",
        "must be a finite number",
    ),
    cell(
        "method=lora '+method.peft.rank_pattern={1:2}'",
        "method.peft.rank_pattern.1",
        "Put it in quotes",
    ),
    cell(f"method=lora method.peft.lora_alpha={'9' * 30}", "method.peft.lora_alpha=999", "at most"),
    cell(
        "method=lora '+method.peft.target_modules=[1]'",
        "method.peft.target_modules=[1]",
        "must be a list of names of layers",
    ),
    cell("method=lora +method.peft.target_modules=5", "target_modules=5", "Its linear layers"),
    cell("method=lora '+method.peft.target_modules=[null]'", "[None]", "Its linear layers"),
    cell("method=lora '+method.peft.target_modules=[]'", "target_modules=[]", "Its linear layers"),
    cell("method=lora method.peft.r=99999999999", "'r': 99999999999", "Choose a smaller rank"),
    cell("method=vera method.peft.r=99999999", "'r': 99999999", "Choose a smaller rank"),
    cell(
        "method=lora '+method.peft.rank_pattern={query:99999999999}'",
        "{'query': 99999999999}",
        "Choose a smaller rank",
    ),
    Bad(
        f"{RUN} method=lora method.peft.r=99999999999",
        "'r': 99999999999",
        "more memory than this machine has",
    ),
    cell("method.source=abc", "method.source=abc", "Leave it out"),
    cell("method.apply=os:system", "method.apply=os:system", "remove method.apply"),
    cell("learning_rates.nlu=3", "learning_rates.nlu=3", "See the files of conf/learning_rates"),
    cell("method=lora adapter_sizes.nlu=3", "adapter_sizes.nlu=3", "See the files of"),
    cell("suite.tasks=3", "suite.tasks=3", "must be a list of the names of tasks"),
    cell("'profile.title=\"\"'", "profile.title=''", "Write such a title"),
)
# These build the backbone without values, which imports torch.
PEFT = (
    cell("method=lora method.peft.r=abc", "method.peft.r=abc", "must be a number"),
    cell("method=lora method.peft.r=null", "method.peft.r=None", "must be a number"),
    cell("method=lora method.peft.r=0", "method.peft: PEFT refuses", "Change the argument"),
    cell("method=lora method.peft.r=2.5", "method.peft: PEFT refuses", "Change the argument"),
    cell("method=lora +method.peft.use_dora=maybe", "method.peft.use_dora=maybe", "true or false"),
    cell(
        "method=lora method.peft._target_=os.system",
        "method.peft._target_=os.system",
        "Allowed: peft.AdaLoraConfig",
    ),
    cell("method=lora +method.peft.rank=4", "method.peft.rank=4", "Did you mean"),
    cell("method=lora +method.peft.megatron_core=os", "method.peft.megatron_core=os", "Remove it"),
    cell("method=lora +method.peft.target_modules=[nowhere]", "'nowhere' matches", "expected a"),
    cell("+method.learning_rates.body=1", "method.learning_rates.body", "Allowed: head, lambda"),
    cell("~method.learning_rates.head", "method.learning_rates.head is missing", "learning rate"),
    cell("backbones.nlu.target_modules=[nope]", "backbone.target_modules=['nope']", "are called"),
    cell("task=boolq method=bitfit", "method=bitfit: trains biases", "Choose another method"),
    cell("method.basis=svd method.shared_side=smaller", "shared_side='smaller'", "Use shared_side"),
)
PLACES = (
    cell("results_root=", "results_root=''", "Name such a folder"),
    cell(f"results_root={LONG}", "results_root='aaa", "Name such a folder"),
    cell(f"results_root={'aaaa/' * 900}", "results_root='aaaa/", "Name such a folder"),
    command(
        "results_root=s3://bucket/x", "results_root='s3://bucket/x': is an address", "Name such"
    ),
    command(
        "results_root=~nobody_at_all/x", "results_root=~nobody_at_all/x", "Write the folder out"
    ),
    cell("results_root=/tmp/é", "results_root=/tmp/é: cannot be read", "'/tmp/é'"),
    cell("data_root=", "data_root=''", "Name such a folder"),
    cell("data_root=hf://datasets/x", "data_root='hf://datasets/x': is an address", "Name such a"),
    cell("data_root=/nowhere", "data_root=/nowhere: has no data set 'nyu-mll/glue'", "Put a snap"),
    cell("model_root=/nowhere", "model_root=/nowhere: has no backbone 'encoder'", "Put a snapshot"),
    cell(f"method={LONG}.yaml", "there is no file", "Name an existing one"),
    Bad(
        "run task=rte tracker=none results_root=/proc/nowhere",
        "results_root=/proc/nowhere: /proc",
        "Name a folder that you may write to",
    ),
)
GRIDS = (
    command("-m method=full,frdo", "method=frdo", "Did you mean 'frod'?"),
    command("-m task=rte,null", "task=rte,null: names no task", "Allowed: "),
    command("-m 'seed=range(0,10,0)'", "seed=range(0,10,0): is not a range", "a step other than 0"),
    command("-m 'seed=range(0)'", "seed=range(0): has no value in it", "Name some"),
    command("-m 'seed=range(3,0)'", "seed=range(3,0): has no value in it", "Name some"),
    command("-m 'seed=range(0,1e400)'", "seed=range(0,1e400): is not a range", "finite ends"),
    command(
        "-m 'seed=range(1000000000000)' task=rte,mrpc",
        "seed=range(1000000000000): the grid has 2,000,000,000,000 runs",
        "Name fewer values",
    ),
    command("-m 'seed=interval(0,1)'", "seed=interval(0,1): cannot be listed", "Name each value"),
    command("-m 'task=glob(*)'", "task=glob(*): cannot be listed", "Name each value"),
    command("-m seed=0,x", "seed: Value 'x'", "Give it a whole number"),
    command("-m seed=0,-1", "seed=-1", "must be in [0, 2147483648]"),
    command("-m ~seed", "~seed: cannot be left out", "seed=VALUE"),
    command("-m results_root=A,B", "results_root=A,B: a grid has one results_root", "Name one"),
    Bad(
        "run -m task=rte,cola method=frozen 'results_root=${task.name}' plan_only=true",
        "results_root: differs between the runs of this grid",
        "Give it a value that refers to no other key",
    ),
    command(
        "-m seed=20,30 'runtime.cell_minutes=${seed}'", "runtime.cell_minutes: differs", "Give it"
    ),
    command("-m seed=1,2 'runtime.jobs=${seed}'", "runtime.jobs: differs", "Give it a value"),
    command("-m 'seed=\"1=2\",3'", "seed: Value '\"1=2\"'", "Give it a whole number"),
    command("-m data_root=A,B", "data_root=A,B: a grid has one data_root", "Name one"),
    command("-m runtime.jobs=1,2", "runtime.jobs=1,2: a grid has one runtime.jobs", "Name one"),
    command(
        "-m plan_only=true,false", "plan_only=true,false: a grid has one plan_only", "Name one"
    ),
    command("-m tracker=none,wandb", "tracker=none,wandb: a grid has one tracker", "Name one"),
    command("-m suite=smoke,glue", "suite=smoke,glue: a grid has one suite", "Name one"),
    command("-m experiment=ablation,capacity", "experiment=ablation,capacity: a grid", "Name one"),
    command("-m experiment=budget_curve size=99", "size=99: is out of range", "must be in [0, 5]"),
    Bad("run -m experiment=main_table suite.tasks=[]", "suite.tasks=[]", "must be a list"),
    Bad("run -m experiment=main_table suite.tasks=rte", "suite.tasks=rte", "named by task=rte"),
    Bad("run -m experiment=main_table suite.tasks=[nope]", "task=nope", "Allowed: "),
    command(
        "-m experiment=tune", "experiment=tune: is a search", "frod-bench tune experiment=tune"
    ),
    command(
        "-m experiment=capacity method.sparse_rate=0.02,0.3",
        "learning_rates.nlu: has none for frod (s 0.3)",
        "Search them first",
    ),
)

CASES = (
    *NAMES,
    *REFERENCES,
    *NULLS,
    *LEFT_OUT,
    *FLAGS,
    *GRAMMAR,
    *TYPES,
    *RANGES,
    *TASKS,
    *METHODS,
    *PEFT,
    *PLACES,
    *GRIDS,
)
