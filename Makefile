# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
#
# "make help" lists the targets. Every target that runs something first sets up what is missing.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

PYTHON ?= python3
ROOT := $(patsubst %/,%,$(dir $(abspath $(lastword $(MAKEFILE_LIST)))))
BUILD := $(ROOT)/.build
VENV := $(BUILD)/venv
BIN := $(VENV)/bin
STAMPS := $(BUILD)/stamps
OLDEST_SDK := $(BUILD)/oldest-sdk
COLLECTION := $(BUILD)/collections/ansible_collections/goldenimage/azure

# File system tools lie in sbin, which an ordinary user's path may not have.
export PATH := $(BIN):$(PATH):/usr/sbin:/sbin
export ANSIBLE_COLLECTIONS_PATH := $(BUILD)/collections
export ANSIBLE_HOME := $(BUILD)/ansible
export PYTHONDONTWRITEBYTECODE := 1

.PHONY: help
help: ## List the targets
	@awk -F':.*## ' '/^[a-z][a-z-]*:.*## /{printf "  %-20s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

##### set-up #####

.PHONY: setup
setup: $(STAMPS)/system $(STAMPS)/python $(STAMPS)/oldest-sdk $(STAMPS)/azurite $(STAMPS)/ansible-windows $(COLLECTION) ## Install what the project needs (system packages by apt, the rest below .build)

$(STAMPS)/system: tools/install-system-packages tools/system-packages.txt
	tools/install-system-packages tools/system-packages.txt
	@mkdir -p $(@D) && touch $@

$(STAMPS)/python: meta/ee-requirements.txt test-requirements.txt | $(STAMPS)/system
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check -r meta/ee-requirements.txt -r test-requirements.txt
	@mkdir -p $(@D) && touch $@

