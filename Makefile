# Everything a newcomer needs; `make` alone lists it.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
# two workers with one thread each do more than two with all threads each
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n auto --maxprocesses 4 --dist loadgroup --durations 30 --durations-min 10

.DEFAULT_GOAL := help
.PHONY: help setup run boards chromium test test-all nightly lint bench bench-conversion docs pages clean

help:
	@echo "make setup     virtual environment with everything pinned, caches warmed (two minutes, once)"
	@echo "make run       the whole way on scikit-learn's digits: train, convert, simulate, synthesise, report"
	@echo "make boards    a bitstream of the digits for every board; goes on where it was stopped; ONLY=icebreaker one of them"
	@echo "make test      the quick tests      make test-all  the long ones too"
	@echo "make chromium  the browser of the tests that look at pages, which make test brings in by itself"
	@echo "make nightly   300 random networks in gates against the golden model, 10,000 hostile frames; SEED=2 draws others"
	@echo "make lint      ruff and mypy        make docs      the site, and what its pages run"
	@echo "make pages     the pages of docs/ that are made: commands, Python, results, figures"
	@echo "make bench     measures the figures of docs/results/ again; ONLY=plan one of them"
	@echo "make bench-conversion   what the papers' conversion methods reach, and SpikingJelly's; ONLY=peers one of them"
	@echo "make clean     removes what runs leave behind; the virtual environment stays"

setup: $(READY)

$(READY): pyproject.toml requirements/constraints.txt requirements/install.py
	@$(PYTHON) requirements/install.py $(VENV)

run: $(READY)
	@$(BIN)/spikeloom demo --output run

chromium: .cache/chromium/.ready

# a browser for the tests of pages, with all it needs; no root, no packages of the system
.cache/chromium/.ready: requirements/chromium.py requirements/chromium.txt | $(READY)
	@$(BIN)/python requirements/chromium.py .cache/chromium

boards: $(READY)
	@$(BIN)/python -m spikeloom_cli.bench.boards --output docs/results $(addprefix --only ,$(ONLY))

test: $(READY) chromium
	$(PYTEST) -m "not slow"

test-all: $(READY) chromium
	$(PYTEST)

nightly: $(READY)
	SPIKELOOM_SEED=$(or $(SEED),0) $(PYTEST) -vv -m slow tests/rtl/test_random_deep.py tests/rtl/test_link_hostile.py

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(READY)
	@$(BIN)/python -m spikeloom_cli.bench --output docs/results $(addprefix --only ,$(ONLY))

bench-conversion: $(READY) .cache/peers/.ready
	@$(BIN)/python -m spikeloom_cli.bench --output docs/results --papers $(addprefix --only ,$(ONLY))

# SpikingJelly, to be compared with; without what it asks for besides (torchvision, tensorboard), which it does not use here
.cache/peers/.ready: requirements/peers.txt
	@$(BIN)/python -m pip install -q --no-deps --upgrade --target .cache/peers -r requirements/peers.txt
	@touch $@

# the site in build/site, and its code blocks, commands, figures and links
docs: $(READY)
	$(BIN)/mkdocs build -q --strict -f docs/site/mkdocs.yml
	$(PYTEST) tests/docs

pages: $(READY)
	@$(BIN)/python -m spikeloom_cli.pages --docs docs

clean:
	rm -rf run build results.xml .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find hw sw sim tests -name __pycache__ -type d -prune -exec rm -rf {} +
