# Every target works from a bare clone; `make help` lists them.

ARGS ?=
BIN := .venv/bin
# One more than there are cores: tests wait for disks and for programs that they start.
PYTEST := $(BIN)/pytest -n $$(($$(getconf _NPROCESSORS_ONLN) + 1)) --maxprocesses 4 --dist worksteal
CODE := $(wildcard src tests benchmarks examples)
STEP := @.ci/step

# Tests start hundreds of processes: each would compile the program anew, and each worker rewrite every test's asserts.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup demo test check conformance torture bench

help: ## list the targets
	@grep -E '^[a-z]+:.*## ' Makefile | sed -E 's/^([a-z]+):.*## /\1\t/' | expand -t 14

setup: .venv/.ready ## make .venv with heliograph and its tools in it

.venv/.ready: pyproject.toml constraints.txt tests/clients/node/package-lock.json .ci/setup
	@.ci/setup

demo: setup ## a month of a shop, from event to e-mail (ARGS="--exit --json FILE")
	@$(BIN)/heliograph demo $(ARGS)

test: setup ## the tests, in five minutes at most (ARGS=tests/core)
	@$(PYTEST) $(ARGS)

check: setup ## format, lint, types, import contracts, laws, and tests put to the test
	$(STEP) "format" $(BIN)/ruff format --check --output-format concise $(CODE)
	$(STEP) "lint" $(BIN)/ruff check --quiet --output-format concise $(CODE)
	$(STEP) "types" $(BIN)/mypy --no-error-summary $(CODE)
	$(STEP) "imports" $(BIN)/lint-imports --no-logo
	$(STEP) "laws" $(BIN)/pytest -q --no-header tests/laws
	$(STEP) "conformance" $(BIN)/python -m tests.conformance --sabotage 20 --only-drawn

conformance: setup ## how much of the source documents is proved (ARGS="--missing", "--sabotage N", "--only S4")
	@$(BIN)/python -m tests.conformance $(ARGS)

# Its tests are long and do not hang; to have their stacks told in the middle can end the interpreter.
torture: setup ## the full counts, about an hour; results go to docs/torture.md
	@HELIOGRAPH_TORTURE=1 $(BIN)/pytest -o faulthandler_timeout=0 -m "torture or torture_only" $(ARGS)

bench: setup .venv/peers/.ready ## measure against other engines, in hours (three minutes: ARGS="--quick --json FILE")
	@$(BIN)/python -m benchmarks $(ARGS)

.venv/peers/.ready: .venv/.ready
	@echo "installing what we are measured against into .venv/peers"
	@$(BIN)/python -m venv --clear --without-pip .venv/peers
	@$(BIN)/python -m pip --python .venv/peers/bin/python install --quiet --disable-pip-version-check --editable ".[bench]"
	@if command -v npm >/dev/null; then npm ci --prefix benchmarks/peers/node --ignore-scripts --no-audit --no-fund --silent; fi
	@touch $@
