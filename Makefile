# Penstock: what a developer or a curious operator types. `make` alone says what there is.
#
#   PYTHON=python3.12 make test     another interpreter (3.11 or newer) for a new virtual environment
#   make test TESTS=tests/core      some of the tests
#   make test PYTEST_ARGS=-x        other options for pytest

PYTHON ?= python3
VENV ?= .venv
TESTS ?= tests
PYTEST_ARGS ?= -n 2
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq

.DEFAULT_GOAL := help
.PHONY: help venv debian demo test lint fmt bench bench-peers bench-detection docs clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

venv: $(VENV)/.dev ## a virtual environment with Penstock and all that its developers need

debian: ## install the Debian packages of the tests (as root; starts no service)
	@scripts/debian-packages postfix=postfix mariadbd=mariadb-server initdb=postgresql opendkim-testkey=opendkim-tools
	-@scripts/debian-packages logrotate=logrotate /lib/systemd/systemd-journal-remote=systemd-journal-remote \
		chromium=chromium
	-@scripts/debian-packages php=php-cli

demo: $(VENV)/.run ## install into a virtual environment and watch a small hosting platform for half a minute
	@$(BIN)/penstock demo $(DEMO_ARGS)

test: debian $(VENV)/.dev ## everything: Debian packages, lint, types, layers, all tests
	@$(MAKE) --no-print-directory lint
	@$(BIN)/pytest $(PYTEST_ARGS) $(TESTS)

lint: $(VENV)/.dev ## style, types (mypy --strict) and direction of imports
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

fmt: $(VENV)/.dev ## put the sources into the house style
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: $(VENV)/.dev ## speed beside a floor and beside the peers that are installed; writes docs/performance.md
	@$(BIN)/python bench/speed.py --markdown docs/performance.md $(BENCH_ARGS)

bench-peers: ## install the peers that bench measures (as root)
	@$(PYTHON) bench/peers.py install

bench-detection: $(VENV)/.dev ## leak and false pauses beside the field's rules, some minutes; ONLY=ablation, verdicts
	@$(BIN)/python -m bench.detection.$(or $(ONLY),run --seed 1 --seed 2 --seed 3) $(BENCH_ARGS)

docs: $(VENV)/.dev ## write the generated references anew
	@scripts/references $(BIN)/penstock docs/reference

clean: ## remove the virtual environment, caches and builds
	rm -rf $(VENV) build dist bench/build bench/results .demo
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -prune -exec rm -rf {} +

# What is installed is known by two stamps: .run (Penstock) and .dev (the tools as well).
$(BIN)/python:
	@scripts/virtual-environment $(PYTHON) $(VENV)

$(VENV)/.run: pyproject.toml | $(BIN)/python
	@echo "installing Penstock into $(VENV)"
	@$(PIP) install --editable .
	@touch $@

$(VENV)/.dev: pyproject.toml | $(BIN)/python
	@echo "installing Penstock and its development tools into $(VENV)"
	@$(PIP) install --editable '.[dev]'
	@touch $(VENV)/.run $@
