# Every target sets up what it needs and starts at once when that is done already.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: serve test test-page test-ray browser lint install

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

install: .venv/dev.stamp

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
