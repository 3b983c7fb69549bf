# make demo    set everything up and compare five arms on sample_tiles/
# make test    the whole test suite, in WORKERS processes     make check   format, lint, types, floors
# make bench   benchmarks (ratios)

PYTHON  ?= python3
WORKERS ?= 2
VENV    := .venv
BIN     := $(VENV)/bin
ARMS    := fp32,int8,w4a4-minmax,w4a4-percentile,w4a4-spatial

.PHONY: demo test check bench format clean
.DEFAULT_GOAL := demo

$(VENV)/.installed: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

# erqa is the reference that our ERQA is tested against. It asks for opencv-python, which does not go together with
# opencv-python-headless: so it comes without its dependencies, which are all here.
$(VENV)/.tested: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --editable ".[test]"
	$(BIN)/python -m pip install --quiet --no-deps erqa==1.1.2
	touch $@

demo: $(VENV)/.installed
	$(BIN)/hedgerow compare sample_tiles -o demo_out --arms $(ARMS) --truth auto --overwrite

test: $(VENV)/.tested
	$(BIN)/pytest -m "not slow" -n $(WORKERS) --dist loadfile

check: $(VENV)/.tested
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

bench: $(VENV)/.tested
	$(BIN)/python tests/bench/bench.py

format: $(VENV)/.tested
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) demo_out .mypy_cache .ruff_cache .pytest_cache .hypothesis dist
