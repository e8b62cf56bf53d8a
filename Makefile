# Every target begins with `setup`, so a fresh clone needs nothing but Python 3.11+, git and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint format wheel bench damage simulate soak fuzz mutants clean

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY)  ## make .venv with everything that the other targets need

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("Holdfast needs Python 3.11 or newer; say make PYTHON=python3.12 ..." if sys.version_info < (3, 11) else 0)'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "setting up $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@if command -v krb5-config >/dev/null; then $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[kerberos]' 2>/dev/null || echo "gssapi cannot be had here: the Kerberos tests are skipped"; fi
	@touch $@

demo: setup  ## watch the main job: four emulated backends, an outage, a crash (about a minute)
	@$(BIN)/python -m tests.demo

lint: setup  ## format, lint, strict types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Four on two cores: a good part of the tests waits for another process.
test: lint  ## every check, and all tests
	$(BIN)/python -m pytest --numprocesses 4 --dist worksteal

format: setup  ## put the code into the project's format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

wheel: setup  ## build the wheel into dist/
	$(BIN)/python -m build --wheel .

bench: setup  ## measure outbox and cache beside raw SQLite and files (minutes)
	$(BIN)/python -m tests.benchmarks.outbox
	$(BIN)/python -m tests.benchmarks.cache

damage: setup  ## damage every page of a database in every way, and see what is saved (minutes)
	ALL_PAGES=1 $(BIN)/python -m pytest --numprocesses 2 tests/integration/test_damage.py

MINUTES ?= 10
SEED ?=

soak: setup  ## trouble of every kind over the real agent: make soak MINUTES=10 SEED=7
	@$(BIN)/python -m tests.soak --minutes $(MINUTES) $(if $(SEED),--seed $(SEED))

fuzz: setup  ## any bytes at spool, socket and settings: make fuzz MINUTES=10
	@$(BIN)/python -c 'import atheris' 2>/dev/null || $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[fuzz]' || echo "atheris cannot be had here"
	@$(BIN)/python -m tests.fuzz --minutes $(MINUTES)

mutants: setup  ## break thirty critical lines one by one; each has to fail its test (minutes)
	@$(BIN)/python -m tests.mutants

simulate: setup  ## 200 to 10,000 agents after an outage, in virtual time (minutes)
	@$(BIN)/python -m tests.simulation

clean:  ## remove what the other targets made
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
