# Needs make and Python 3.11 to 3.13, nothing else. Another interpreter: make test PYTHON=/path/to/python
SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help setup check test test-real mutations bench bench-detection demo format lock up engine

PYTHON ?=
CANDIDATES := python3 python3.13 python3.12 python3.11
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --prefer-binary
ARGS ?=

help:
	@echo 'make demo             drift on real data, against a broker and a store that come along (about 3 minutes)'
	@echo 'make test             all tests, the connected ones included   (ARGS="-k name" for some)'
	@echo 'make test-real        the connected tests on a real Apache Kafka and Redis (CONTRIBUTING.md says where from)'
	@echo 'make check            style, types, schemas, generated pages'
	@echo 'make mutations        whether the fault tests can fail: some fifty changes to the code, each must turn one red'
	@echo 'make bench            what an event costs, beside the ceiling and Faust (about 7 minutes; ARGS=--quick: 2)'
	@echo 'make bench-detection  false alarms and delays of every detector (minutes; FULL=1: a night)'
	@echo 'make format           bring style, schemas and generated pages up to date'
	@echo 'make lock             what the image is made of, anew: deploy/*.lock from pyproject.toml (ARGS=--upgrade)'
	@echo 'make up               all of it in containers, where Docker is at hand (ARGS="--profile demo": with events)'
	@echo 'make setup            only install, into .venv'
	@echo 'PYTHON=...            the interpreter to use (3.11 to 3.13; found by itself otherwise)'

setup: .venv/.dev

check: .venv/.dev
	$(BIN)/ruff check service tests deploy
	$(BIN)/ruff format --check service tests deploy
	$(BIN)/mypy
	$(BIN)/python -m driftline.contracts.schema --check
	$(BIN)/python -m driftline.docs --check
	$(BIN)/python deploy/grafana/dashboard.py --check

test: .venv/.dev
	$(BIN)/python -m pytest -n auto --maxprocesses 8 --dist worksteal $(ARGS)

test-real: .venv/.dev
	$(BIN)/python -m pytest --real $(ARGS)

mutations: .venv/.dev
	$(BIN)/python tests/faults/mutations.py $(ARGS)

demo: .venv/.demo
	$(BIN)/driftline demo $(ARGS)

bench: .venv/.dev
	PYTHONPATH=tests $(BIN)/python -m bench $(ARGS)

bench-detection: .venv/.dev
	PYTHONPATH=tests $(BIN)/python -m bench.detection $(ARGS)

format: .venv/.dev
	$(BIN)/ruff check --fix service tests deploy
	$(BIN)/ruff format service tests deploy
	$(BIN)/python -m driftline.contracts.schema
	$(BIN)/python -m driftline.docs
	$(BIN)/python deploy/grafana/dashboard.py

UV := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header

lock: | $(BIN)/python
	@$(INSTALL) uv
	$(UV) $(ARGS) deploy/build.in --output-file deploy/build.lock
	$(UV) $(ARGS) pyproject.toml --extra apprise --extra pictures --output-file deploy/requirements.lock

up: engine .env
	docker compose $(ARGS) build
	docker compose $(ARGS) up --detach

engine:
	@why=; docker compose version > /dev/null 2>&1 || why='there is no docker compose here'; \
	[ -n "$$why" ] || docker info > /dev/null 2>&1 || why='no Docker engine answers (docker info says why)'; \
	[ -z "$$why" ] || { echo "make up needs Docker with Compose, and $$why: https://docs.docker.com/engine/install/" >&2; \
	  echo 'Without Docker: make demo, or driftline run --embedded.' >&2; exit 1; }

# Passwords of its own; what is in .env already stays.
.env:
	@umask 077; random() { od -An -N18 -tx1 /dev/urandom | tr -d ' \n'; }; \
	sed -e "s/^REDIS_PASSWORD=$$/REDIS_PASSWORD=$$(random)/" -e "s/^GRAFANA_PASSWORD=$$/GRAFANA_PASSWORD=$$(random)/" \
	  .env.example > .env && echo 'made .env, with passwords of its own (Grafana: admin, GRAFANA_PASSWORD)'

.venv/.demo: pyproject.toml | $(BIN)/python
	@echo 'installing into .venv (the first time takes a minute) ...'
	@$(INSTALL) --editable '.[embedded,demo]'
	@touch $@

.venv/.dev: pyproject.toml | $(BIN)/python
	@echo 'installing into .venv (the first time takes a minute) ...'
	@$(INSTALL) --editable '.[embedded,demo,dev]'
	@touch $@ .venv/.demo

# A half-made .venv is removed: the next try begins anew.
$(BIN)/python:
	@found=; bare=; \
	for python in $(if $(PYTHON),'$(PYTHON)',$(CANDIDATES)); do \
	  "$$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null || continue; \
	  "$$python" -c 'import ensurepip, venv' 2>/dev/null || { bare=$$python; continue; }; \
	  found=$$python; break; \
	done; \
	if [ -z "$$found" ] && [ -n "$$bare" ]; then \
	  echo "$$bare cannot make a virtual environment: its venv module is missing." >&2; \
	  echo 'Install it (Debian, Ubuntu: apt-get install python3-venv), or say PYTHON=/path/to/another.' >&2; exit 1; \
	elif [ -z "$$found" ]; then \
	  echo 'Python 3.11, 3.12 or 3.13 is needed, and $(if $(PYTHON),$(PYTHON) is none,none was found).' >&2; \
	  echo 'Install one, or say where it is: make PYTHON=/path/to/python ...' >&2; exit 1; \
	fi; \
	"$$found" -m venv .venv || { rm -rf .venv; exit 1; }
