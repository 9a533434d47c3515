# Livewall. Everything sets itself up: packages, web client, and as root what the tests need.
.DEFAULT_GOAL := help
.PHONY: help run test test-sql test-pg-cron spec docs lint fmt lock bench-media bench-publish bench-ledger bench-ops clean setup setup-dev web system balancer
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMPS := .stamps
PYTEST := $(BIN)/python -m pytest
# Tests wait as much as they work: three at a time keep two cores busy, each process with a
# PostgreSQL and browsers of its own.
SPREAD := -n 3 --dist worksteal
ARGS ?=

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 24

run: setup ## Set up, start everything and print the address
	@exec $(BIN)/livewall up

test: setup-dev system ## Run the tests: SQL on PostgreSQL 15, then everything on 18, in browsers too
ifeq ($(ARGS),)
	@rm -f .spec-result.json
	@echo "== SQL on PostgreSQL 15"
	@LIVEWALL_TEST_POSTGRES=15 $(PYTEST) -q -m sql $(SPREAD)
	@echo "== Everything on PostgreSQL 18, in browsers too"
	@$(PYTEST) -q $(SPREAD)
else
	@$(PYTEST) $(ARGS)
endif

test-sql: setup-dev ## Run only the tests of the database, on PostgreSQL 18
	@$(PYTEST) -q -m sql $(SPREAD) $(ARGS)

test-pg-cron: setup-dev $(STAMPS)/debian13 ## Run Debian 13's pg_cron 1.6 by the clock, in a folder of 700 MB (as root)
	@$(PYTEST) -q tests/pg_cron_seconds.py $(ARGS)

spec: setup-dev ## Show what the last test run proved (runs the tests if there was none)
	@[ -e .spec-result.json ] || $(MAKE) test
	@$(BIN)/python -m tests.spec_table

# Written beside and then moved: nothing reads a page that is half written.
docs: setup-dev ## Write the pages of docs/ that are made from the code
	@for page in configuration errors metrics preflight; do \
		$(BIN)/python -m livewall.$$page > docs/$$page.md.new; mv docs/$$page.md.new docs/$$page.md; done
	@$(BIN)/python -m tests.spec_table page > docs/spec.md.new; mv docs/spec.md.new docs/spec.md

