# Everything runs in .venv of this checkout. Set-up is redone only when pyproject.toml or constraints.txt change.
# Works with GNU make 3.81 (macOS) and later.

N ?= 20
TEST_WORKERS ?= 3
PYTEST_ARGS ?=
BENCH ?=
FAMILIES ?=
CANDIDATES = $(if $(PYTHON),"$(PYTHON)",python3.13 python3.12 python3.11 python3)
RUN = .venv/bin/python -m

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test inspect soak lint bench mutants simulate docs clean

help:
	@echo "make demo [N=20]   measure local models and baselines on N instances per family and size"
	@echo "make test          run the tests (TEST_WORKERS=$(TEST_WORKERS) PYTEST_ARGS=...)"
	@echo "make lint          check style, types and the direction of imports"
	@echo "make bench         measure speed and memory, also against inspect_ai, which gets its own .venv-bench (BENCH=names)"
	@echo "make inspect       let inspect_ai itself read the logs that are exported for it"
	@echo "make soak          kill the service at every commit point, on real servers (minutes)"
	@echo "make mutants       count the wrong predicates that the tests see (FAMILIES=names; minutes)"
	@echo "make simulate      study every statistic on known truths, write docs/statistics.md (minutes)"
	@echo "make docs          write docs/families.md, docs/gallery.md and docs/api.md anew (minutes)"
	@echo "make clean         remove .venv, .venv-bench and whatever was built or cached here"
	@echo "PYTHON=...         the Python (3.11 or newer) that .venv is made with"

demo: .venv/.stamp-local
	@$(RUN) probe.demo --instances $(N)

test: .venv/.stamp-test
	@$(RUN) pytest -n $(TEST_WORKERS) --dist worksteal $(PYTEST_ARGS)

inspect: .venv/.stamp-test .venv-bench/.stamp
	@PROBE_INSPECT=.venv-bench/bin/python $(RUN) pytest tests/results/test_inspect_log.py

soak: .venv/.stamp-test
	@PROBE_SOAK=1 $(RUN) pytest -n $(TEST_WORKERS) tests/services/test_kills.py

lint: .venv/.stamp-test .venv/.stamp-lint
	@$(RUN) ruff check --quiet .
	@$(RUN) ruff format --quiet --check . || { echo "format: run .venv/bin/ruff format"; exit 1; }
	@$(RUN) mypy --no-error-summary
	@.venv/bin/lint-imports --no-logo > .venv/lint-imports.log || { cat .venv/lint-imports.log; exit 1; }
	@echo "lint: style, types and imports are fine"

bench: .venv/.stamp-test .venv-bench/.stamp
	@$(RUN) tests.bench $(BENCH)

mutants: .venv/.stamp-test
	@$(RUN) tests.mutants $(FAMILIES)

simulate: .venv/.stamp-test
	@$(RUN) tests.simulate

docs: .venv/.stamp-test
	@$(RUN) tests.docs

# What we compare with pins other versions of what we use, so it never enters .venv.
.venv-bench/.stamp: .venv/bin/python tests/bench/requirements.txt
	@echo "set-up: installing inspect_ai into .venv-bench"
	@$(RUN) venv --clear .venv-bench
	@.venv-bench/bin/python -m pip install -qq --disable-pip-version-check -r tests/bench/requirements.txt
	@touch $@

.venv/.stamp-%: .venv/bin/python pyproject.toml constraints.txt
	@echo "set-up: installing '.[$*]' into .venv"
	@$(RUN) pip install -qq --disable-pip-version-check -e '.[$*]' -c constraints.txt
	@touch $@

.venv/bin/python:
	@bare=; for python in $(CANDIDATES); do \
	  "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null || continue; \
	  "$$python" -c 'import ensurepip, venv' 2> /dev/null || { bare=$$python; continue; }; \
	  echo "set-up: creating .venv with $$python"; \
	  exec "$$python" -m venv --clear .venv; \
	done; \
	if [ -n "$$bare" ]; then \
	  echo "$$bare has no venv module: install it (Debian, Ubuntu: apt install $${bare##*/}-venv)" >&2; \
	else \
	  echo "Python 3.11 or newer is needed: install one, or name it with make PYTHON=/path/to/python" >&2; \
	fi; exit 1

clean:
	@rm -rf .venv .venv-bench build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
