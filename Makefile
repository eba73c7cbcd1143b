# Everything a developer types. `make test` is what CI runs; on a bare Debian it installs what is missing (as root).

VENV := .venv
PYTHON := $(VENV)/bin/python
PACKAGES := tests/hosts/packages.sh

# Tests start hundreds of Python programs: they are compiled once.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo demo-stop test fast chaos lint format bench bench-large bench-scheduling bench-check fuzz soak page-pictures dist man audit clean engines

help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1 \t\2/p' $(MAKEFILE_LIST) | expand -t 20

demo: $(VENV)/ready engines ## start three real engines and a manager over them, and take a tour
	@$(PYTHON) -m tests.hosts.demo up

demo-stop: ## end the demo; nothing of it stays
	@if [ -x $(PYTHON) ]; then $(PYTHON) -m tests.hosts.demo down; fi

# On a bare machine, Debian's packages and Python's are installed side by side: each takes a minute.
test: ## run everything: lint, and all tests in groups side by side (root)
	@$(PACKAGES) python
	@$(PACKAGES) engines stores image browser chaos deploy & debian=$$!; \
	    $(MAKE) --no-print-directory $(VENV)/ready; python=$$?; \
	    wait $$debian && exit $$python
	@$(PYTHON) -m tests.run

fast: lint ## run lint and the tests that need no engines, stores or browser
	@$(PACKAGES) deploy
	@$(PYTHON) -m pytest -q -m "not engines and not image and not stores and not browser and not chaos"

chaos: $(VENV)/ready ## let faults befall real engines, managers and a store: make chaos SECONDS=600 SEED=1 STORE=etcd (root)
	@$(PACKAGES) engines stores chaos
	@$(PYTHON) -m tests.chaos $(if $(SECONDS),--seconds $(SECONDS)) $(if $(SEED),--seed $(SEED)) $(if $(STORE),--store $(STORE))

lint: $(VENV)/ready ## check style and types
	@$(PYTHON) -m ruff check .
	@$(PYTHON) -m ruff format --check .
	@$(PYTHON) -m mypy
	@$(PYTHON) -m mypy tests benchmarks container deploy

format: $(VENV)/ready ## rewrite the code as the linter wants it
	@$(PYTHON) -m ruff check --fix .
	@$(PYTHON) -m ruff format .

bench: $(VENV)/ready ## measure, against a direct engine and HAProxy, and membership in real stores
	@$(PACKAGES) benchmarks engines stores
	@$(PYTHON) -m benchmarks

bench-large: $(VENV)/ready ## measure with up to 10,000 simulated engines, and rewrite docs/performance*
	@$(PACKAGES) benchmarks
	@$(PYTHON) -m benchmarks.large --docs

bench-scheduling: $(VENV)/ready ## measure placements among up to 10,000 nodes, and rewrite docs/scheduling.*
	@$(PYTHON) -m benchmarks.scheduling --docs

bench-check: $(VENV)/ready ## measure, and fail if a row is 25 % worse against the direct engine than it was
	@$(PACKAGES) benchmarks engines
	@$(PYTHON) -m benchmarks --check
	@$(PYTHON) -m benchmarks.large --check

fuzz: $(VENV)/ready ## search each parser for what breaks it, SECONDS=60 for each, and the front for what it misreads
	@$(PYTHON) -m tests.fuzz --seconds $(or $(SECONDS),60)
	@FUZZ_RUNS=5000 FUZZ_SEED=$$$$ $(PYTHON) -m pytest -q tests/wire/test_mutations.py

soak: $(VENV)/ready ## load one manager with a million requests, and see that it keeps nothing of them
	@$(PYTHON) -m benchmarks.soak

page-pictures: $(VENV)/ready ## take the pictures of the cluster page in docs/ anew
	@$(PACKAGES) browser
	@$(PYTHON) -m tests.page.pictures

dist: $(VENV)/ready ## make what is shipped, in dist/: sdist, wheel, manual page and bill of materials
	@$(PYTHON) -m deploy.ship

man: $(VENV)/ready ## make the manual page, in dist/
	@mkdir -p dist
	@$(VENV)/bin/swarmproxy manual >dist/swarmproxy.1
	@echo "man dist/swarmproxy.1"

audit: $(VENV)/ready ## ask a vulnerability service about all that is installed: make audit SERVICE=URL (network)
	@$(PYTHON) -m deploy.audit $(if $(SERVICE),--service $(SERVICE)) $(if $(OR_TELL),--or-tell)

clean: demo-stop ## remove what was built, fetched and cached
	rm -rf $(VENV) .cache .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist /var/cache/swarmproxy-tests
	find . -name __pycache__ -prune -exec rm -rf {} +

engines: $(VENV)/ready
	@$(PACKAGES) engines

$(VENV)/ready: pyproject.toml
	@$(PACKAGES) python
	@python3 -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed")'
	@python3 -m venv $(VENV)
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check -e '.[test]'
	@touch $@
