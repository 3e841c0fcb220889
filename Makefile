# make demo: set up and run the whole pipeline on config.yaml.   make test: the tests.   make help: the rest.
PYTHON ?= python3
BIN := .venv/bin
PROMPT ?= What is an algorithm?
export PROMPT
.DEFAULT_GOAL := help
.PHONY: help setup validators peers readers bench gpu demo demo-smollm2 test test-cluster test-all lint lock ask serve clean

help:           ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*##/ —/'

setup: .venv/.runtime  ## a virtual environment with the pinned packages of envs/runtime.lock

# Torch comes first and by itself: pip then takes the build that this machine is configured for. Bytecode is written by all
# cores at the end, where pip would write it on one; some packages hold files that Python 3 cannot compile, which is no matter.
.venv/.runtime: envs/runtime.lock
	@echo "setting up .venv from envs/runtime.lock (some minutes, once)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "error: Python 3.11 or newer is needed, this is " + sys.version.split()[0])'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --no-compile torch==2.13.0
	$(BIN)/pip install --quiet --disable-pip-version-check --no-compile --no-deps --require-hashes -r envs/runtime.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@$(BIN)/python -m compileall -qq -j 0 .venv/lib || true
	@touch $@

.venv/.dev: .venv/.runtime envs/dev.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r envs/dev.lock
	@touch $@

# Independent readers of what a run says about itself; they pin other versions than the pipeline does.
.venv/validators/.done: .venv/.runtime envs/validators.lock
	$(PYTHON) -m venv .venv/validators
	.venv/validators/bin/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r envs/validators.lock
	.venv/validators/bin/python envs/contexts.py .venv/validators/contexts
	@touch $@

validators: .venv/validators/.done  ## roc-validator, runcrate, mlcroissant in an environment of their own, for the tests

.venv/peers/.done: .venv/.runtime envs/peers.lock
	$(PYTHON) -m venv .venv/peers
	.venv/peers/bin/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r envs/peers.lock
	@touch $@

peers: .venv/peers/.done  ## datatrove, rensa and others in an environment of their own, for benchmarks/

.venv/readers/.done: .venv/.runtime envs/readers.lock
	$(PYTHON) -m venv .venv/readers
	.venv/readers/bin/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r envs/readers.lock
	@touch $@

readers: .venv/readers/.done  ## llama.cpp in an environment of its own (compiled: minutes), for tests of exports

bench: peers    ## stages 1 to 3 beside their peers: what must hold, and whether it does
	$(BIN)/snakemake raw
	$(BIN)/python benchmarks/data.py

gpu: setup      ## on a machine with a GPU: does that path work, and how fast (docs/gpu.md)
	@$(BIN)/python -c 'import torch; assert torch.cuda.is_available()' 2>/dev/null || { \
	  echo "error: .venv has no torch that sees a GPU; install one built for CUDA into it, then what benchmarks/gpu.txt lists"; exit 2; }
	$(BIN)/python -m benchmarks.gpu

demo: setup     ## set up and run the main job: raw text in, a quantized, aligned model out
	$(BIN)/snakemake

demo-smollm2: setup  ## import SmolLM2-135M-Instruct, align, quantize and ask it: a model worth talking to
	$(BIN)/snakemake --configfile presets/smollm2.yaml

test: .venv/.dev validators  ## the tests (under 15 minutes on two cores)
	$(BIN)/python -m pytest -n 3 -m "not thorough and not slow and not cluster"

test-cluster: .venv/.dev  ## those on a real Slurm, which they bring up: needs root, slurm-wlm and munge
	$(BIN)/python -m pytest -m cluster

test-all: .venv/.dev validators  ## the thorough and the slow ones and those on Slurm too
	$(BIN)/python -m pytest

lint: .venv/.dev  ## ruff, snakefmt, mypy, snakemake --lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --no-sort --check Snakefile rules
	$(BIN)/mypy
	$(BIN)/python .ci/lint_workflow.py

lock: setup     ## resolve envs/*.in anew into envs/*.lock (FIND_LINKS: a folder with a CPU build of torch)
	$(BIN)/pip install --quiet uv
	cd envs && for name in runtime dev validators peers readers; do \
	  ../$(BIN)/uv pip compile --quiet --python ../$(BIN)/python $${FIND_LINKS:+--find-links $$FIND_LINKS} \
	    --generate-hashes --no-emit-package torch --no-header --no-annotate -o $$name.lock $$name.in; done

ask:            ## answer PROMPT with the quantized model: make ask PROMPT="What is an algorithm?"
	@test -f results/quantized/int8/manifest.json || { echo "error: there is no model yet; run make demo first"; exit 2; }
	@$(MAKE) --no-print-directory --quiet setup
	@answers=$$(mktemp) && $(BIN)/python scripts/deploy/generate.py --quantized results/quantized/int8 \
	  --prompts "$$($(BIN)/python -c 'import json, os; print(json.dumps([os.environ["PROMPT"]]))')" \
	  --answers $$answers >/dev/null && $(BIN)/python -c 'import json, sys; print(json.load(open(sys.argv[1]))[0]["answer"])' \
	  $$answers; status=$$?; rm -f $$answers; exit $$status

serve: setup    ## a chat page and an OpenAI-compatible API for the models in results/; prints its address (OPTIONS=--help)
	@$(BIN)/python -m llm.deploy.serve.server $(OPTIONS)

clean:          ## remove what was built from results/; the store keeps it, what is not the engine's stays
	@$(BIN)/python -m stemma clean
