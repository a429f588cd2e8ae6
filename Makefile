# pctnode: `make` alone lists what there is to run.
SHELL := /bin/bash
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
SERIES ?=
KILLS ?= 1000
SEED ?=

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev demo serve test unit lint fmt types assets audit crash day fuzz soak interop bench export throughput trust peers scale meaning proving

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-10s %s\n", $$1, $$2}'

$(BIN)/python:
	@.ci/venv.sh $(PYTHON) $(VENV)

$(VENV)/.base: requirements.lock pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

$(VENV)/.dev: .ci/requirements-dev.lock $(VENV)/.base
	@# torch first and pinned: whatever depends on it must not choose another build
	$(BIN)/python -m pip install --quiet --disable-pip-version-check torch==2.13.0
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r .ci/requirements-dev.lock
	@touch $@

setup: $(VENV)/.base ## install what the node needs to run

setup-dev: $(VENV)/.dev ## install what tests, lint and training need as well

peers: ## install the real DICOM peers the tests drive (Debian, as root)
	@.ci/peers.sh

demo: $(VENV)/.base ## run the main job once, end to end (SERIES=folder for your own MR)
	$(BIN)/pctnode demo $(SERIES)

serve: $(VENV)/.base ## run the node until it is stopped
	$(BIN)/pctnode serve

lint: $(VENV)/.dev ## ruff, mypy, import rules, no medical images
	@.ci/refuse_dicom.sh
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

fmt: $(VENV)/.dev ## format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(VENV)/.dev ## mypy alone
	$(BIN)/mypy

test: $(VENV)/.dev peers lint ## everything CI runs
	$(BIN)/pytest -n 2 --dist loadgroup $(if $(CI),--require-peers) -m "not crash or not slow"

unit: $(VENV)/.dev ## the quick unit tests of node: no sockets, no peers, no browser
	$(BIN)/pytest -q -n 2 tests/unit --ignore tests/unit/models -m "not long and not slow and not interop and not postgres and not realdata"

crash: $(VENV)/.dev peers ## named crash points, faults, and KILLS=1000 kills at random (SEED=n)
	$(BIN)/pytest -m crash
	$(BIN)/python -m tests.crash.storm --kills $(KILLS) $(if $(SEED),--seed $(SEED))

scale: $(VENV)/.dev ## what 10 to 100,000 series cost
	$(BIN)/python -m tests.scale.measure

fuzz: $(VENV)/.dev peers ## fuzzed series, data sets and PDUs: all of them, not a sample
	$(BIN)/pytest tests/fuzz --fuzz

meaning: $(VENV)/.dev ## 2,000 live series as the field sends them: what may leave, and what may not (SEED=n)
	$(BIN)/python -m tests.field.fuzz $(if $(SEED),--seed $(SEED))

proving: $(VENV)/.dev peers ## FAULTS=250 faults of every kind on one host, as many on several, and a judge (SEED=n)
	$(BIN)/python -m tests.proving --faults $(or $(FAULTS),250) $(if $(SEED),--seed $(SEED))
	$(BIN)/python -m tests.proving --several --faults $(or $(FAULTS),250) $(if $(SEED),--seed $(SEED))

soak: $(VENV)/.dev peers ## ten minutes with 50 misbehaving and 4 honest peers
	$(BIN)/pytest tests/soak --soak

day: $(VENV)/.dev peers ## a hospital's day, 300 series, pressed into ten minutes
	$(BIN)/python -m tests.soak.day

throughput: $(VENV)/.dev peers ## series a minute with one, two and three workers on PostgreSQL
	$(BIN)/python -m tests.distributed.throughput

$(VENV)-audit/.done: .ci/requirements-audit.lock
	@.ci/venv.sh $(PYTHON) $(VENV)-audit
	$(VENV)-audit/bin/python -m pip install --quiet --disable-pip-version-check -r .ci/requirements-audit.lock
	@touch $@

audit: $(VENV)-audit/.done ## known vulnerabilities of every pinned package
	$(VENV)-audit/bin/python .ci/audit.py

interop: $(VENV)/.dev peers ## the tests that drive real peers
	$(BIN)/pytest -m "interop or orthanc" $(if $(CI),--require-peers)

assets: ## fetch the page's scripts, fonts and icons anew (npm, by the lock file)
	cd .ci/assets && npm ci --ignore-scripts --no-audit --no-fund && node vendor.mjs

trust: $(VENV)/.dev ## inject hundreds of gross faults: make trust MODEL=name VERSION=x.y.z
	$(BIN)/python -m models.studies.trust models/$(MODEL).toml onnx/$(MODEL)/$(VERSION)

bench: $(VENV)/.dev peers ## measure everything beside its peers, in one table (KEEP=1 adds it to the history)
	$(BIN)/python -m tests.bench $(if $(KEEP),--keep)
	$(BIN)/python -m tests.bench.query_retrieve

export: $(VENV)/.dev ## export a trained model: make export MODEL=name
	$(BIN)/python -m models.export models/$(MODEL).toml
