# Set-up, the main job and the checks, each in one command; `make help` lists them.
# All of it can be interrupted and run again: a stamp is written only when its step is done.

ANALYSIS ?= reports/eight_schools
ENGINE ?=
# Tests run side by side: as many at once as there are cores.
WORKERS ?= auto
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/hbm-ready
CMDSTAN_READY := $(VENV)/hbm-cmdstan
# A Python that has the extra peers; without one, make bench-peers makes an environment that has it.
PEER ?=
PEERS := .venv-peers
OPTIONS ?=
PARTS := pyproject.toml .ci/constraints.txt

# CmdStan's own make runs below this one and must not take over its flags.
unexport MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES

.PHONY: help setup report test test-long certify lint study bench bench-peers clean
help:
	@echo "make report   set up, then fit, check and compare $(ANALYSIS) and write its report.pdf"
	@echo "              (ENGINE=stanli or ENGINE=cmdstan chooses the engine, ANALYSIS=folder another analysis)"
	@echo "make test     set up, then run the tests"
	@echo "make test-long   run those that only compile large programs for CmdStan, for minutes"
	@echo "make certify  prove every program on both engines and write stan/certificate.json and .pdf (20 minutes)"
	@echo "make setup    virtual environment in $(VENV) and CmdStan in ~/.cmdstan (PYTHON=... chooses the Python)"
	@echo "make lint     ruff and mypy"
	@echo "make bench    the timings"
	@echo "make bench-peers   hbm_stan beside nutpie, PyMC, NumPyro, Bambi and others, in their environment $(PEERS) (hours;"
	@echo "              PEER=/path/to/python has the extra peers already, OPTIONS='--minutes 40' and others go to the bench)"
	@echo "make study    the Planck study: poolings beside neural networks, for reports/planck_study.md (an hour)"
	@echo "make clean    remove $(VENV), $(PEERS) and what the reports built; CmdStan stays"

# Ready means: finished (the stamp says so), for this folder, with a Python that still runs.
IS_READY = [ "$$(cat $(READY) 2> /dev/null)" = "$(CURDIR)" ] && $(BIN)/python -c "" 2> /dev/null
IS_NEW = $(foreach part,$(PARTS),&& [ ! $(part) -nt $(READY) ])
ifneq ($(shell $(IS_READY) && echo yes),yes)
.PHONY: $(READY)
endif

PYTHONS := $(or $(PYTHON),python3 python3.14 python3.13 python3.12)
# Every candidate is run: pyenv, for one, puts commands on PATH that only say that they are not installed.
FIND_PYTHON = for python in $(PYTHONS) ""; do \
	"$$python" -c "import sys; sys.exit(sys.version_info < (3, 12))" 2> /dev/null && break; done; \
	[ -n "$$python" ] || { \
	echo "No Python of version 3.12 or later runs here (tried: $(PYTHONS))." >&2; \
	echo "Install one (on Debian or Ubuntu: apt-get install python3 python3-venv), or name it: make PYTHON=/path/to/python3" >&2; \
	exit 2; }

# A finished environment is brought up to date in place; anything else is made anew.
# The lock lets a second make, started meanwhile, wait and find the work done.
$(READY): $(PARTS)
	@exec 9< pyproject.toml; if command -v flock > /dev/null; then flock 9; fi; \
	if $(IS_READY) $(IS_NEW); then exit 0; fi; \
	if $(IS_READY); then rm -f $(READY); else \
	$(FIND_PYTHON); \
	echo "Making the virtual environment $(VENV) with $$("$$python" --version)"; \
	"$$python" -m venv --clear $(VENV) || { \
	echo "$$python cannot make a virtual environment (on Debian or Ubuntu: apt-get install python3-venv)" >&2; exit 2; }; fi; \
	echo "Installing the packages of .ci/constraints.txt"; \
	$(BIN)/python -m pip install --disable-pip-version-check -c .ci/constraints.txt -e ".[dev]" || exit 2; \
	echo "$(CURDIR)" > $(READY)

# Without CmdStan the embedded engine does the work; the next make tries again.
setup: $(READY)
ifneq ($(ENGINE),stanli)
	@if [ -f $(CMDSTAN_READY) ] && ls $${CMDSTAN:-$$HOME/.cmdstan/cmdstan-*}/bin/stanc > /dev/null 2>&1; then exit 0; fi; \
	$(BIN)/hbm install-cmdstan && touch $(CMDSTAN_READY) && exit 0; \
	code=$$?; [ $$code -lt 128 ] || exit $$code; \
	echo "Going on without CmdStan, on the embedded engine (stanli)."
endif

report: setup
	@$(BIN)/hbm report $(ANALYSIS) $(if $(ENGINE),--engine $(ENGINE))

# One thread of linear algebra each: on small matrices more of them only wait for one another. O=1 is for CmdStan's make:
# programs that sample for a second are compiled in three quarters of the time.
test: setup
	@O=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m "not long"

# What `make certify` shows too, for all programs.
test-long: setup
	@OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) -m long

# Some 40 programs are compiled for CmdStan, every data set is sampled on both engines, and every family calibrated.
certify: setup
	@$(BIN)/hbm verify --agree --calibrate 300 --to stan

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Simulated collections one by one; what is there already is not run again, so that it may be cut short at any time.
study: setup
	@$(BIN)/python -c "import jax, optax" 2> /dev/null || \
	$(BIN)/python -m pip install --disable-pip-version-check -c .ci/constraints.txt -e ".[dev,baselines]"
	@OPENBLAS_NUM_THREADS=1 $(BIN)/python tests/benches/planck_study

bench: setup
	@$(BIN)/python tests/benches/bench.py

# The peers have an environment of their own: what they need decides nothing about ours.
$(PEERS)/hbm-ready: pyproject.toml
	@$(FIND_PYTHON); \
	echo "Making the virtual environment $(PEERS) with $$("$$python" --version)"; \
	"$$python" -m venv --clear $(PEERS) && \
	$(PEERS)/bin/python -m pip install --disable-pip-version-check -e ".[peers]" && touch $@

# Measurement by measurement; what is there already is not run again, so that it may be cut short at any time.
bench-peers: setup $(if $(PEER),,$(PEERS)/hbm-ready)
	@$(BIN)/python tests/benches/bench_peers --peer $(or $(PEER),$(PEERS)/bin/python) $(OPTIONS)

BUILT := $(filter-out reports/sample/,$(wildcard reports/*/))
clean:
	rm -rf $(VENV) $(PEERS) .pytest_cache .mypy_cache .ruff_cache .hypothesis
	rm -rf $(foreach folder,$(BUILT),$(folder)report.pdf $(folder)report.html $(folder)results.json $(folder)tables $(folder)fits)
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
