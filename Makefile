# Two commands on a fresh machine: `make demo` and `make test`. Both do their own set-up; a second run starts in seconds.
# Needs Python 3.11 or newer, make, and a network to the package registries for the first set-up.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PORT ?= 8000
CASE ?=
PAGE := src/citytwin/server/static/index.html
WEB_SOURCES := $(shell find web/src web/public -type f 2>/dev/null) web/index.html web/package.json web/package-lock.json web/vite.config.ts

.DEFAULT_GOAL := help
.PHONY: help setup demo test check fast browser validate bench docs lock clean

help: ## say what there is
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /: /' | column -t -s: 2>/dev/null || grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST)

# Set-up in four stamps: the environment, the package in it, compiled kernels, the page. Each is redone only when what it is made of changed.
$(VENV)/.locked: requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit("citytwin needs Python 3.11 or newer, this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else None'
	@echo "set-up 1/4: Python packages (some minutes the first time)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -c 'import uv' 2>/dev/null || $(BIN)/python -m pip install --quiet --disable-pip-version-check "uv>=0.5"
	@$(BIN)/uv pip sync --quiet --compile-bytecode --python $(BIN)/python --require-hashes requirements.lock
	@touch $@

$(VENV)/.installed: $(VENV)/.locked pyproject.toml
	@echo "set-up 2/4: citytwin itself"
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check "uv>=0.5"
	@CITYTWIN_NO_PAGE=1 $(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

KERNELS := $(shell find src/citytwin -name 'kernel*.py' -o -name jit.py)

$(VENV)/.compiled: $(VENV)/.installed $(KERNELS)
	@echo "set-up 3/4: compiling the simulators (a minute or two)"
	@$(BIN)/citytwin doctor --rehearse >/dev/null
	@touch $@

$(PAGE): $(VENV)/.installed $(WEB_SOURCES) build_page.py
	@echo "set-up 4/4: the web page"
	@$(BIN)/python build_page.py
	@touch $@

setup: $(VENV)/.compiled $(PAGE) ## environment and page, done again in a second if nothing changed

demo: setup ## a made city, live, at http://localhost:8000
	@$(BIN)/citytwin demo --port $(PORT)

test: check ## all tests: style, types, contracts, Python, page, browser, docs, a slice of validation

check: setup
	@$(BIN)/ruff format --check -q . && $(BIN)/ruff check -q .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/python build_page.py --check
	@$(BIN)/python -m pytest -n 2 --dist loadscope --ignore tests/web
	@$(BIN)/python -m pytest tests/web

fast: setup ## the Python tests without a browser
	@$(BIN)/python -m pytest -n 2 --dist loadscope --ignore tests/web

validate: setup ## published truth: make validate [CASE=flood]
	@$(BIN)/python -m validation $(CASE)

bench: setup ## speed, side by side with peers: make bench [CASE=flood]
	@$(BIN)/python -m benchmarks $(CASE)

lock: ## renew the lock of Python packages, without registry addresses
	@$(BIN)/uv pip compile -q --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		pyproject.toml --group dev -o requirements.lock

clean: ## remove what set-up made
	rm -rf $(VENV) web/node_modules src/citytwin/server/static build dist
