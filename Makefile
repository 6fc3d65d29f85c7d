# Every target sets up what it needs and starts at once when that is done already.
PYTHON ?= python3
BIN := .venv/bin

LOCK := pip compile pyproject.toml --constraint constraints.txt --universal --python-version 3.11 --generate-hashes \
	--no-annotate --custom-compile-command 'make lock' --default-index https://pypi.org/simple --quiet

.PHONY: serve test test-page browser lint audit lock install

serve: .venv/serve.stamp
	$(BIN)/python -m service

test: .venv/dev.stamp
	$(BIN)/python -m pytest

test-page: browser
	$(BIN)/python -m pytest -m page -rP

browser: .venv/dev.stamp
	$(BIN)/python -m tests.page.browser

lint: .venv/dev.stamp
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	@$(MAKE) --no-print-directory audit

# A report, not a gate: a flaw found tonight must not stop tonight's repair, nor a network that is away any work.
audit: .venv/dev.stamp
	@timeout 60 $(BIN)/pip-audit --requirement constraints.txt --disable-pip --no-deps --strict --timeout 5 \
		--progress-spinner off || echo 'WARNING: PINNED PACKAGES HAVE KNOWN FLAWS, OR COULD NOT ALL BE LOOKED UP' >&2

# What the service's image installs, with hashes: pip install --require-hashes -r requirements.lock
lock: .venv/dev.stamp
	$(BIN)/uv $(LOCK) --extra otel --output-file requirements.lock
	$(BIN)/uv $(LOCK) --extra otel --extra cuda --output-file requirements-cuda.lock

install: .venv/dev.stamp

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/serve.stamp: pyproject.toml constraints.txt | .venv/bin/python
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	touch $@

.venv/dev.stamp: pyproject.toml constraints.txt | .venv/bin/python
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[training,dev]'
	touch $@ .venv/serve.stamp
