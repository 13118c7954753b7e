# make demo   the bundled model on the bundled photos
# make test   every check and every test
# make bench  the figures of the README, on this machine
# Needs Python 3.10 or newer, a C compiler and make; everything else is installed into .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
PEERS := build/peers-venv

C_FILES = $(shell find c_runtime tests -not -path 'tests/golden/*' \( -name '*.c' -o -name '*.h' \))
NATIVE_SOURCES := pyproject.toml CMakeLists.txt \
	$(shell find c_runtime -name '*.c' -o -name '*.h') ftervit_deploy/__init__.py

.PHONY: demo test lint format bench peers native board clean

demo: $(VENV)/package.stamp
	@$(BIN)/ftervit demo --output build/demo/signs.ftv

test: lint
	$(BIN)/python -m pytest $(PYTEST_ARGS)

lint: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/clang-format --dry-run -Werror $(C_FILES)
	$(BIN)/mypy

format: $(VENV)/dev.stamp
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/clang-format -i $(C_FILES)

bench: $(VENV)/package.stamp peers
	@$(BIN)/python -m bench

# ONNX Runtime, OpenVINO and PyTorch in an environment of their own; what cannot be installed is left out and named.
peers: $(PEERS)/peers.stamp

# The C engine alone, for working on it without installing: build/native/libftv.so
native:
	cmake -S . -B build/native -DCMAKE_BUILD_TYPE=Release
	cmake --build build/native

# A board without hardware: build/native/ftv-board MODEL.ftv prints its port, `ftervit verify --port` proves it
board:
	cmake -S . -B build/native -DCMAKE_BUILD_TYPE=Release
	cmake --build build/native --target ftv-board

clean:
	rm -rf build dist $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis

# The package as an editable install: Python edits count at once, C edits on the next make.
$(VENV)/package.stamp: $(NATIVE_SOURCES) | $(BIN)/python
	@echo "Installing ftervit and what it needs into $(VENV) (once; needs the network)"
	@$(PIP) install --quiet --editable .
	@touch $@

$(VENV)/dev.stamp: $(NATIVE_SOURCES) constraints.txt | $(BIN)/python
	@echo "Installing ftervit, PyTorch and the development tools into $(VENV) (once; needs the network)"
	@$(PIP) install --quiet --constraint constraints.txt --editable '.[train,dev]'
	@touch $@ $(VENV)/package.stamp

$(PEERS)/peers.stamp: bench/peers/requirements.txt
	@echo "Installing the peers of make bench into $(PEERS) (once; needs the network)"
	@rm -rf $(PEERS)
	@$(PYTHON) -m venv $(PEERS)
	@grep -v '^#' $< | while read -r peer; do \
		$(PEERS)/bin/python -m pip --disable-pip-version-check install --quiet "$$peer" || \
			echo "$$peer is not installed; make bench will say what it leaves out" >&2; done
	@touch $@

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "ftervit needs Python 3.10 or newer")'
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }
