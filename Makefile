# Each target sets everything up by itself, on a fresh clone too.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PYTEST_ARGS ?= -n auto --dist worksteal

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint coverage bench openapi clean

help:
	@echo "make demo      two real servers, real data, every way of synchronising (POSTGRES=1, KEEP=1)"
	@echo "make test      all tests, on SQLite and a real PostgreSQL (PYTEST_ARGS=...)"
	@echo "make lint      format, lint, types, layers"
	@echo "make coverage  the tests with branch coverage, at least 95 %"
	@echo "make bench     the figures beside plain COPY"
	@echo "make openapi   openapi.yaml and the page to read it, from the code"

setup: $(STAMP)

$(STAMP): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev,postgres]'
	@touch $@

demo: $(STAMP)
	POSTGRES="$(POSTGRES)" KEEP="$(KEEP)" $(BIN)/python example/demo.py

test: $(STAMP)
	$(BIN)/python -m pytest $(PYTEST_ARGS)

lint: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

coverage: $(STAMP)
	$(BIN)/python -m pytest $(PYTEST_ARGS) --cov --cov-report=term --cov-fail-under=95

bench: $(STAMP)
	$(BIN)/python benchmarks/run.py $(BENCH_ARGS)

openapi: $(STAMP)
	PYTHONPATH=.:api $(BIN)/python -m tests.openapi

clean:
	rm -rf $(VENV) dist build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
