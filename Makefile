# `make demo` and `make test` set up what they need; everything else is for people who work on ablab.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

# OpenVINO, ONNX Runtime and torch together: in processes of their own, as one died beside all other tests.
RUNTIMES := tests/export tests/predict tests/serve

.PHONY: demo test docs lint format types check clean

demo: $(READY)
	$(BIN)/ablab demo

test: $(READY)
	$(BIN)/python -m pytest -n 2 --dist worksteal $(RUNTIMES:%=--ignore=%)
	$(BIN)/python -m pytest -n 2 --dist worksteal $(RUNTIMES)

lint: $(READY)
	$(BIN)/ruff check --no-cache .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

check: lint types test

docs: $(READY)
	$(BIN)/python -m ablab.catalogue.page > docs/parts.md

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "ablab needs Python 3.11 or newer; name one with: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $(READY)

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
