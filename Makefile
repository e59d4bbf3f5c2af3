# make run    the studio on http://127.0.0.1:7860 (PORT and WORKSPACE are honoured)
# make test   everything: unit, ui, real starter model, real browser
# make setup  only installs what both share, into .venv

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: run test setup test-setup lint format pictures clean

run: setup
	@exec $(BIN)/python app.py

setup: $(VENV)/.installed

$(VENV)/.installed: requirements.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25"
	$(BIN)/python -m pip install --quiet -r requirements.txt
	@touch $@

test-setup: setup $(VENV)/.test-installed
	@sh tests/install_chromium.sh

$(VENV)/.test-installed: requirements-test.txt requirements-gguf.txt requirements.txt
	$(BIN)/python -m pip install --quiet -r requirements-test.txt
	@touch $@

test: test-setup
	GOMP_SPINCOUNT=0 $(BIN)/python -m pytest --numprocesses 3  # threads that wait must sleep: three share the machine

lint: test-setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/hadolint Dockerfile

format: test-setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

pictures: test-setup
	$(BIN)/python docs/pictures.py

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache
