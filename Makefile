# Most targets call `python -m recsys_helpers` or `python -m course_tools`; this file only installs first what they need:
# the student's set, and on top of it another one of requirements/.
PYTHON ?= python3
BIN := .venv/bin
RUN := $(BIN)/python -m recsys_helpers
TOOLS := $(BIN)/python -m course_tools
INSTALL := $(BIN)/python -m pip install --disable-pip-version-check --no-deps --no-compile
STUDENT := .venv/.student

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help course test test-all check lab lab-zh doctor fetch grade slides site bundle instructor scale gpu store lock setup
.PHONY: bench bench-gpu bench-recbole clean

help:  ## this list
	@grep -hE '^[a-z-]+: .*##' $(MAKEFILE_LIST) | sed -E 's/: [^#]*## /: /' | awk -F': ' '{printf "make %-13s %s\n", $$1, $$2}'

course: $(STUDENT)  ## set everything up, run all lessons on real data, show what they measured
	$(RUN) course

test: .venv/.test  ## set everything up and prove that every lesson, check and exercise works
	$(TOOLS) test

test-all: .venv/.test  ## for authors, make test with every mutant of every exercise and mistakes in arrays of every kind
	$(TOOLS) test-all

check: .venv/.test  ## for authors, style, guards and the tests of what changed since the last commit
	$(TOOLS) check $(if $(OUTPUTS),--outputs)

lab: $(STUDENT)  ## open JupyterLab on the lessons
	$(RUN) lab

lab-zh: $(STUDENT)  ## open JupyterLab on the lessons in Chinese; notebooks that are there already are kept
	$(RUN) chinese
	$(RUN) lab --folder build/zh

doctor:  ## check this machine and name the fix for each fault; it installs nothing
	@if [ -e $(STUDENT) ]; then $(RUN) doctor; else $(PYTHON) -m recsys_helpers.course.preflight; fi

fetch: $(STUDENT)  ## fetch and verify MovieLens-100K and MiniLM
	$(RUN) fetch

grade:  ## for instructors, grade a class in a sandbox, SUBMISSIONS=folder with one folder per student
	@test -n "$(SUBMISSIONS)" || { echo "Say which: make grade SUBMISSIONS=path/to/folder"; exit 2; }
	@$(MAKE) --no-print-directory instructor
	$(TOOLS) grade "$(SUBMISSIONS)" $(if $(OUT),--out "$(OUT)")

slides: .venv/.instructor  ## for instructors, slides of every lesson that need no network
	$(TOOLS) slides

site: .venv/.site  ## the course as a site in English and Chinese that opens from disk, in build/site
	$(TOOLS) site $(if $(REPOSITORY),--repository "$(REPOSITORY)") $(if $(HUB),--hub "$(HUB)")

bundle: $(STUDENT)  ## for instructors, one archive that sets the course up where there is no network
	$(TOOLS) bundle

instructor: .venv/.instructor  ## for instructors, install what grading, slides and a hub need

scale: .venv/.scale  ## install JAX, for the two processes of lesson 09

gpu: .venv/.gpu  ## install TensorFlow for an NVIDIA GPU on Linux in the place of tensorflow-cpu

store: .venv/.test  ## for authors, execute and store every notebook, write exercises and README tables
	$(TOOLS) store

lock: $(STUDENT)  ## for authors, write the locks of all sets anew from pyproject.toml
	$(BIN)/python -m pip install --disable-pip-version-check --quiet uv
	$(TOOLS) lock

setup: $(STUDENT)  ## for authors, measure what each set costs to fetch and to keep (half an hour)
	$(TOOLS) setup

bench: .venv/.test  ## for authors, speed and memory beside the machine, a peer and growth (twenty minutes, two CPU cores)
	$(BIN)/python tests/benchmarks/floor.py
	$(BIN)/python tests/benchmarks/growth.py
	$(BIN)/python -m pytest -q tests/benchmarks

bench-gpu: .venv/.test  ## for authors, every model and its speed on a GPU, beside PyTorch
	$(BIN)/python tests/benchmarks/gpu.py

bench-recbole: .venv/.test  ## for authors, train beside RecBole on two CPU cores (half an hour)
	$(BIN)/python tests/benchmarks/recbole_speed.py $(if $(BUDGET),--budget $(BUDGET))
	$(BIN)/python tests/benchmarks/recbole_reference.py --epochs 0

clean:  ## remove the environment and everything that was built
	rm -rf .venv build

# The stamp of a set is written last, so a broken installation is done again. A lock is complete, hence --no-deps.
# Python compiles a module when it is first imported: less than half of them ever are. TensorFlow's headers (0.3 GB) are
# for operators written in C++. A TensorFlow that is there already, of the gpu set say, would share its files with ours.
$(STUDENT): requirements/student.lock
	@$(PYTHON) -m recsys_helpers.course.preflight install
	$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip uninstall -qq --yes tensorflow tensorflow-cpu
	@rm -f .venv/.gpu
	$(INSTALL) -r requirements/student.lock
	rm -rf .venv/lib/python*/site-packages/tensorflow/include
	$(INSTALL) -e .
	@touch $@

.venv/.gpu: requirements/gpu.lock $(STUDENT)
	$(BIN)/python -m pip uninstall --yes tensorflow-cpu
	$(INSTALL) -r requirements/gpu.lock
	@touch $@

.venv/.instructor .venv/.site .venv/.scale .venv/.test: .venv/.%: requirements/%.lock $(STUDENT)
	$(INSTALL) -r $<
	@touch $@
