.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin
PINS := constraints.txt
MANIFESTS := pyproject.toml clients/python/pyproject.toml $(PINS)
PIP := $(BIN)/python -m pip --disable-pip-version-check

# Other Pythons are looked at only when `python3` is too old: what a user calls python3 is their choice.
CANDIDATES := python3 python3.14 python3.13 python3.12 python3.11 python
FIND_PYTHON = for name in $(PYTHON) $(CANDIDATES); do \
	if $$name -c 'import sys, venv, ensurepip, ssl, sqlite3; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; \
	then echo $$name; exit 0; fi; done; \
	echo 'make: no Python >= 3.11 with its venv, ssl and sqlite3 modules found; install one (Debian: apt install python3 python3-venv) or name it: make PYTHON=/path/to/python3' >&2; exit 1

.PHONY: help
help: ## This table of contents
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# --- Installation -----------------------------------------------------------------------------

$(VENV)/.pip: $(PINS)
	@python=$$($(FIND_PYTHON)); [ -x $(BIN)/python ] || { echo "Making $(VENV) with $$python"; $$python -m venv $(VENV); }
	@$(PIP) install -q -c $(PINS) --upgrade pip setuptools
	@touch $@

$(VENV)/.demo: $(VENV)/.pip $(MANIFESTS)
	@echo 'Installing Runstone and what the demo needs into $(VENV)'
	@$(PIP) install -q -c $(PINS) --no-build-isolation -e clients/python -e . --group demo
	@touch $@

$(VENV)/.dev: $(VENV)/.demo $(MANIFESTS)
	@echo 'Installing what tests and lint need into $(VENV)'
	@$(PIP) install -q -c $(PINS) --group dev
	@touch $@

.PHONY: install
install: $(VENV)/.dev ## Install everything into .venv (quick when nothing changed)

# --- Daily work -------------------------------------------------------------------------------

.PHONY: demo
demo: $(VENV)/.demo ## Train, log, register, promote and load back on an embedded suite
	@$(BIN)/python -m runstone_suite.demo

.PHONY: test
test: $(VENV)/.dev ## Run all tests, with a real PostgreSQL and a real S3 server (PYTEST_ARGS=…)
	@PYTHONPATH=tests $(BIN)/python -m support.install
	@$(BIN)/python -m pytest -n 3 --dist loadfile $(PYTEST_ARGS)

.PHONY: test-kill
test-kill: $(VENV)/.dev ## The tests that kill and restart servers, ten times as often (about 15 minutes)
	@PYTHONPATH=tests $(BIN)/python -m support.install
	@RUNSTONE_TEST_KILLS=10 $(BIN)/python -m pytest tests/e2e/test_kill.py $(PYTEST_ARGS)

.PHONY: test-compat
test-compat: $(VENV)/.dev ## Every MLflow client through everything, compared with a real MLflow (about 15 minutes)
	@PYTHONPATH=tests $(BIN)/python -m support.install
	@RUNSTONE_TEST_COMPAT=1 $(BIN)/python -m pytest tests/compat $(PYTEST_ARGS)

.PHONY: test-frameworks
test-frameworks: $(VENV)/.dev ## Deep-learning models between MLflow and Runstone, hooks in frameworks (7.6 GB from PyPI once; about 20 minutes)
	@PYTHONPATH=tests $(BIN)/python -m support.frameworks $(PYTEST_ARGS)

.PHONY: test-faults
test-faults: $(VENV)/.dev ## The fault loops of delivery at full length, with their table (about 30 minutes)
	@PYTHONPATH=tests $(BIN)/python -m support.install
	@RUNSTONE_TEST_FAULTS=1 $(BIN)/python -m pytest -q tests/e2e/test_delivery_faults.py $(PYTEST_ARGS)

.PHONY: test-serving
test-serving: $(VENV)/.dev ## A model and a project in clean environments of real packages, from PyPI (about 3 minutes)
	@RUNSTONE_TEST_SERVING=1 $(BIN)/python -m pytest -q tests/e2e/test_serving_environment.py tests/e2e/test_project_environment.py $(PYTEST_ARGS)

.PHONY: bench
bench: $(VENV)/.dev ## Run the benchmarks and print their table
	@PYTHONPATH=tests $(BIN)/python -m support.install
	@PYTHONPATH=tests $(BIN)/python tests/load/run.py

.PHONY: bench-peers
bench-peers: $(VENV)/.dev ## Beside MLflow (ingest, files, REST, signatures, models), FastTrackML, tensorboardX and W&B, from PyPI
	@PYTHONPATH=tests $(BIN)/python -m support.install
	@PYTHONPATH=tests $(BIN)/python tests/load/peers.py
	@PYTHONPATH=tests $(BIN)/python tests/load/peers_rest.py

.PHONY: gen
gen: $(VENV)/.dev ## Generate the Python code of the protos
	@$(BIN)/python protos/generate.py

.PHONY: gen-check
gen-check: $(VENV)/.dev ## Fail when the generated code is not that of the protos
	@$(BIN)/python protos/generate.py --check

.PHONY: lint
lint: $(VENV)/.dev gen-check ## Check style, types, protos, imports and generated code
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@cd protos && ../$(BIN)/buf lint
	@PYTHONPATH=tests $(BIN)/lint-imports
	@PYTHONPATH=tests $(BIN)/python -m support.addresses

.PHONY: format
format: $(VENV)/.dev ## Format the code and fix what can be fixed by itself
	@$(BIN)/ruff check --fix-only
	@$(BIN)/ruff format

.PHONY: clean
clean: ## Remove .venv, caches and build output (never a data folder)
	@rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	@find . \( -name __pycache__ -o -name '*.egg-info' \) -prune -exec rm -rf {} +
