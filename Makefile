# The commands of the README. Only Python >= 3.11, make and a package registry are needed.
PYTHON ?= python3
VENV := .venv
SEED ?= 1
MINUTES ?= 10
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo dev test year bench faults campaign check lock clean

demo: $(STAMP)
	$(BIN)/moorline demo

dev: $(STAMP)
	@exec $(BIN)/moorline dev

# Two at a time, each with servers of its own: most tests wait for something most of the time.
test: $(STAMP)
	$(BIN)/pytest -n 2 --dist worksteal

year: $(STAMP)
	$(BIN)/pytest -m year

bench: $(STAMP)
	$(BIN)/python -m benchmarks

faults: $(STAMP)
	$(BIN)/python -m campaign.sweep
	$(BIN)/python -m campaign --seed 1 --minutes 3 --connections 30

campaign: $(STAMP)
	$(BIN)/python -m campaign --seed $(SEED) --minutes $(MINUTES)

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

# Resolves the newest versions into requirements.lock: names, versions and hashes, no index named.
lock: $(STAMP)
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-header --all-extras pyproject.toml --output-file requirements.lock

clean:
	rm -rf $(VENV) .moorline

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Moorline needs Python 3.11 or newer; set PYTHON=... to name one") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $(STAMP)
