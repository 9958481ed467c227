PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test coverage lint

$(VENV)/.installed: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -e ".[dev]"
	touch $@

demo: $(VENV)/.installed
	$(BIN)/mise-hf demo --overwrite

test: $(VENV)/.installed
	$(BIN)/python -m pytest

# Lines that run in child processes (the demo's cells, fresh interpreters) are counted too, which slows the demo threefold.
coverage: $(VENV)/.installed
	$(BIN)/python -m pytest --cov --timeout 2400 --cov-report=term:skip-covered

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
