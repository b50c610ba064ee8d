# Two commands are all that a new user needs: `make demo` and `make test`.
# They need Python 3.11 or newer and make; no root, no Docker, no database installed.

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-long soak power lint bench lab down clean notebooks reference readme constraints

PYTHONS ?= python3.13 python3.12 python3.11 python3
BIN := .venv/bin
PYTEST = $(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder
INSTALL := $(BIN)/python -m pip install --disable-pip-version-check --constraint constraints.txt --editable
ARGS ?=
SOAK_KILLS ?= 60
WORKERS ?= 2
# Where servers are given (docs/guarantees.md), what they are asked for: the integration tests.
TESTS ?= $(if $(SENTINEL_TEST_SOURCE_URL)$(SENTINEL_TEST_WAREHOUSE_URL),tests/integration,--nbval tests notebooks)
NAME ?=
LAB_ARGS ?=

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' Makefile

setup: .venv/.ready ## make .venv with the exact versions of constraints.txt

demo: .venv/.ready ## databases, a sample night, its run; prints verdict, counts and the report's path
	@$(BIN)/sentinel-etl demo

# In random order; a file's tests stay together, and so do a notebook's cells. Each process has databases of its own.
test: .venv/.ready ## run the tests, within ten minutes; ARGS="-k window" picks some
	@$(PYTEST) -m "not long" $(TESTS) $(ARGS)

test-long: .venv/.ready ## run what `make test` leaves out: all other cases, faults of every kind, the pages' examples
	@$(PYTEST) -m long $(TESTS) $(ARGS)

soak: .venv/.ready ## try the promises of docs/guarantees.md for longer; a line for each (SOAK_KILLS=60)
	@SOAK_KILLS=$(SOAK_KILLS) $(BIN)/python -m pytest -q --numprocesses $(WORKERS) --dist loadfile tests/adversity \
	  tests/browser/test_hostile_texts_in_chromium.py tests/integration/run/test_hostile_rows.py \
	  tests/integration/run/test_typed_values.py tests/unit/publish/test_publish_model.py $(ARGS)

power: .venv/.ready-power ## install what the power-cut tests need; builds pyfuse3: compiler, pkg-config, libfuse3-dev

lint: .venv/.ready-lint ## check style, format, types, and who may import whom
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

bench: .venv/.ready-bench ## measure against rivals, an hour for all; NAME="throughput" picks some
	@$(BIN)/python -m benchmarks $(NAME)

# Jupyter takes this environment's kernel, whatever kernels the user has; it refuses root unasked.
# What passes between it and a kernel is encrypted: other users share the loopback.
lab: .venv/.ready ## open the notebooks in JupyterLab, the sample city ready where no databases are set
	@SENTINEL_HOME="$$(pwd)" $(BIN)/sentinel-etl local city
	@SENTINEL_HOME="$$(pwd)" JUPYTER_PREFER_ENV_PATH=1 PATH="$$(pwd)/$(BIN):$$PATH" \
	  $(BIN)/jupyter lab --notebook-dir=notebooks --KernelManager.transport_encryption=auto \
	    $$(test "$$(id -u)" != 0 || echo --allow-root) $(LAB_ARGS)

down: ## stop the local databases; their data stay
	@test ! -x $(BIN)/sentinel-etl || $(BIN)/sentinel-etl local down

clean: down ## remove .venv, the local databases and caches; reports under runs/ stay
	@rm -rf .venv .sentinel .mypy_cache .pytest_cache .ruff_cache .hypothesis *.egg-info
	@find sentinel_etl tests notebooks benchmarks -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true

notebooks: .venv/.ready ## execute the notebooks in place over the pinned sample city
	@$(BIN)/python tests/notebooks/store_outputs.py

reference: .venv/.ready ## rewrite docs/reference.md from the code; takes seconds
	@$(BIN)/python tests/docs/write_docs.py reference

readme: .venv/.ready ## run the examples of README.md and docs/ again and write what they print; some minutes
	@$(BIN)/python tests/docs/write_docs.py examples

# The oldest Python that we support decides: what installs there installs on the newer ones.
constraints: ## renew constraints.txt; needs python3.11
	@rm -rf .venv/renew && python3.11 -m venv .venv/renew
	@echo 'resolving afresh (some minutes)' && .venv/renew/bin/python -m pip install -q '.[test,lint,bench,power]'
	@.venv/renew/bin/python -m pip freeze --exclude sentinel-warehouse-etl > .venv/renew/versions
	@{ sed -n '/^#/p' constraints.txt; LC_ALL=C sort -f .venv/renew/versions; } > .venv/renew/constraints.txt
	@mv .venv/renew/constraints.txt constraints.txt && rm -rf .venv/renew build

.venv/.ready: pyproject.toml constraints.txt
	@test -x $(BIN)/python || { \
	  for name in $(PYTHONS); do \
	    if $$name -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; \
	    then found=$$name; break; fi; \
	  done; \
	  test -n "$$found" || { \
	    echo 'set-up: expected Python 3.11 or newer, with its venv module, on PATH; found none.' \
	      'Install it (Debian, Ubuntu: python3 and python3-venv) and run make again.' >&2; \
	    exit 1; }; \
	  echo "set-up: $$($$found --version) into .venv" >&2; \
	  $$found -m venv .venv; }
	@echo 'set-up: packages into .venv (a few minutes, once)' >&2
	@$(INSTALL) '.[test]' > .venv/install.log 2>&1 || { tail -n 30 .venv/install.log >&2; exit 1; }
	@touch $@

.venv/.ready-lint: .venv/.ready
	@$(INSTALL) '.[lint]' > .venv/install.log 2>&1 || { tail -n 30 .venv/install.log >&2; exit 1; }
	@touch $@

.venv/.ready-bench: .venv/.ready
	@$(INSTALL) '.[bench]' > .venv/install.log 2>&1 || { tail -n 30 .venv/install.log >&2; exit 1; }
	@touch $@

.venv/.ready-power: .venv/.ready
	@$(INSTALL) '.[power]' > .venv/install.log 2>&1 || { tail -n 30 .venv/install.log >&2; exit 1; }
	@touch $@
