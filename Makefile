# Every target sets up what it needs and starts at once when that is done already.
PYTHON ?= python3
BIN := .venv/bin
BENCH := benchmarks/.work/venvs
PEERS := fastapi litserve bentoml ray mlserver pytriton

.PHONY: serve test test-page browser lint install bench

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

install: .venv/dev.stamp

# Needs wrk and gcc. A peer that cannot be installed is left out, and the table says so.
bench: .venv/dev.stamp $(PEERS:%=$(BENCH)/%/stamp)
	$(BIN)/python -m benchmarks.compare

$(BENCH)/%/stamp: benchmarks/requirements-%.txt
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --requirement $< && touch $@ || rm -rf $(@D)

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/serve.stamp: pyproject.toml constraints.txt | .venv/bin/python
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	touch $@

.venv/dev.stamp: pyproject.toml constraints.txt | .venv/bin/python
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[training,dev]'
	touch $@ .venv/serve.stamp
