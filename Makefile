# Every target but the benchmarks is a call of `python -m recsys_helpers` or `python -m course_tools`; this file only makes the environment first.
PYTHON ?= python3
BIN := .venv/bin
RUN := $(BIN)/python -m recsys_helpers
TOOLS := $(BIN)/python -m course_tools
READY := .venv/.ready

.DEFAULT_GOAL := help
.PHONY: help course test test-all check lab lab-zh doctor fetch grade slides site bundle store bench bench-gpu bench-recbole clean

help:  ## this list
	@grep -hE '^[a-z-]+: .*##' $(MAKEFILE_LIST) | sed -E 's/: [^#]*## /: /' | awk -F': ' '{printf "make %-13s %s\n", $$1, $$2}'

course: $(READY)  ## set everything up, run all lessons on real data, show what they measured
	$(RUN) course

test: $(READY)    ## set everything up and prove that every lesson, check and exercise works
	$(TOOLS) test

test-all: $(READY)  ## for authors, make test with every mutant of every exercise and mistakes in arrays of every kind
	$(TOOLS) test-all

check: $(READY)   ## for authors, style, guards and the tests of what changed since the last commit
	$(TOOLS) check $(if $(OUTPUTS),--outputs)

lab: $(READY)     ## open JupyterLab on the lessons
	$(RUN) lab

lab-zh: $(READY)  ## open JupyterLab on the lessons in Chinese; notebooks that are there already are kept
	$(RUN) chinese
	$(RUN) lab --folder build/zh

doctor: $(READY)  ## check this machine and name the fix for each fault
	$(RUN) doctor

fetch: $(READY)   ## fetch and verify MovieLens-100K and MiniLM
	$(RUN) fetch

grade: $(READY)   ## for instructors, grade a class in a sandbox, SUBMISSIONS=folder with one folder per student
	@test -n "$(SUBMISSIONS)" || { echo "Say which: make grade SUBMISSIONS=path/to/folder"; exit 2; }
	$(TOOLS) grade "$(SUBMISSIONS)" $(if $(OUT),--out "$(OUT)")

slides: $(READY)  ## for instructors, slides of every lesson that need no network
	$(TOOLS) slides

site: $(READY)    ## the course as a site in English and Chinese that opens from disk, in build/site
	$(TOOLS) site $(if $(REPOSITORY),--repository "$(REPOSITORY)") $(if $(HUB),--hub "$(HUB)")

bundle: $(READY)  ## for instructors, one archive that sets the course up where there is no network
	$(TOOLS) bundle

store: $(READY)   ## for authors, execute and store every notebook, write exercises and README tables
	$(TOOLS) store

bench: $(READY)   ## for authors, speed and memory beside the machine, a peer and growth (twenty minutes, two CPU cores)
	$(BIN)/python tests/benchmarks/floor.py
	$(BIN)/python tests/benchmarks/growth.py
	$(BIN)/python -m pytest -q tests/benchmarks

bench-gpu: $(READY)  ## for authors, every model and its speed on a GPU, beside PyTorch
	$(BIN)/python tests/benchmarks/gpu.py

bench-recbole: $(READY)  ## for authors, train beside RecBole on two CPU cores (half an hour)
	$(BIN)/python tests/benchmarks/recbole_speed.py $(if $(BUDGET),--budget $(BUDGET))
	$(BIN)/python tests/benchmarks/recbole_reference.py --epochs 0

clean:  ## remove the environment and everything that was built
	rm -rf .venv build

# The stamp is written last, so a broken installation is done again.
$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info[:2] <= (3, 13) else "Python 3.11, 3.12 or 3.13 is needed; this is " + sys.version.split()[0] + ". Say which: make course PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --disable-pip-version-check --no-deps -e .
	@touch $(READY)
