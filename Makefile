# Two commands do all the set-up, on a machine with Python 3.10 or later and make:
#   make train   train on iris and write a report
#   make test    run the tests
# PYTHON=python3.12 chooses another interpreter, OUT=folder another place for the run, ARGS="..." more options.

SHELL  := /bin/sh
PYTHON ?= python3
VENV   ?= .venv
OUT    ?=
ARGS   ?=
BIN    := $(VENV)/bin

export PIP_DISABLE_PIP_VERSION_CHECK = 1
# Of a folder of the package's name in the working directory, which is the very one that is installed here.
export PYTHONWARNINGS = ignore:Editable installation

.PHONY: train test lint types format clean help
.DELETE_ON_ERROR:

help:
	@echo "make train   train on iris and write a report (ARGS=\"table.csv --target column\" for a table of yours)"
	@echo "make test    run the tests with coverage"
	@echo "make lint    check style        make types   check types"
	@echo "make format  put the code into the one format"
	@echo "make clean   remove the environment and everything built"

train: $(VENV)/.train
	@$(BIN)/python -m microgrud train $(ARGS) $(if $(OUT),--out "$(OUT)")

test: $(VENV)/.test
	$(BIN)/python -m pytest -n auto --cov --cov-report=term

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/mypy

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Each stamp says what is installed in the environment, and is older than pyproject.toml when that has changed.
# pip reads dependency groups from version 25.1 on, and the one that comes with an older Python is older than that.
$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null || { \
	  echo "microgrud needs Python 3.10 or later; '$(PYTHON)' is not. Install one, or name it: make PYTHON=python3.12" >&2; \
	  exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "'$(PYTHON)' cannot make virtual environments: its venv module is not installed." >&2; \
	  echo "On Debian and Ubuntu: sudo apt-get install python3-venv. Or name another: make PYTHON=python3.12" >&2; \
	  exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	@touch $@

$(VENV)/.train: $(VENV)/.python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable '.[train]'
	@touch $@

$(VENV)/.test: $(VENV)/.python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable . --group test
	@touch $@ $(VENV)/.train

$(VENV)/.dev: $(VENV)/.python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable . --group dev
	@touch $@ $(VENV)/.test $(VENV)/.train

clean:
	rm -rf $(VENV) build dist *.egg-info .coverage .coverage.* htmlcov .hypothesis .mypy_cache .pytest_cache .ruff_cache .nox
	find microgrud tests -name __pycache__ -type d -prune -exec rm -rf {} +
