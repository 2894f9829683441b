# Two commands on a fresh machine: `make run` and `make test`. Each sets up what it needs.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# A file's tests share what takes long to make, so they stay together; the longest files come first.
TESTS := $(BIN)/python -m pytest --numprocesses=logical --maxprocesses=4 --dist=loadfile --no-loadscope-reorder
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check

.PHONY: run dev test test-quick test-busy lint bench chaos setup setup-dev lock clean

run: setup
	@$(BIN)/ecauto run

dev: setup
	@$(BIN)/ecauto dev

test: setup-dev
	@$(TESTS)

# Without what takes long: Dagster's UI, storms, processes of their own.
test-quick: setup-dev
	@$(TESTS) -m "not ui and not chaos and not process"

# Nothing may depend on how fast the machine is.
test-busy: setup-dev
	@$(BIN)/python -m ecauto_pipeline_tests.busy 8 $(TESTS)

lint: setup-dev
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/pyright
	@$(BIN)/lint-imports

bench: setup-dev
	@$(BIN)/python -m ecauto_pipeline_bench

# The last one runs without the fence and succeeds only if it sees duplicates.
chaos: setup-dev
	@$(BIN)/python -m ecauto_pipeline_tests.chaos.storm --uploads 2000 --kills 200 --stops 200 --database sqlite
	@$(BIN)/python -m ecauto_pipeline_tests.chaos.storm --uploads 2000 --kills 200 --stops 200 --database postgres
	@$(BIN)/python -m ecauto_pipeline_tests.chaos.storm --uploads 2000 --kills 200 --stops 200 --no-fence

setup: $(VENV)/installed

setup-dev: $(VENV)/installed-dev

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: requirements.lock pyproject.toml | $(BIN)/python
	$(PIP) install --require-hashes -r requirements.lock
	$(PIP) install --no-deps -e .
	@touch $@

$(VENV)/installed-dev: requirements-dev.lock $(VENV)/installed
	$(PIP) install --require-hashes -r requirements-dev.lock
	@touch $@

lock: | $(BIN)/python
	$(PIP) install uv
	$(BIN)/uv pip compile --universal --generate-hashes --no-strip-extras --no-header -o requirements.lock pyproject.toml
	$(BIN)/uv pip compile --universal --generate-hashes --no-strip-extras --no-header --extra dev -c requirements.lock -o requirements-dev.lock pyproject.toml

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis
