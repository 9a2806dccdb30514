# Every task of this repository; `make` alone lists them. ARGS goes to the program that a task starts.

.DEFAULT_GOAL := help
.NOTPARALLEL:

ARGS ?=
# Files of tests side by side: most of the time of most of them is waiting.
PARALLEL ?= -n 2 --dist loadfile
PYTHON ?=
UV ?= uv

# What a user's own settings of Python and pip must not change here: where packages go, and which modules are found.
unexport PYTHONPATH PYTHONHOME PIP_TARGET PIP_PREFIX PIP_CONSTRAINT
export PIP_USER := 0
export PIP_NO_INPUT := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_ROOT_USER_ACTION := ignore

# An environment works only where it was made and while its Python is there; otherwise it is made anew.
ifneq ($(shell .venv/bin/python -c '' 2>/dev/null && cat .venv/.made),$(CURDIR))
.PHONY: .venv/.made
endif

define MAKE_VENV
set -- $(if $(PYTHON),"$(PYTHON)",python3.13 python3.12 python3.11 python3); \
for python do \
    "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue; \
    "$$python" -c 'import ensurepip, venv' 2>/dev/null || { bare="$${bare:-$$python}"; continue; }; \
    echo "Making .venv with $$("$$python" -V)."; \
    "$$python" -m venv --clear .venv && pwd -P > .venv/.made; exit; \
done; \
if [ -n "$$bare" ]; \
then echo "$$bare lacks the modules venv and ensurepip (Debian and Ubuntu: install the package python3-venv)."; \
else echo "Numberdesk needs Python 3.11 or newer, and found none as: $$*. Install one, or name it: PYTHON=/path/to/it."; \
fi >&2; exit 1
endef

# Every file is checked against its hash, so it does not matter which index or folder it comes from. The package itself
# needs nothing from outside and is installed without looking there.
define INSTALL
echo "Installing the locked packages of $<: about a minute when they must be fetched."
.venv/bin/python -m pip install -qq --require-hashes -r $<
PIP_CONFIG_FILE=/dev/null .venv/bin/python -m pip --isolated install -qq --no-index --no-deps --no-build-isolation -e .
touch $@
endef

.venv/.made:
	@$(MAKE_VENV)

.venv/.run-stamp: requirements/run.txt pyproject.toml CHANGELOG.md .venv/.made
	@$(INSTALL)

.venv/.test-stamp: requirements/test.txt pyproject.toml CHANGELOG.md .venv/.made
	@$(INSTALL)

.venv-clients/.stamp: requirements/clients.txt .venv/.made
	@echo "Installing the clients of others that the protocol is tried with."
	@.venv/bin/python -m venv --clear .venv-clients
	@.venv-clients/bin/python -m pip install -qq --require-hashes -r $<
	@touch $@

.PHONY: help
help:
	@awk 'BEGIN { FS = ":.*## " } \
	    /^##@ / { printf "\n%s\n", substr($$0, 5) } \
	    /^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

##@ Run

.PHONY: run
run: .venv/.run-stamp  ## Start a demonstration: its own database, providers, a customer (ARGS="--port 3000")
	@exec .venv/bin/numberdesk demo $(ARGS)

##@ Test

.PHONY: test clients check bench bench-upstream bench-reports
test: .venv/.test-stamp .venv-clients/.stamp  ## Run the tests (ARGS="tests/wallet -k refund")
	@.venv/bin/python -m pytest $(if $(ARGS),,$(PARALLEL)) $(ARGS)

clients: .venv/.test-stamp .venv-clients/.stamp  ## Run unmodified clients of others against a running server
	@.venv/bin/python -m pytest tests/clients $(ARGS)

check: format-check lint types arrows test  ## Run all that CI runs: format, lint, types, arrows, tests

bench: .venv/.test-stamp  ## Measure, as ratios against bounds of the same run; writes bench/results.json
	@.venv/bin/python -m bench $(ARGS)

bench-upstream: .venv/.test-stamp  ## Count the provider's calls for each delivered code, with few and many open orders
	@.venv/bin/python -m bench.upstream $(ARGS)

bench-reports: .venv/.test-stamp  ## Measure reports on 1,000,000 past orders, and keep their plans in docs/
	@timeout 1200 .venv/bin/python -m bench.reports --plans docs/reports-plans.txt $(ARGS)

##@ Develop

.PHONY: format format-check lint types arrows docs lock clean
format: .venv/.test-stamp  ## Format the code and repair what lint can repair
	@.venv/bin/ruff check --quiet --fix-only .
	@.venv/bin/ruff format .

format-check: .venv/.test-stamp
	@.venv/bin/ruff format --check --output-format concise .

lint: .venv/.test-stamp  ## Look for mistakes and broken habits
	@.venv/bin/ruff check .

types: .venv/.test-stamp  ## Check the types
	@.venv/bin/mypy

arrows: .venv/.test-stamp  ## Check which part of the program imports which
	@.venv/bin/lint-imports --no-logo

docs: .venv/.test-stamp  ## Renew the documents that are made from the code (ARGS="docs/settings.md")
	@.venv/bin/python -m tests.architecture.renew $(ARGS)

COMPILE = $(UV) --no-config --quiet pip compile --generate-hashes --universal --python-version 3.11 \
    --custom-compile-command "make lock" $(ARGS)
OURS = pyproject.toml --extra embedded

lock:  ## Pin the dependencies of pyproject.toml with their hashes, by uv (ARGS="--upgrade")
	@command -v $(UV) >/dev/null || { echo "Locking needs uv: install it, or name it with UV=/path/to/it." >&2; exit 1; }
	@$(COMPILE) $(OURS) --group build --output-file requirements/run.txt
	@$(COMPILE) $(OURS) --group dev --constraints requirements/run.txt --output-file requirements/test.txt
	@$(COMPILE) --group clients --output-file requirements/clients.txt

clean:  ## Remove .venv and everything made by tools; a database of yours stays
	@rm -rf .venv .venv-clients .mypy_cache .ruff_cache .import_linter_cache .hypothesis dist
	@find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +

##@ Prove

.PHONY: proof-receipts proof-unknown
proof-receipts: .venv/.test-stamp  ## Deliver 100,000 payments three times through two processes: each is credited once
	@.venv/bin/python -m pytest -q -s --timeout 3600 tests/races/test_receipts.py --receipts 100000 $(ARGS)

proof-unknown: .venv/.test-stamp  ## Lose the answers of 10,000 purchases: each is linked or given back, none bought twice
	@.venv/bin/python -m pytest -q -s --timeout 3600 tests/races/test_unknown.py --unknown 10000 $(ARGS)

.PHONY: fresh
fresh:  ## Clone the last commit into an empty folder, start it there, buy a number, run the tests
	@tests/fresh.sh