lint: setup-dev ## Check style, types and SQL
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/basedpyright
	@$(BIN)/squawk src/livewall/sql/migrations/*.sql
	@$(BIN)/python hatch_build.py typecheck
	@folder=$$(mktemp -d); trap 'rm -rf "$$folder"' EXIT; export LIVEWALL_DATA_DIR=$$folder; \
		$(BIN)/livewall db migrate > /dev/null; $(BIN)/livewall db lint

fmt: setup-dev ## Format the code
	@$(BIN)/ruff check --fix-only .
	@$(BIN)/ruff format .

bench-media: setup-dev system ## Measure video: from a click to the first picture
	@$(BIN)/python -m bench.media

bench-publish: setup-dev system ## Measure the publish state: commands, leaves, losses, and starting
	@$(BIN)/python -m bench.publish $(ARGS)

bench-ledger: setup-dev ## Measure money: gifts a second, long histories, the proof
	@$(BIN)/python -m bench.ledger

bench-ops: setup-dev balancer ## Measure operating it: moving from the previous schema, a restore drill, preflight, restarts
	@$(BIN)/python -m bench.ops

lock: setup ## Pin every package again, by the newest that pyproject.toml allows
	@$(BIN)/uv pip compile -q --upgrade --universal --python-version 3.11 --generate-hashes --no-header \
		requirements/setup.in -o requirements/setup.txt
	@$(BIN)/uv pip compile -q --upgrade --universal --python-version 3.11 --generate-hashes --no-header \
		--extra demo --group dev pyproject.toml -o requirements/dev.txt
	@$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header \
		--extra demo --group build -c requirements/dev.txt pyproject.toml -o requirements/run.txt

clean: ## Remove what was built (the database in .livewall stays)
	@rm -rf $(VENV) $(STAMPS) src/livewall/web_dist web/node_modules .pytest_cache .ruff_cache \
		.hypothesis .spec-result.json
	@find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

setup: $(STAMPS)/run web

setup-dev: $(STAMPS)/dev web

web: $(STAMPS)/run
	@$(BIN)/python hatch_build.py

# uv installs in seconds what takes pip most of a minute; where it cannot work, pip does.
INSTALL = $(BIN)/uv pip install -q --python $(BIN)/python --require-hashes -r $(1) \
	|| $(BIN)/pip install -q --disable-pip-version-check --require-hashes -r $(1)

$(STAMPS)/venv: requirements/setup.txt
	@mkdir -p $(STAMPS)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Livewall needs Python 3.11 or newer: make $(MAKECMDGOALS) PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { \
		[ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
		&& apt-get update -qq && apt-get install -qq -y python3-venv >/dev/null; } || { \
		echo "Python lacks its venv module: sudo apt-get install python3-venv" >&2; exit 1; }
	@echo "Making $(VENV)"
	@rm -rf $(VENV) && $(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install -q --disable-pip-version-check --require-hashes -r requirements/setup.txt
	@touch $@

$(STAMPS)/run: $(STAMPS)/venv requirements/run.txt pyproject.toml
	@echo "Installing packages"
	@$(call INSTALL,requirements/run.txt)
	@$(BIN)/pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(STAMPS)/dev: $(STAMPS)/run requirements/dev.txt
	@echo "Installing what the tests need"
	@$(call INSTALL,requirements/dev.txt)
	@touch $@

# Debian 12 has a pg_cron without seconds. This one is whole, and nothing of it is installed here.
$(STAMPS)/debian13: | $(STAMPS)/dev
	@command -v debootstrap >/dev/null || { apt-get update -qq && apt-get install -qq -y --no-install-recommends debootstrap >/dev/null; }
	@echo "Making $@"
	@rm -rf $@.part
	@debootstrap --variant=minbase --include=postgresql-17,postgresql-17-cron trixie $@.part >$@.log
	@mv $@.part $@ && rm $@.log

# The tests drive Debian's Chromium, also run on Debian's PostgreSQL 15, there with pg_cron
# too, behind its PgBouncer, and ask its coturn for a way.
system:
	@missing=""; \
	command -v chromium >/dev/null || missing="$$missing chromium"; \
	[ -x /usr/lib/postgresql/15/bin/postgres ] || missing="$$missing postgresql-15"; \
	[ -e /usr/lib/postgresql/15/lib/pg_cron.so ] || missing="$$missing postgresql-15-cron"; \
	[ -x /usr/sbin/pgbouncer ] || missing="$$missing pgbouncer"; \
	command -v turnserver >/dev/null || missing="$$missing coturn"; \
	$(call INSTALL_FROM_DEBIAN,tests)

# Servers that restart are measured behind nginx.
balancer:
	@missing=""; \
	[ -x /usr/sbin/nginx ] || command -v nginx >/dev/null || missing=" nginx-light"; \
	$(call INSTALL_FROM_DEBIAN,benches)

define INSTALL_FROM_DEBIAN
	[ -z "$$missing" ] && exit 0; \
	if [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then \
		echo "The $(1) need$$missing: sudo apt-get install$$missing" >&2; exit 1; fi; \
	echo "Installing$$missing"; \
	if [ ! -e /etc/postgresql-common/createcluster.conf ]; then \
		mkdir -p /etc/postgresql-common; \
		echo "create_main_cluster = false" > /etc/postgresql-common/createcluster.conf; fi; \
	export DEBIAN_FRONTEND=noninteractive; \
	apt-get update -qq && apt-get install -qq -y --no-install-recommends $$missing >/dev/null
endef
