# The same commands here and in CI. The first one creates .venv and installs everything pinned.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin

.PHONY: bench test lint speed install

bench: $(VENV)/.installed
	$(RUN)/pytest benches -k keep_topk

test: $(VENV)/.installed
	$(RUN)/pytest

lint: $(VENV)/.installed
	$(RUN)/ruff check
	$(RUN)/ruff format --check
	$(RUN)/mypy
	$(RUN)/lint-imports

speed: $(VENV)/.installed
	$(RUN)/python benches/speed/sweep.py
	$(RUN)/python benches/speed/steps.py
	$(RUN)/python benches/speed/page.py
	$(RUN)/python benches/speed/cases.py
	$(RUN)/python benches/speed/sandbox.py

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	test -x $(RUN)/python || $(PYTHON) -m venv $(VENV)
	$(RUN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@
