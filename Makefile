# One command for each thing a developer does. `make help` lists them; CI runs the same targets.

PYTHON ?= python3
BIN := .venv/bin
DENO := $(CURDIR)/$(BIN)/deno
JAVASCRIPT := src/statekeep/runtimes/javascript
# Deno puts no limit on a test of its own; a host that never answers must fail it, not hang it.
DENO_LIMIT := $(if $(shell command -v timeout),timeout 300)
# A file's tests share their server, so a file stays with one worker. They go in the order of their names: files with
# many tests are no longer ones, and unit tests at the end keep all workers busy until there are none left.
PYTEST = $(BIN)/pytest --numprocesses auto --dist loadfile --no-loadscope-reorder
FAST_TESTS := $(wildcard tests/unit tests/properties tests/contracts)

# Deno's cache belongs to the checkout (as in hatch_build.py), so that nothing depends on a home folder.
export DENO_DIR ?= $(CURDIR)/build/deno
export DENO_TLS_CA_STORE ?= system,mozilla
export DENO_NO_UPDATE_CHECK := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup host check lint test test-all test-host reference dev docs fmt bench lock clean

help: ## List these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

setup: .venv/.installed ## Make .venv and install everything into it, as locked

# Build isolation is off because the lock has the build's requirements too: what builds is pinned by hash
# like everything else, and nothing is downloaded twice.
.venv/.installed: pyproject.toml requirements-dev.lock
	@$(PYTHON) -c 'import sys; sys.exit("Statekeep needs Python 3.11 or newer." if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --require-hashes -r requirements-dev.lock
	$(BIN)/pip install --quiet --no-build-isolation --no-deps -e .
	@touch $@

host: setup ## Bundle the JavaScript host and XState, if anything changed
	@$(BIN)/python hatch_build.py

check: lint ## Everything to run before a commit: formats, lint, types, imports, fast tests
	$(PYTEST) -m "not slow" $(FAST_TESTS)

lint: host
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	cd $(JAVASCRIPT) && $(DENO) fmt --check && $(DENO) lint && $(DENO) check bundler host
	cd tests/host && $(DENO) fmt --check && $(DENO) lint && $(DENO) check .

test: lint ## Set up, then run all checks and all tests but the slow ones (CI runs this)
	$(PYTEST) -m "not slow"

test-all: lint ## The same with the slow tests: loads, soaks, kills
	$(BIN)/pytest

test-host: host ## Only the tests that run inside Deno (pytest runs them too)
	cd tests/host && $(DENO_LIMIT) $(DENO) test --allow-all --reporter=dot

reference: setup ## Write what docs/ has from the code: commands, settings, routes, the Python client
	$(BIN)/python -c 'from tests.support import reference; reference.write()'

dev: host ## Start a server with an example machine on SQLite in ./.statekeep
	$(BIN)/statekeep demo

docs: setup ## Build the documentation as a site, into build/docs
	$(BIN)/zensical build --clean --strict

fmt: setup ## Format and repair what can be repaired
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	cd $(JAVASCRIPT) && $(DENO) fmt
	cd tests/host && $(DENO) fmt

bench: host ## Measure this checkout on this machine: host, HTTP layer, store, the whole path of an event (needs wrk), building, dev, and the first minutes
	$(DENO) run --allow-all --config tests/host/deno.json benchmarks/host_steps.ts
	$(BIN)/python benchmarks/http_stack.py
	$(BIN)/python benchmarks/store_commits.py
	$(BIN)/python benchmarks/event_path.py
	$(BIN)/python benchmarks/bundling.py
	$(BIN)/python benchmarks/dev.py
	$(BIN)/python -m benchmarks.first_minutes

# `make lock UPGRADE=1` moves every pin to the newest release that pyproject.toml and deno.json allow.
COMPILE = build/uv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--custom-compile-command "make lock" $(if $(UPGRADE),--upgrade)
lock: setup ## Write the lock files again after a change of pyproject.toml or deno.json
	$(PYTHON) -m venv build/uv
	build/uv/bin/pip install --quiet uv
	$(COMPILE) pyproject.toml -o requirements.lock
	$(COMPILE) pyproject.toml --extra dev -o requirements-dev.lock
	$(if $(UPGRADE),rm $(JAVASCRIPT)/deno.lock)
	cd $(JAVASCRIPT) && $(DENO) install --lockfile-only --frozen=false

clean: ## Remove everything that these targets made, .venv and the data of `make dev` included
	rm -rf .venv build dist .statekeep .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	rm -rf $(JAVASCRIPT)/dist $(JAVASCRIPT)/.dist-*
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
