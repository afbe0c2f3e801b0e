# noisebench: every target sets up what it needs and may be typed again at any time. `make help` lists them.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
SHELL := /bin/bash

PYTHON ?= python3
# The last MXNet runs on Python 3.11 at most.
MXNET_PYTHON ?= python3.11
SUITE ?= synth
NOISE ?= closed30
METHODS ?=
SEEDS ?=
DATA ?=
OUTLIERS ?=
NPROC ?= 1
READER ?= native
RESULTS ?= results
OUT ?= $(RESULTS)/noise/$(NOISE).parquet
TORCH_INDEX ?=

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
MXNET_READY := .venv-mxnet/.ready
FACES := data/faces-240x24-seed0

given = $(if $(2),$(1) "$(2)")

.PHONY: help setup bench noise table figures report reference test coverage lint docs format benchmark mxnet-env clean

help: ## show this
	@printf 'noisebench: face recognition under label noise\n\n'
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@printf '\n  Knobs (NAME=value after the target):\n'
	@printf '  NOISE=%-12s noise recipe, or several with commas; see: $(BIN)/noisebench list noise\n' '$(NOISE)'
	@printf '  SUITE=%-12s data, backbone and training; see: $(BIN)/noisebench list suites\n' '$(SUITE)'
	@printf '  METHODS=a,b        methods to compare; default: those of the suite\n'
	@printf '  SEEDS=0,1,2        training seeds; default: those of the suite\n'
	@printf '  DATA=folder        a RecordIO set or a folder of images, with *.bin beside, or several: a,b; default: that of the suite\n'
	@printf '  OUTLIERS=folder    RecordIO set for open-set noise; default: DATA/outliers\n'
	@printf '  NPROC=%-12s processes a run is trained with\n' '$(NPROC)'
	@printf '  READER=%-11s native, or mxnet where it is installed\n' '$(READER)'
	@printf '  RESULTS=%-10s folder of runs, tables, figures and the report\n' '$(RESULTS)'
	@printf '  OUT=file           of make noise; default: RESULTS/noise/NOISE.parquet\n'
	@printf '  TORCH_INDEX=url    package index to take torch from, such as that of its CPU wheels (no CUDA, 10x smaller)\n'
	@printf '  PYTHON=python3.12  interpreter of the virtual environment, 3.11 or later\n'

setup: $(READY) ## make .venv with everything pinned (other targets do it by themselves)

$(READY): setup.cfg pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "noisebench needs Python 3.11 or later; $(PYTHON) is older. Name another: make PYTHON=python3.12 ..." >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check torch==2.13.0 -c constraints.txt $(call given,--index-url,$(TORCH_INDEX))
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

bench: $(READY) ## train and compare methods under NOISE; finished runs are not run again
	@$(BIN)/noisebench bench --suite "$(SUITE)" --noise "$(NOISE)" --results "$(RESULTS)" --nproc "$(NPROC)" --reader "$(READER)" \
		$(call given,--methods,$(METHODS)) $(call given,--seeds,$(SEEDS)) $(call given,--data,$(DATA)) $(call given,--outliers,$(OUTLIERS))

noise: $(READY) $(if $(DATA),,$(FACES)) ## write the manifest of a noisy set: NOISE over DATA, to OUT
	@$(BIN)/noisebench data noise "$(NOISE)" --data "$(or $(DATA),$(FACES))" --out "$(OUT)" $(call given,--outliers,$(OUTLIERS))

$(FACES): | $(READY)
	@$(BIN)/noisebench data faces $@

table: $(READY) ## print and write the comparison tables of all runs
	@$(BIN)/noisebench table --results "$(RESULTS)"

figures: $(READY) ## draw the figures of all runs
	@$(BIN)/noisebench figures --results "$(RESULTS)"

report: $(READY) ## write all of it into one HTML file, RESULTS/report.html
	@$(BIN)/noisebench report --results "$(RESULTS)"

REFERENCE_NOISE := clean,closed10,closed30,closed50,open30,c20o20
REFERENCE_METHODS := softmax,cosface,arcface,curricularface,magface,adaface,elasticface,subcenter_arcface,boundaryface,boundaryf1,robustface,mv_arc_boundaryface,noise_tolerant_short

reference: $(READY) ## make results/reference, or go on with it: 13 methods, 6 noises, 3 seeds; hours
	@$(BIN)/noisebench bench --suite synth --noise $(REFERENCE_NOISE) --methods $(REFERENCE_METHODS) --seeds 0,1,2 \
		--results results/reference --jobs 2

test: $(READY) ## run all tests, a process a core
	$(BIN)/pytest -n auto --dist loadfile --no-loadscope-reorder

coverage: $(READY) ## run all tests and name the lines that none of them runs; fails below 90 %
	$(BIN)/pytest -n auto --dist loadfile --no-loadscope-reorder --cov

lint: $(READY) ## check style and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

docs: $(READY) ## build the documentation as a site, build/site/index.html; nothing is fetched
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet && \
		echo "wrote build/site/index.html; its search needs a server: python3 -m http.server -d build/site"

format: $(READY) ## put code into the house style
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

benchmark: $(READY) ## print speed and memory as ratios to peers and floors, and errors; best on a quiet machine
	@for topic in $(patsubst benchmarks/%.py,%,$(filter-out %/__init__.py,$(wildcard benchmarks/*.py))); do \
		printf '\n# %s\n' "$$topic" && $(BIN)/python -m "benchmarks.$$topic" || exit 1; done

mxnet-env: $(MXNET_READY) ## make .venv-mxnet, where MXNet itself runs: the oracle of the RecordIO tests

$(MXNET_READY): setup.cfg constraints-mxnet.txt
	$(MXNET_PYTHON) -m venv .venv-mxnet
	.venv-mxnet/bin/pip install --quiet --disable-pip-version-check torch==2.13.0 -c constraints-mxnet.txt $(call given,--index-url,$(TORCH_INDEX))
	.venv-mxnet/bin/pip install --quiet --disable-pip-version-check -c constraints-mxnet.txt -e '.[mxnet]'
	@touch $@

clean: ## remove environments and caches; runs and data stay
	rm -rf $(VENV) .venv-mxnet build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
