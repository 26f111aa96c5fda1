# Everything a developer runs. Needs Python 3.11 or newer and make; installs the rest into this folder.
SHELL := /bin/sh
.DEFAULT_GOAL := help

PYTHON ?= python3
UV := .tools/bin/uv
RUN := .venv/bin
WORKERS ?= auto

export UV_PYTHON_DOWNLOADS = never
export UV_PYTHON = $(PYTHON)

.PHONY: help setup demo demo-serve serve test check format bench clean

help:          ## list the targets
	@grep -E '^[a-z-]+: .*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 14

setup: .venv/.complete ## set everything up in .venv

$(UV):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; set PYTHON=python3.12, say"; exit 1; }
	@$(PYTHON) -m venv .tools 2>/dev/null && .tools/bin/python -m pip install --quiet uv \
		|| { rm -rf .tools && $(PYTHON) -m pip install --quiet --target .tools uv; }

.venv/.complete: pyproject.toml uv.lock | $(UV)
	$(UV) sync --quiet --frozen --extra pdf --compile-bytecode
	@touch $@

demo: setup    ## walk through everything on sample data, offline
	@$(RUN)/higherself demo

demo-serve: setup ## the demo, and the dashboard afterwards
	@$(RUN)/higherself demo --serve

serve: setup   ## run the API and the dashboard
	@$(RUN)/higherself serve

test: setup    ## everything that must pass, on the embedded PostgreSQL, in parallel
	@$(RUN)/pytest -n $(WORKERS)

check: setup   ## formatting, lint, layers, types, migrations, dependencies: no database
	$(RUN)/ruff format --check
	$(RUN)/ruff check
	$(RUN)/lint-imports
	$(RUN)/mypy
	$(RUN)/squawk src/higherself/db/migrations/*.up.sql
	$(RUN)/deptry src

format: setup  ## format, and fix what can be fixed
	$(RUN)/ruff format
	$(RUN)/ruff check --fix

benchmarks/.venv/.complete: benchmarks/requirements.txt | $(UV)
	$(UV) venv --quiet --clear benchmarks/.venv
	$(UV) pip install --quiet --python benchmarks/.venv -r benchmarks/requirements.txt
	@touch $@

bench: setup benchmarks/.venv/.complete ## measure, beside the peers, in one run
	$(RUN)/python benchmarks/run.py

clean:         ## remove what was installed and built here
	rm -rf .venv .tools benchmarks/.venv benchmarks/results dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
