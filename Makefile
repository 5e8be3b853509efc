# chatd's two commands are `make run` and `make test`; the others are parts of them or habits. See README.md.
# Everything made here stays in this folder: .venv/ (Python), chatd/web/ui/node_modules/ and chatd/web/static/ (the
# browser part), build/ (caches), var/ (what the daemon writes). The files .venv/.*-done remember which lock file was installed.

SHELL := /bin/sh
PYTHON ?= python3
CONFIG ?= etc/chatd.toml
VENV := .venv
PY := $(VENV)/bin/python
PYTEST := $(PY) -m pytest
# Nothing outside the clone is touched, so the caches of pip and npm are in it as well.
export PIP_CACHE_DIR := $(CURDIR)/build/cache/pip
export npm_config_cache := $(CURDIR)/build/cache/npm
export npm_config_update_notifier := false
TRIAL_FILES = $$(grep -rl --include='test_*.py' SynchronousTestCase tests)

.PHONY: run setup ui demo check test test-long contract pytest trial fuzz lint bench bench-media lock clean debian-packages debian-packages-long help

help:
	@sed -n 's/^#: //p' Makefile

#: make run         set up what is missing, make the demo domain, start the daemon in the foreground
run: setup ui
	@$(PY) -m chatd.demo $(CONFIG)
	@exec $(VENV)/bin/twistd --nodaemon --pidfile= chatd --config $(CONFIG)

#: make setup       the virtual environment with the exact versions of requirements.lock
setup: $(VENV)/.run-done

#: make ui          build the browser part (chatd/web/ui -> chatd/web/static) when its sources changed
ui: setup
	@$(PY) setup.py -q build_ui

#: make check       chatctl check: what is wrong with configuration, certificates, DNS, ports, disk
check: setup
	@$(VENV)/bin/chatctl --config $(CONFIG) check

#: make test        everything but the long tests, on two cores; installs what they need. JOBS=0: one after the other
JOBS ?= 2
test: debian-packages $(VENV)/.dev-done ui trial
	$(PYTEST) -n $(JOBS) --dist loadfile -m "not long"

#: make test-long   the tests that take minutes, or need large Debian packages (tests/debian-packages-long)
test-long: debian-packages-long $(VENV)/.dev-done ui build/poezio
	$(PYTEST) -m long

#: make test-ROOM   one folder of tests, such as make test-store
test-%: $(VENV)/.dev-done
	$(PYTEST) -m "not long" tests/$*

#: make contract    what a media engine has to do, asked of the bridge, and of the LiveKit server that LIVEKIT_URL,
#:                  LIVEKIT_API_KEY and LIVEKIT_API_SECRET name (tests/integration/test_engine_contract.py)
contract: $(VENV)/.dev-done
	$(PYTEST) -v -rs tests/integration/test_engine_contract.py

#: make pytest      the same tests as make test, without installing Debian packages
pytest: $(VENV)/.dev-done
	$(PYTEST) -n $(JOBS) --dist loadfile -m "not long"

#: make fuzz        a minute for each parser of what comes from the network, on two cores; FUZZ_SECONDS=10 for a look
FUZZ_SECONDS ?= 60
fuzz: $(VENV)/.dev-done
	@mkdir -p build; export CHATD_FUZZ_SECONDS=$(FUZZ_SECONDS); status=0; \
	CHATD_FUZZ_PART=1/2 $(PYTEST) -v -p no:cacheprovider tests/fuzz >build/fuzz.log 2>&1 & other=$$!; \
	CHATD_FUZZ_PART=0/2 $(PYTEST) -v -p no:cacheprovider tests/fuzz || status=1; \
	wait $$other || status=1; cat build/fuzz.log; exit $$status

#: make trial       the tests that need no reactor, run by Twisted's own runner
trial: $(VENV)/.dev-done
	$(VENV)/bin/trial --reporter=summary --temp-directory=build/trial $(TRIAL_FILES)

#: make lint        ruff and mypy
lint: $(VENV)/.dev-done
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy

#: make bench       measure the daemon beside Prosody and ejabberd; ARGS=--quick for a look (bench/README.md)
bench: $(VENV)/.dev-done ui
	bench/run $(ARGS)

#: make bench-media measure the media bridge's packets beside Janus; as root (bench/media/README.md)
bench-media: $(VENV)/.dev-done
	bench/media/run $(ARGS)

#: make lock        write the lock files anew from setup.cfg; UPGRADE=--upgrade takes the newest versions
lock:
	$(PYTHON) -m venv build/lock
	build/lock/bin/pip install -q uv
	$(COMPILE) --extra postgresql --extra ldap --extra sql --extra media --extra ui --output-file requirements.lock setup.cfg
	$(COMPILE) --extra postgresql --extra ldap --extra sql --extra media --extra ui --extra dev --output-file requirements-dev.lock setup.cfg
COMPILE = build/lock/bin/uv pip compile $(UPGRADE) --quiet --generate-hashes --no-annotate --python-version 3.11 \
    --python-platform linux --custom-compile-command "make lock"

#: make clean       remove what was made, except var/
clean:
	rm -rf $(VENV) build dist chatd.egg-info chatd/web/static chatd/web/ui/node_modules
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

debian-packages:
	@tests/install-debian-packages

# A client that one of the long tests drives; its slixmpp is that of the virtual environment.
build/poezio: tests/interop/poezio.txt $(VENV)/.dev-done
	@rm -rf $@
	@$(VENV)/bin/pip install -q --no-deps --no-build-isolation --require-hashes --target $@ -r $<
	@touch $@

debian-packages-long:
	@tests/install-debian-packages tests/debian-packages tests/debian-packages-long

# A virtual environment needs Debian's python3-venv; root gets it installed, others get told.
$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "chatd needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1)." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { \
	    if [ "$$(id -u)" -eq 0 ]; then apt-get update -q && apt-get install -q -y --no-install-recommends python3-venv; \
	    else echo "Python's venv is missing. As root, please run: apt-get install python3-venv" >&2; exit 1; fi; }
	@echo "Creating $(VENV) ..."
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.run-done: requirements.lock setup.cfg setup.py | $(VENV)/bin/python
	@[ -f $(VENV)/.dev-done ] || { echo "Installing requirements.lock ..."; \
	    $(PY) -m pip install -q --disable-pip-version-check --require-hashes -r requirements.lock; }
	@$(PY) -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev-done: requirements-dev.lock $(VENV)/.run-done
	@echo "Installing requirements-dev.lock ..."
	@$(PY) -m pip install -q --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@
