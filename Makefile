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

# Let Python cache the tests' bytecode, so that it is not compiled again in each process.
unexport PYTHONDONTWRITEBYTECODE

# The sources of the C engine. Without a C compiler, only the Python engine runs.
NATIVE := setup.py $(wildcard microgrud/_native/src/*/*.[ch])

.PHONY: train test test-all bench docs lint types format lines clean help
.DELETE_ON_ERROR:

help:
	@echo "make train     train on iris and write a report (ARGS=\"table.csv --target column\" for a table of yours)"
	@echo "make test      run all tests but the slow ones, on both engines (ARGS: pytest's, such as a file)"
	@echo "make test-all  run all tests on both engines, with coverage"
	@echo "make bench     compare engines and recorded functions with each other and with other installed libraries"
	@echo "make docs      build the site in build/site, and check its links"
	@echo "make lint      check style        make types   check types"
	@echo "make format    format the code"
	@echo "make lines     print the lines of code by package (ARGS=REVISION compares with that git revision)"
	@echo "make clean     remove the environment and all build products"

train: $(VENV)/.train
	@$(BIN)/python -m microgrud train $(ARGS) $(if $(OUT),--out "$(OUT)")

PYTEST   := $(BIN)/python -m pytest -n auto --dist worksteal $(ARGS)
HAS_C    := $(BIN)/python -c 'import microgrud._native.engine' 2>/dev/null
LACKS_C  := The C engine was not built (that needs a C compiler and the Python headers), so it is not tested.
SAY_TIME  = status=$$?; echo "make $@: $$(($$(date +%s) - start)) seconds"; exit $$status

# The C engine runs every kind of test; the Python engine runs those that depend on the engine. Coverage is measured of
# the Python engine, and of what both engines share. It triples the time of the Python engine, so slow tests, which
# repeat others at more points, are not measured.
test: $(VENV)/.test
	@start=$$(date +%s); export HYPOTHESIS_PROFILE=quick; if $(HAS_C); then \
	  MICROGRUD_BACKEND=c $(PYTEST) -m "not slow" && \
	  MICROGRUD_BACKEND=python $(PYTEST) -m "not slow and not any_engine"; \
	else \
	  echo "$(LACKS_C)"; MICROGRUD_BACKEND=python $(PYTEST) -m "not slow"; \
	fi; $(SAY_TIME)

test-all: $(VENV)/.test
	@start=$$(date +%s); if $(HAS_C); then \
	  MICROGRUD_BACKEND=python $(PYTEST) -m "not slow and not any_engine" --cov --cov-report= --cov-fail-under=0 && \
	  MICROGRUD_BACKEND=python $(PYTEST) -m "slow and not any_engine" && \
	  MICROGRUD_BACKEND=c $(PYTEST) -m any_engine --cov --cov-append --cov-report=term && \
	  MICROGRUD_BACKEND=c $(PYTEST) -m "not any_engine"; \
	else \
	  echo "$(LACKS_C)"; MICROGRUD_BACKEND=python $(PYTEST) --cov --cov-report=term; \
	fi; $(SAY_TIME)

bench: $(VENV)/.test
	$(BIN)/python -m benchmarks $(ARGS)

docs: $(VENV)/.docs
	$(BIN)/python docs/site/build.py $(ARGS)

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.github-issue-forms .github/ISSUE_TEMPLATE/[!c]*.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.citation-file-format CITATION.cff

types: $(VENV)/.dev
	$(BIN)/mypy
	$(BIN)/python tests/typed/check_types.py
	$(BIN)/python tests/typed/check_hover.py

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lines:
	@$(PYTHON) tools/lines.py $(ARGS)

# Report a missing C engine: pip hides the output of the build.
define say_engine
@$(BIN)/python -c 'import microgrud._native.engine' 2>/dev/null || \
  echo "microgrud: the C engine was not built, so the Python engine will run; after installing a C compiler: make clean"
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

$(VENV)/.docs: $(VENV)/.python pyproject.toml $(NATIVE)
	$(BIN)/python -m pip install --quiet --editable . --group docs
	$(say_engine)
	@touch $@ $(VENV)/.train

clean:
	rm -rf $(VENV) build dist *.egg-info .coverage .coverage.* htmlcov .hypothesis .mypy_cache .pytest_cache .ruff_cache .nox
	rm -f microgrud/_native/*.so microgrud/_native/*.pyd
	find microgrud tests -name __pycache__ -type d -prune -exec rm -rf {} +
