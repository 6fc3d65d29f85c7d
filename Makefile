# Every target sets up what it needs and starts at once when that is done already.
PYTHON ?= python3
BIN := .venv/bin
BENCH := benchmarks/.work/venvs
PEERS := fastapi litserve bentoml ray mlserver pytriton

.PHONY: serve test test-page test-ray browser lint audit lock install bench

serve: .venv/serve.stamp
	$(BIN)/python -m service

test: .venv/dev.stamp
	$(BIN)/python -m pytest

test-page: browser
	$(BIN)/python -m pytest -m page -rP

test-ray: .venv-ray/stamp
	.venv-ray/bin/python -m pytest -m ray tests/deploy/test_ray_serve.py tests/service/scoring/test_cluster.py

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

# What the images install, with hashes.
lock: .venv/dev.stamp
	PATH="$(BIN):$$PATH" deploy/lock.sh

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

.venv-ray/stamp: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv-ray
	.venv-ray/bin/python -m pip install --quiet --constraint constraints.txt --editable '.[ray]' pytest httpx2 onnx
	touch $@
