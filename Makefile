# Nothing but Python (3.11 or newer), make and git is needed; the rest is installed into $(VENV).

VENV ?= .venv
OUT ?= demo_output
PYTEST_ARGS ?=
BENCH_ARGS ?=

.PHONY: help demo test lint format bench docs clean
.DEFAULT_GOAL := help

help:  ## Show what can be made
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

demo:  ## Segment two sample images with the bundled models into demo_output/
	@scripts/setup_env.sh $(VENV) demo
	@$(VENV)/bin/napari-sartorius demo --out $(OUT)
	@echo "OK: both samples are segmented; the results are in $(OUT)/"

test:  ## Run every check and every test
	@scripts/setup_env.sh $(VENV) test
	@scripts/check.sh $(VENV) all $(PYTEST_ARGS)

lint:  ## Run the checks without the tests
	@scripts/setup_env.sh $(VENV) test
	@scripts/check.sh $(VENV) lint

format:  ## Let ruff rewrite what it can
	@scripts/setup_env.sh $(VENV) test
	@$(VENV)/bin/ruff check --fix . ; $(VENV)/bin/ruff format .

bench:  ## Measure speed and memory; writes benchmarks/RESULTS.md
	@scripts/setup_env.sh $(VENV) test
	@scripts/with_display.sh $(VENV)/bin/python $(VENV)/bin/python benchmarks/run.py $(BENCH_ARGS)

docs:  ## Build the documentation into site/
	@scripts/setup_env.sh $(VENV) docs
	@$(VENV)/bin/python scripts/model_pages.py
	@NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build --strict --quiet
	@echo "OK: the documentation is in site/index.html"

clean:  ## Remove what make made
	rm -rf $(VENV) site build dist demo_output .mypy_cache .ruff_cache .pytest_cache .hypothesis
