# Créneau on one machine. Needs Python 3.11 or newer and make; everything else comes from packages.

PYTHON ?= $(firstword $(shell command -v python3.11 python3.12 python3.13 python3))
BIN := .venv/bin
DISTRIBUTIONS := shared $(patsubst %/pyproject.toml,%,$(wildcard services/*/pyproject.toml))
PACKAGES := creneau_french $(addprefix creneau_,$(notdir $(DISTRIBUTIONS))) deploy tests

# What is installed is known by the content of what it was installed from.
RUN_KEY := $(shell cat deploy/requirements/run.txt $(DISTRIBUTIONS:=/pyproject.toml) | cksum | cut -d' ' -f1)
DEV_KEY := $(shell cat deploy/requirements/dev.txt $(DISTRIBUTIONS:=/pyproject.toml) | cksum | cut -d' ' -f1)
RUN := .venv/.run-$(RUN_KEY)
DEV := .venv/.dev-$(DEV_KEY)

# Settings given as `make run BROKER=kafka` reach the programs.
export BROKER CRENEAU_PORT CRENEAU_HOST CRENEAU_FOLDER

.DEFAULT_GOAL := help
.PHONY: help run stop clean token demo scale-data test test-slow fuzz resilience walks lint lint-types lint-rest tour review bench bench-scale cost lock

help: ## these lines
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(RUN) ## everything on this machine, in the foreground (BROKER=kafka, CRENEAU_PORT=8080)
	@exec $(BIN)/python -m deploy.local.run

stop: $(RUN) ## end a running `make run`
	@$(BIN)/python -m deploy.local.stop

token: $(RUN) ## a bearer token: ROLE=patient [SUB=…] (ORGANIZATION, PRACTITIONER, PATIENT, FOR: docs/guides/roles.md)
	@$(BIN)/python -m deploy.local.tokens $(ROLE) $(if $(SUB),"$(SUB)") $(if $(PATIENT),--patient "$(PATIENT)") \
	  $(if $(ORGANIZATION),--organization "$(ORGANIZATION)") $(if $(PRACTITIONER),--practitioner "$(PRACTITIONER)") \
	  $(if $(FOR),--for "$(FOR)")

demo: $(RUN) ## the main job told on the terminal, against a running `make run`
	@$(BIN)/python -m deploy.demo.tell

scale-data: $(RUN) ## a fictional France into a directory: DATABASE_URL, [PROFESSIONALS=250000] [SITUATIONS=1200000] [TOWN=35238]
	@$(BIN)/python -m deploy.scale $(if $(PROFESSIONALS),--professionals $(PROFESSIONALS)) \
	  $(if $(SITUATIONS),--situations $(SITUATIONS)) $(if $(TOWN),--town $(TOWN)) $(if $(SEED),--seed $(SEED))

# Loading a region takes longer than most tests: it is done once for those who look at it.
ON_THE_DEMONSTRATION := tests/e2e/test_demo.py tests/walks tests/browser

SIDE_BY_SIDE := -n 4 --dist loadfile --no-loadscope-reorder

test: $(DEV) ## every test but the slow ones (ONLY=services/booking: those of a folder, a file or a test)
ifdef ONLY
	$(BIN)/pytest -m "not slow" $(if $(filter-out tests/%,$(ONLY)),$(SIDE_BY_SIDE)) $(ONLY)
else
	$(BIN)/pytest $(SIDE_BY_SIDE) -m "not slow" $(addprefix --ignore=tests/,e2e resilience load browser walks)
	@echo "Whole systems side by side: the pages in a browser on the demonstration's data, and what crosses services without …"
	@$(BIN)/pytest -m "not slow" $(ON_THE_DEMONSTRATION) & pages=$$!; \
	  DEMONSTRATION=off $(BIN)/pytest -m "not slow" $(addprefix --ignore=,$(ON_THE_DEMONSTRATION)) tests/e2e tests/resilience; \
	  code=$$?; wait $$pages && exit $$code
endif

test-slow: $(DEV) ## long resilience and load tests
	$(BIN)/pytest -m slow

fuzz: $(DEV) ## a longer fuzz of the running API from its own description (EXAMPLES=40 of each operation)
	CRENEAU_FUZZ_EXAMPLES=$(or $(EXAMPLES),40) $(BIN)/pytest -s tests/conformance/test_fuzz.py

lint: $(DEV) ## style, types, who may know whom, migrations, generated descriptions
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=line lint-types lint-rest

lint-types:
	$(BIN)/mypy $(addprefix -p ,$(PACKAGES))
	$(BIN)/mypy conftest.py $(wildcard $(DISTRIBUTIONS:=/tests))

lint-rest:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/python -m deploy.check_migrations
	$(BIN)/python -m deploy.contracts --check

resilience: $(DEV) ## 20 rounds of the races, and every part killed during 2,000 bookings
	DEMONSTRATION=off $(BIN)/pytest -s -m slow tests/resilience

walks: $(DEV) ## people who go through the pages as chance has it (WALKS=3 of a thousand steps)
	$(BIN)/pytest -s -m slow tests/walks

tour: $(DEV) ## a browser is led through one booking and leaves docs/pictures (SITE=http://… : of a running system)
	@$(BIN)/python -m tests.browser.tour $(if $(SITE),--site "$(SITE)")

review: $(DEV) ## a picture of every page in every state, beside what a person has to judge (SITE=http://… FOLDER=… : of a running system)
	@$(BIN)/python -m tests.browser.review $(if $(SITE),--site "$(SITE)") $(if $(FOLDER),--running-in "$(FOLDER)")

bench: $(DEV) ## the benchmarks, each beside its yardstick
	@$(BIN)/python -m tests.load.bench
	@$(BIN)/python -m tests.load.pages
	@$(BIN)/python -m tests.load.openings
	@$(BIN)/python -m tests.load.sync

bench-scale: $(DEV) ## those at the size of a country: 250,000 professionals, 10 million slots (an hour)
	@AGENDAS=250000 $(BIN)/python -m tests.load.soonest
	@$(BIN)/python -m tests.load.slot_growth
	@$(BIN)/python -m tests.load.care

cost: $(DEV) ## what one of each operation costs: statements, WAL, CPU (COST_OPERATIONS=100 of each)
	@$(BIN)/python -m tests.load.cost

clean: ## remove everything that runs have kept (databases, mail, logs, keys)
	@if [ -x $(BIN)/python ]; then $(BIN)/python -m deploy.local.stop; fi
	@rm -rf "$${CRENEAU_FOLDER:-.creneau}"

lock: ## after a change of dependencies: lock them and export the requirements (needs uv)
	uv lock
	$(EXPORT) --group local --output-file deploy/requirements/run.txt > /dev/null
	$(EXPORT) --group local --group dev --output-file deploy/requirements/dev.txt > /dev/null

EXPORT := uv export --frozen --no-emit-workspace --no-header --no-annotate --no-default-groups

# Standard output stays for what was asked (a token): installing talks on the other one.
INSTALL = $(BIN)/python -m pip install --disable-pip-version-check --no-input --quiet
EDITABLE = $(INSTALL) --no-deps --no-build-isolation $(addprefix -e ./,$(DISTRIBUTIONS))

$(RUN): | $(BIN)/pip
	@if [ ! -e $(DEV) ]; then echo "Installing Créneau (once) …" >&2; \
	  $(INSTALL) --require-hashes -r deploy/requirements/run.txt >&2 && $(EDITABLE) >&2; fi
	@rm -f .venv/.run-* && touch $@

$(DEV): | $(BIN)/pip
	@echo "Installing Créneau and its development tools (once) …" >&2
	@$(INSTALL) --require-hashes -r deploy/requirements/dev.txt >&2
	@$(EDITABLE) >&2
	@rm -f .venv/.dev-* && touch $@

$(BIN)/pip:
	@if [ -z "$(PYTHON)" ]; then echo "Python 3.11 or newer is needed" >&2; exit 1; fi
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed")'
	@$(PYTHON) -m venv .venv >&2