# The oldest release that meta/ee-requirements.txt allows; tests put it before the newest one.
$(STAMPS)/oldest-sdk: meta/ee-requirements.txt | $(STAMPS)/python
	rm -rf $(OLDEST_SDK)
	$(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check --no-deps --target $(OLDEST_SDK) \
	    $$(sed -n 's/^azure-mgmt-compute>=/azure-mgmt-compute==/p' meta/ee-requirements.txt) azure-common
	@touch $@

# Node.js comes with the Python requirements, so that no system Node.js is needed.
$(STAMPS)/azurite: tests/local_azure/azurite/package-lock.json | $(STAMPS)/python
	mkdir -p $(BUILD)/azurite
	cp tests/local_azure/azurite/package.json tests/local_azure/azurite/package-lock.json $(BUILD)/azurite/
	cd $(BUILD)/azurite && npm ci --no-audit --no-fund --omit=dev
	@touch $@

# The modules that the roles for Windows use.
$(STAMPS)/ansible-windows: tools/get_collection.py | $(STAMPS)/python
	$(BIN)/python tools/get_collection.py ansible.windows $(BUILD)/collections
	@touch $@

# Ansible finds the checkout as a collection through this link.
$(COLLECTION):
	@mkdir -p $(@D)
	ln -sfn $(ROOT) $@

##### tests #####

.PHONY: test
test: setup ## Run all tests
	tools/test

.PHONY: unit
unit: setup ## Run the tests that need no server and no guest
	$(BIN)/python -m pytest tests/unit

.PHONY: integration
integration: setup ## Run the playbook tests against the local Azure
	$(BIN)/python -m pytest tests/integration

.PHONY: guests
guests: setup ## Run the tests that boot real guests
	$(BIN)/python -m pytest tests/guests

.PHONY: thorough
thorough: setup ## Run the further cases of the tests that take minutes each, which `make test` leaves out
	$(BIN)/python -m pytest --thorough -m thorough

.PHONY: fuzz
fuzz: setup ## Damage ten thousand disk files and see each read or refused
	DISK_MUTANTS=1250 $(BIN)/python -m pytest tests/unit/_disk/test_mutations.py

.PHONY: fidelity
fidelity: setup ## Hold the local Azure to recordings of Azure and to other projects' clients (1.5 GB below .build)
	$(BIN)/python -m pytest --foreign-clients --hypothesis-profile=fidelity tests/fidelity

.PHONY: contract
contract: setup ## Check traffic with the local Azure against Azure's published API and the SDK
	$(BIN)/python -m pytest tests/contract

##### benchmarks #####

ROUNDS ?= 5
GUEST_ROUNDS ?= 1
GUEST_BENCH ?=
# More options, for example BENCH="--targets null --disks a b".
BENCH ?=

.PHONY: bench
bench: bench-upload bench-capture bench-guest ## Run all benchmarks

.PHONY: bench-upload
bench-upload: setup ## Compare disk_upload with other uploaders and write docs/benchmarks.md (10 GB below .build)
	PYTHONPATH=$(ROOT):$(BUILD)/collections $(BIN)/python -m tests.benchmarks --rounds $(ROUNDS) \
	    --output docs/benchmarks.md $(BENCH)

.PHONY: bench-guest
bench-guest: setup ## Compare ways to generalize a machine by what they leave and how long they take
	PYTHONPATH=$(ROOT):$(BUILD)/collections $(BIN)/python -m tests.benchmarks.guests --rounds $(GUEST_ROUNDS) \
	    --output docs/guest-benchmarks.md $(GUEST_BENCH)

# More options, for example BENCH_CAPTURE="--jobs image --rounds 1".
BENCH_CAPTURE ?=

.PHONY: bench-capture
bench-capture: setup ## Compare vm_capture with azure-cli and azcollection and write docs/capture-benchmarks.md (1.5 GB below .build)
	PYTHONPATH=$(ROOT):$(BUILD)/collections $(BIN)/python -m tests.capture_comparison \
	    --output docs/capture-benchmarks.md $(BENCH_CAPTURE)

##### checks #####

.PHONY: check
check: setup ## Run every linter and sanity test
	tools/check

.PHONY: lint
lint: setup ## Run the quick linters only (ruff, mypy, yamllint)
	tools/check ruff mypy yamllint

##### running things #####

.PHONY: demo
demo: setup ## A real machine becomes an image, and two machines are born from it
	$(BIN)/python -m tests.demo

# How many captures the drill makes, and the first one's seed.
RUNS ?= 200
SEED ?= 1

.PHONY: drill
drill: setup ## Capture machines with faults and kills at random points, and judge what is left each time
	PYTHONPATH=$(ROOT):$(BUILD)/collections $(BIN)/python -m tests.drill --runs $(RUNS) --seed $(SEED)

.PHONY: local-azure
local-azure: setup ## Start the local Azure in the background
	$(BIN)/python -m tests.local_azure start

.PHONY: local-azure-stop
local-azure-stop: ## Stop the local Azure (its state is kept)
	$(BIN)/python -m tests.local_azure stop

.PHONY: docs
docs: setup ## Write the documents that are made from definitions
	PYTHONPATH=$(ROOT):$(BUILD)/collections $(BIN)/python tools/traces_document.py
	PYTHONPATH=$(ROOT):$(BUILD)/collections $(BIN)/python tools/checks_document.py
	PYTHONPATH=$(ROOT):$(BUILD)/collections $(BIN)/python tools/compatibility_document.py
	PYTHONPATH=$(ROOT):$(BUILD)/collections $(BIN)/python tools/sysprep_document.py
	PYTHONPATH=$(ROOT):$(BUILD)/collections $(BIN)/python tools/preflight_document.py
	PYTHONPATH=$(ROOT):$(BUILD)/collections $(BIN)/python tools/windows_traces_document.py

.PHONY: build
build: setup ## Build the collection's tarball into .build/dist
	$(BIN)/ansible-galaxy collection build --force --output-path $(BUILD)/dist $(ROOT)

.PHONY: clean
clean: ## Remove everything that was built or installed below .build
	@if [ -x $(BIN)/python ]; then $(MAKE) --no-print-directory local-azure-stop; fi
	rm -rf $(BUILD)
