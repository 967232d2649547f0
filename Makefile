# Every target sets up what it needs: `make demo` and `make test` are all a fresh machine has to know.
export OMP_WAIT_POLICY ?= PASSIVE
export GOMP_SPINCOUNT ?= 1000

PYTHON ?= python3.11
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# So many processes more than there are cores; four at most, as each holds torch.
parallel = --dist worksteal --numprocesses $$($(BIN)/python -c "import os; print(min(4, (os.cpu_count() or 1) + $(1)))")

.PHONY: demo test fast-test faults setup format check docs benchmark clean

demo: $(READY)
	$(BIN)/semiverse demo --out runs/demo

# Some of these tests wait for processes of their own.
test: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/pytest $(call parallel,1)

# These do not, and each process takes many seconds to import and find them.
fast-test: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/pytest $(call parallel,0) -m "not slow"

# Hours; goes on where it stopped. ONLY='kill train,fuzz image' NUMBER=10000 MOMENTS=20 SEED=0
faults: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.faults --out runs/faults --only "$(ONLY)" --number $(or $(NUMBER),10000) \
		--moments $(or $(MOMENTS),20) --seed $(or $(SEED),0)

setup: $(READY)

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(READY)
	$(BIN)/python docs/datasets_page.py > docs/datasets.md
	$(BIN)/sphinx-build -W --keep-going --quiet docs docs/_build/html

benchmark: $(READY)
	$(BIN)/python -m benchmarks

clean:
	rm -rf $(VENV) docs/_build .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

$(READY): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --upgrade pip
	$(BIN)/python -m pip install --editable ".[dev]"
	touch $@
