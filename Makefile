# All set-up happens by itself: every target that needs the environment depends on $(READY).
# Not older than 3.11.5: redaction relies on possessive patterns, which older `re` takes wrongly.
PYTHON ?= $(shell for one in python3.11 python3.12 python3.13 python3; do \
	$$one -c 'import sys; sys.exit(sys.version_info < (3, 11, 5))' 2>/dev/null && command -v $$one && break; done)
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.PHONY: help setup demo test format lint types unit nightly bench reference clean

help:            ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(READY): pyproject.toml constraints.txt
	@$(if $(PYTHON),$(PYTHON),false) -c 'import sys; sys.exit(sys.version_info < (3, 11, 5))' || { \
		echo "make: no Python 3.11.5 or newer found; name one: make PYTHON=/path/to/python3.11 …" >&2; exit 1; }
	@echo "setting up $(VENV) (once; about a minute)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

setup: $(READY)  ## make the virtual environment

demo: $(READY)   ## a raw capture is imported, served, recorded again and compared
	@$(BIN)/python tests/examples/demo.py

test: format lint types unit  ## format, lint, types and tests: what must pass before a commit

format: $(READY)
	$(BIN)/ruff format --check .

lint: $(READY)
	$(BIN)/ruff check .

types: $(READY)
	$(BIN)/mypy

unit: $(READY)
	@# Tests start hundreds of processes, which would each compile all again where no bytecode is written.
	@$(BIN)/python -m compileall -q recorder replayer fake_server tests
	$(BIN)/python -m pytest -q -n auto -m "not nightly" $(PYTEST_ARGS)

nightly: $(READY) ## what is long: big hypothesis profiles, big files, many repetitions
	HYPOTHESIS_PROFILE=nightly $(BIN)/python -m pytest -q -n auto -o faulthandler_exit_on_timeout=false $(PYTEST_ARGS)

bench: $(READY)  ## benchmarks beside their peers, as a table and in build/bench.json
	@$(BIN)/python -m tests.benchmarks

reference: $(READY) ## docs/commands.md, made from the commands
	@$(BIN)/python -m tests.examples.command_reference

clean:           ## remove what these targets made
	rm -rf $(VENV) build dist .hypothesis .mypy_cache .pytest_cache .ruff_cache
