# Two commands: `make demo` shows a virtual cluster come alive, `make test` proves it. Both need only Python 3.11+ and this file.
PYTHON ?= python3
HOST ?= embedded
PROGRAMS := etcd kube-apiserver kube-controller-manager kube-scheduler kubectl kwok helm prometheus promtool kubeconform kube-score
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -q install --no-compile
export PYTHONDONTWRITEBYTECODE ?=

.DEFAULT_GOAL := help
.PHONY: help demo test programs check unit generate docs lock clean

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 18

demo: $(VENV)/.run ## Bring up a host (HOST=embedded|local|kind|current) and watch a virtual cluster come alive
	@$(BIN)/nestling demo --host $(HOST)

test: check programs ## Lint, type-check and run every test that this machine can run
	@echo "==> tests"
	@$(BIN)/python -m pytest -q $(ARGS)

programs: $(VENV)/.dev ## Find (or, with NESTLING_REQUIRE_LOCAL=1, build) the real control plane that tests compare with
	@echo "==> a real control plane for the integration and differential tests"
	@if [ -n "$$NESTLING_REQUIRE_LOCAL" ]; then $(BIN)/python -m nestling.host.binaries ensure $(PROGRAMS); \
	else $(BIN)/python -m nestling.host.binaries find $(PROGRAMS) || \
	    echo "    not found: those tests are skipped; \`NESTLING_REQUIRE_LOCAL=1 make programs\` builds it once"; fi

check: $(VENV)/.dev ## Formatting, lint, types, layers and drift of generated files
	@echo "==> ruff"
	@$(BIN)/ruff format --check -q . && $(BIN)/ruff check -q .
	@echo "==> pyright"
	@$(BIN)/pyright
	@echo "==> import-linter"
	@$(BIN)/lint-imports --no-cache | tail -n 4

unit: $(VENV)/.dev ## Only the tests that take seconds
	@$(BIN)/python -m pytest -q tests/unit $(ARGS)

generate: $(VENV)/.dev ## Write the generated files anew (crds/, docs/reference/, much of helm/nestling)
	@$(BIN)/python -m nestling.api.generate crds
	@$(BIN)/python -m nestling.chart.generate
	@$(BIN)/python docs/generate.py

docs: $(VENV)/.dev ## Build the documentation into site/
	@$(PIP) --require-hashes -r requirements/docs.txt
	@$(BIN)/zensical build --clean

lock: $(VENV)/.dev ## Renew the pinned requirements from pyproject.toml
	@$(PIP) uv
	@$(BIN)/uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 \
	    -o requirements/run.txt pyproject.toml requirements/build.in
	@$(BIN)/uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 \
	    --extra test --extra lint -c requirements/run.txt -o requirements/dev.txt pyproject.toml requirements/build.in
	@$(BIN)/uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 \
	    --extra docs -c requirements/dev.txt -o requirements/docs.txt pyproject.toml

clean: ## Remove the virtual environment and caches
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "Nestling needs Python 3.11 or later; $(PYTHON) is older. Try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@echo "==> making a virtual environment in $(VENV)"
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.run: $(VENV)/bin/python requirements/run.txt pyproject.toml
	@echo "==> installing what Nestling runs on (once, about 15 s)"
	@$(PIP) --require-hashes -r requirements/run.txt
	@$(PIP) --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.run requirements/dev.txt
	@echo "==> installing what the tests need (once)"
	@$(PIP) --require-hashes -r requirements/dev.txt
	@touch $@
