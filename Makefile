# `make demo` and `make test` are enough on a fresh machine; `make help` lists the rest.
PYTHON ?= python3
PORT ?= 7860
ARGS ?=
WORKERS ?= $(shell cores=$$(getconf _NPROCESSORS_ONLN); echo $$((cores < 4 ? cores : 4)))

VENV := .venv
BIN := $(VENV)/bin
MIN_PYTHON := $(shell sed -n 's/^requires-python = ">=\([0-9.]*\)"$$/\1/p' pyproject.toml)

.DEFAULT_GOAL := help
.PHONY: help demo space test check style types pytest format clean

help:  ## list these commands
	@echo "JPEG-DL Explorer, for Python $(MIN_PYTHON) or newer"
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "Variables: PYTHON=$(PYTHON) PORT=$(PORT) WORKERS=$(WORKERS) ARGS='further arguments for pytest'"

demo: $(VENV)/requirements.installed  ## build the environment and open the app on http://127.0.0.1:PORT
	GRADIO_SERVER_PORT=$(PORT) $(BIN)/python app.py

space: $(VENV)/requirements.installed  ## send the app to a Hugging Face Space: make space OWNER/NAME [ARGS=--dry-run]
	$(BIN)/python -m deploy.space $(filter-out $@,$(MAKECMDGOALS)) $(ARGS)

# What follows `space` on the command line is its argument, not a target.
ifeq ($(firstword $(MAKECMDGOALS)),space)
$(wordlist 2,9,$(MAKECMDGOALS)): ; @:
endif

# mypy keeps one core busy for as long as the tests take to start, so they run beside it.
test: style  ## everything that must pass: formatter, linter, types, tests
	@$(MAKE) --no-print-directory --jobs=2 --keep-going types pytest

check: style types  ## formatter, linter and types, without the tests

style: $(VENV)/requirements-dev.installed  ## formatter and linter alone
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(VENV)/requirements-dev.installed  ## mypy alone
	$(BIN)/mypy

pytest: $(VENV)/requirements-dev.installed  ## the tests alone
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

format: $(VENV)/requirements-dev.installed  ## rewrite the Python files in the project's style
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:  ## remove caches and test results; delete .venv yourself to start from nothing
	rm -rf .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find . -name __pycache__ -type d -not -path './$(VENV)/*' -prune -exec rm -rf {} +

# The one rule that installs: FILE.txt -> .venv/FILE.installed, again whenever the file changes.
$(VENV)/%.installed: %.txt | $(BIN)/python
	@echo "Installing $< into $(VENV); the first time takes minutes and, with PyTorch for Linux, 6 GB of disk."
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --requirement $<
	@touch $@

$(VENV)/requirements-dev.installed: requirements.txt

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] < ($(subst .,$(comma) ,$(MIN_PYTHON))))' || { \
		echo "JPEG-DL Explorer needs Python $(MIN_PYTHON) or newer, and $(PYTHON) is not;" \
			"name one that is: make $(or $(MAKECMDGOALS),demo) PYTHON=python$(MIN_PYTHON)" >&2; exit 1; }
	@$(PYTHON) -m venv --clear $(VENV) || { \
		rm -rf $(VENV); echo "No environment was made; on Debian: apt-get install python3-venv" >&2; exit 1; }

comma := ,
