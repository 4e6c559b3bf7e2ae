# frod_bench: `make reproduce-all` runs the main job, `make test` the tests; both create .venv first.
VENV    := .venv
BIN     := $(VENV)/bin
PYTHON  ?= $(if $(realpath $(BIN)/python),$(BIN)/python,python3)
PROFILE ?= embedded
SUITE   ?= paper20
METHODS ?= full,lora,dora,frod,frozen
SEEDS   ?= 0,1,2
HEAD    ?= classify
JOBS    ?= 0
LAUNCHER ?= local
RESULTS ?= results
DEVICE  ?= cpu
TRACKER ?=
LOCKED  ?=
EXTRAS  ?= $(if $(filter ray,$(LAUNCHER)),ray,$(if $(filter submitit,$(LAUNCHER)),slurm))
DATA_ROOT  ?=
MODEL_ROOT ?=
KILLS   ?= 100
MODES   ?=
SEED    ?= 0
MANY_SEEDS ?= 100

EXPERIMENT = experiment=main_table
PLACES = results_root=$(RESULTS) $(if $(DATA_ROOT),data_root=$(DATA_ROOT)) $(if $(MODEL_ROOT),model_root=$(MODEL_ROOT))
GRID = $(EXPERIMENT) profile=$(PROFILE) suite=$(SUITE) 'method=$(METHODS)' 'seed=$(SEEDS)' head=$(HEAD) $(PLACES) $(if $(TRACKER),tracker=$(TRACKER))
REPORT = $(BIN)/python -m frod_bench.report

.DEFAULT_GOAL := help
.PHONY: help setup reproduce-all smoke verify tables plots report test lint audit bench bench-scale chaos clean

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "Variables: PROFILE=$(PROFILE) SUITE=$(SUITE) METHODS=$(METHODS) SEEDS=$(SEEDS) JOBS=$(JOBS) (0: one per GPU, or core)"
	@echo "           HEAD=$(HEAD) (auto: rank if a task has options) RESULTS=$(RESULTS) DATA_ROOT= MODEL_ROOT= (local mirrors)"
	@echo "           LAUNCHER=$(LAUNCHER) (ray: a Ray cluster; submitit: jobs of Slurm)"
	@echo "           TRACKER=$(TRACKER) (none: no wandb) LOCKED=$(LOCKED) (1: the exact versions of constraints.txt)"

INSTALLED = $(VENV)/.installed$(if $(LOCKED),-locked)

# pip would compile what it installs on one core, which is half of its work; compileall uses all
# cores. Files that it cannot compile, such as templates, are never imported.
# An environment of another version of Python than PYTHON's, or of one that is gone, is removed: it
# would keep its interpreter, and get the packages of this one.
VERSION = -c 'import sys; print(sys.version_info[:2])'
$(INSTALLED): pyproject.toml $(if $(LOCKED),constraints.txt)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "$(PYTHON) is older than Python 3.11, which is needed. Name a newer one: make setup PYTHON=python3.11")'
	@[ ! -d $(VENV) ] || [ "$$($(BIN)/python $(VERSION) 2>&1)" = "$$($(PYTHON) $(VERSION))" ] || rm -rf $(VENV)
	@[ -x $(BIN)/pip ] || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --no-compile $(if $(LOCKED),--constraint constraints.txt) -e '.[dev]'
	@$(BIN)/python -m compileall -qq -j 0 $(VENV)/lib || true
	@rm -f $(VENV)/.installed*
	@touch $@ $(VENV)/.installed  # a locked environment is an installed one, too: no later target needs an index

comma := ,
FOR_EXTRAS = $(if $(EXTRAS),$(VENV)/.extras-$(subst $(comma),-,$(EXTRAS))$(if $(LOCKED),-locked))

$(VENV)/.extras-%: $(INSTALLED)
	$(BIN)/pip install --quiet --disable-pip-version-check $(if $(LOCKED),--constraint constraints.txt) -e '.[$(EXTRAS)]'
	@touch $@ $(VENV)/.extras-$(subst $(comma),-,$(EXTRAS))

setup: $(INSTALLED) $(FOR_EXTRAS)  ## create .venv and install the suite (LOCKED=1: versions of constraints.txt; EXTRAS=ray,slurm)

reproduce-all: setup  ## main job: run the missing cells, then write tables, figures and page
	@$(BIN)/python -m frod_bench.reproduce $(GRID) runtime.jobs=$(JOBS) launcher=$(LAUNCHER)

smoke: setup  ## the main job on 3 tasks, one per family, with one seed: results/smoke
	@$(MAKE) --no-print-directory reproduce-all SUITE=smoke SEEDS=0 RESULTS=$(RESULTS)/smoke

verify: setup  ## run twelve cells of the published run again and compare them
	@$(BIN)/python -m frod_bench verify runtime.jobs=$(JOBS) launcher=$(LAUNCHER)

tables: setup  ## write the tables from the existing records
	@$(REPORT) tables $(GRID)

plots: setup  ## draw the figures from the existing records
	@$(REPORT) plots $(GRID)

report: setup  ## tables, figures, and report.html: one page without external files
	@$(REPORT) all $(GRID)

test: setup  ## run the tests
	@$(BIN)/python -m pytest -n 2 --dist worksteal

lint: setup  ## check style, types and the order of imports
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

audit: setup  ## look the pinned versions up in the published advisories, if there is a network
	@$(BIN)/python -m tools.audit

bench: setup  ## time FRoD and the other methods (DEVICE=cuda: on a GPU); half an hour on two cores
	@$(BIN)/python -m frod_bench.bench device=$(DEVICE) results_root=$(RESULTS)

bench-scale: setup  ## time plan, scan and report of MANY_SEEDS=100 times 100 synthetic records
	@$(BIN)/python -m tools.scale seeds=$(MANY_SEEDS)

chaos: setup  ## kill processes of short sweeps KILLS=100 times, by SEED=0, and count what that costs
	@$(BIN)/python -m tools.chaos kills=$(KILLS) seed=$(SEED) $(if $(MODES),modes=$(MODES))

clean:  ## remove .venv, build files and caches (records stay)
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -not -path './$(VENV)/*' -exec rm -rf {} +
