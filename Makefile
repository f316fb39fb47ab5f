# Every command sets up its own environment; it needs only make and Python 3.10 or later. `make help` lists the commands.
# PYTHON=python3.12 selects another interpreter, OUT=folder another place for the run, ARGS="..." more options.

SHELL  := /bin/sh
PYTHON ?= python3
VENV   ?= .venv
OUT    ?=
ARGS   ?=
BIN    := $(VENV)/bin

export PIP_DISABLE_PIP_VERSION_CHECK = 1
# pip warns about ./microgrud shadowing the editable install. They are the same folder, so silence it.
export PYTHONWARNINGS = ignore:Editable installation

# The sources of the engine in C. Without a C compiler, only the engine in Python runs.
NATIVE := setup.py $(wildcard microgrud/_native/src/*/*.[ch])

.PHONY: train test bench lint types format lines clean help
.DELETE_ON_ERROR:

help:
	@echo "make train   train on iris and write a report (ARGS=\"table.csv --target column\" for a table of yours)"
	@echo "make test    run the tests with coverage, on both engines"
	@echo "make bench   compare engines and recorded functions with each other and with other installed libraries"
	@echo "make lint    check style        make types   check types"
	@echo "make format  format the code"
	@echo "make lines   print the lines of code by package (ARGS=REVISION compares with that git revision)"
	@echo "make clean   remove the environment and all build products"

train: $(VENV)/.train
	@$(BIN)/python -m microgrud train $(ARGS) $(if $(OUT),--out "$(OUT)")

# All tests on both engines: the one in Python, then the one in C if it was built.
test: $(VENV)/.test
	MICROGRUD_BACKEND=python $(BIN)/python -m pytest -n auto --dist worksteal --cov --cov-report=term
	@if $(BIN)/python -c 'import microgrud._native.engine' 2>/dev/null; then \
	  echo "== and on the engine in C"; \
	  MICROGRUD_BACKEND=c $(BIN)/python -m pytest -n auto --dist worksteal; \
	else \
	  echo "The engine in C was not built (it takes a C compiler and Python's headers), and not tested."; \
	fi

bench: $(VENV)/.test
	$(BIN)/python -m benchmarks $(ARGS)

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/mypy

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lines:
	@$(PYTHON) tools/lines.py $(ARGS)

# Report a missing engine in C: pip hides the output of the build.
define say_engine
@$(BIN)/python -c 'import microgrud._native.engine' 2>/dev/null || \
  echo "microgrud: the engine in C was not built, so the one in Python will run; after installing a C compiler: make clean"
endef

# Each stamp file marks a set of installed packages; after a change of pyproject.toml it is out of date.
# pip reads dependency groups since version 25.1. Older versions of Python come with an older pip.
$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null || { \
	  echo "microgrud needs Python 3.10 or later, and '$(PYTHON)' is older or missing. Install one, or name it: make PYTHON=python3.12" >&2; \
	  exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "'$(PYTHON)' cannot make virtual environments: its venv module is not installed." >&2; \
	  echo "On Debian and Ubuntu: sudo apt-get install python3-venv. Or name another interpreter: make PYTHON=python3.12" >&2; \
	  exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	@touch $@

$(VENV)/.train: $(VENV)/.python pyproject.toml $(NATIVE)
	$(BIN)/python -m pip install --quiet --editable '.[train]'
	$(say_engine)
	@touch $@

$(VENV)/.test: $(VENV)/.python pyproject.toml $(NATIVE)
	$(BIN)/python -m pip install --quiet --editable . --group test
	$(say_engine)
	@touch $@ $(VENV)/.train

$(VENV)/.dev: $(VENV)/.python pyproject.toml $(NATIVE)
	$(BIN)/python -m pip install --quiet --editable . --group dev
	$(say_engine)
	@touch $@ $(VENV)/.test $(VENV)/.train

clean:
	rm -rf $(VENV) build dist *.egg-info .coverage .coverage.* htmlcov .hypothesis .mypy_cache .pytest_cache .ruff_cache .nox
	rm -f microgrud/_native/*.so microgrud/_native/*.pyd
	find microgrud tests -name __pycache__ -type d -prune -exec rm -rf {} +
