# The two commands of a newcomer are `make run` and `make test`. `make help` lists the rest.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
EXTRA ?= cpu
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv pip
# Tests and jobs start hundreds of processes, each of which would compile our own modules anew.
unexport PYTHONDONTWRITEBYTECODE
# A stamp per lock file: a second `make run` installs nothing and starts in seconds.
RUN_STAMP := $(VENV)/.installed-run
DEV_STAMP := $(VENV)/.installed-dev

help:  ## list these commands
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

setup: $(RUN_STAMP)  ## own virtual environment from the hashed lock, byte-compiled

run: $(RUN_STAMP)  ## start Readroom: web process, worker, and the demo project in an empty home
	@exec $(BIN)/readroom up $(ARGS)

test: $(DEV_STAMP) chromium proxies vitest orthanc xplique  ## every test; those of the browser and the viewer where Chromium and Node are
	$(BIN)/python -m pytest $(ARGS)

check: $(DEV_STAMP)  ## style, types of the engine, the walls between the rooms
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy core
	$(BIN)/python -m pytest -q tests/test_architecture.py

bench: $(DEV_STAMP)  ## the quick set of measurements, under 20 minutes
	$(BIN)/python -m bench quick

bench-full: $(DEV_STAMP)  ## every row; stop it and start it again, it goes on where it was
	$(BIN)/python -m bench full

screenshots: $(DEV_STAMP) chromium  ## every page at two sizes in two themes, and the README's pictures
	$(BIN)/python -m docs.screenshots.make $(ARGS)

viewer:  ## build the viewer's bundle from frontend/ (needs Node 20; users do not)
	cd frontend && npm ci --no-fund --no-audit && npm test && npm run build

lock: $(VENV)/bin/uv  ## resolve pyproject.toml into the two hashed lock files
	$(UV) compile -q pyproject.toml --extra cpu --universal --no-header --no-annotate --generate-hashes -o requirements.lock
	$(UV) compile -q pyproject.toml --extra cpu --extra dev --universal --no-header --no-annotate --generate-hashes -o requirements-dev.lock

audit: $(VENV)/bin/uv  ## ask whether the locked dependencies have known vulnerabilities; says so where it cannot ask
	@$(BIN)/python scripts/audit_dependencies.py

chromium:
	@bash tests/browser/install_chromium.sh

proxies:
	@bash tests/dashboard/install_proxies.sh

orthanc:
	@bash tests/core/images/pacs/install_orthanc.sh

vitest:
	@bash tests/dashboard/install_vitest.sh

xplique: $(DEV_STAMP)
	@bash tests/core/explain/install_xplique.sh

$(VENV)/bin/uv:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' \
		|| { echo "Readroom needs Python 3.11 to 3.13; name one with: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv

$(RUN_STAMP): requirements.lock pyproject.toml | $(VENV)/bin/uv
ifeq ($(EXTRA),cpu)
	$(UV) install --quiet --require-hashes --compile-bytecode --python $(BIN)/python -r requirements.lock
	$(UV) install --quiet --no-deps --python $(BIN)/python -e .
else
	$(UV) install --quiet --compile-bytecode --python $(BIN)/python -e '.[$(EXTRA)]'
endif
	@touch $@

$(DEV_STAMP): requirements-dev.lock $(RUN_STAMP)
	$(UV) install --quiet --require-hashes --compile-bytecode --python $(BIN)/python -r requirements-dev.lock
	@touch $@

.PHONY: help setup run test check bench bench-full viewer lock audit chromium proxies vitest orthanc xplique
