# All that a newcomer needs: Python 3.11 or newer, git and make. Everything else is installed into this checkout:
#   .venv  the tools and the tests     .local/sam  the SAM CLI     .local/emulator  the AWS emulator
# Each is made again when its lock file changes, and left alone otherwise.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

SOURCES := layers/sluice layers/streaming_runtime local simulator functions tests bench

VENV := .venv/.installed
SAM := .local/sam/.installed
EMULATOR := .local/emulator/.installed
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export SAM_CLI_TELEMETRY := 0
RUN := exec env PYTHONPATH=$(CURDIR):$(CURDIR)/layers/sluice:$(CURDIR)/layers/streaming_runtime .venv/bin/python

# The newest Python that Lambda has as well; it runs the tools, the emulator and, in the emulator, the functions.
# Given a whole name, a version manager's stand-in for a version that is not installed fails, and is passed over.
IS_FIT := import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))
PYTHON ?= $(shell for name in python3.14 python3.13 python3.12 python3.11 python3 python; do \
	"$$name" -c '$(IS_FIT)' 2>/dev/null && { command -v "$$name"; break; }; done)

.PHONY: help demo test test-e2e test-stacks test-jobs test-doors local check build deploy claude-key key bench lock clean

help: ## list these targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 19

demo: $(VENV) $(SAM) $(EMULATOR) ## see it work: all three doors, on real input, in about a minute
	@$(RUN) -m local.demo

test: $(VENV) $(SAM) $(EMULATOR) ## run all tests; ARGS="tests/unit -k word" runs some
	@$(if $(ARGS),$(RUN) -m pytest $(ARGS),$(MAKE) --jobs --keep-going $(TESTS:%=test-%))

# Tests wait a lot, for emulators and for timeouts. So they run in four parts at once, of about the same length. Those of
# the stacks that are started for one file alone are a part with what never waits.
TESTS := e2e stacks jobs doors
OWN_STACK := tests/e2e/test_least_privilege.py tests/e2e/test_local.py
test-e2e: PART := tests/e2e $(OWN_STACK:%=--ignore=%)
test-stacks: PART := $(OWN_STACK) tests/unit tests/integration/bench
test-jobs: PART := tests/integration/jobs
test-doors: PART := tests/integration --ignore=tests/integration/jobs --ignore=tests/integration/bench
$(TESTS:%=test-%): test-%:
	@bash -o pipefail -c '$(RUN) -m pytest $(PART) 2>&1 | sed -u "s/^/$*: /"'

local: $(VENV) $(SAM) $(EMULATOR) ## run the stack on this machine and say how to use it
	@$(RUN) -m local

check: $(VENV) $(SAM) ## lint, check types, validate the template
	@ruff check .
	@ruff format --check --quiet . || { ruff format --diff --quiet .; exit 1; }
	@mypy $(wildcard $(SOURCES))
	@AWS_DEFAULT_REGION=$${AWS_DEFAULT_REGION:-us-east-1} .local/sam/bin/sam validate --lint

build: $(VENV) $(SAM) ## build for AWS; PYTHON_RUNTIME=python3.13 ARCHITECTURE=arm64 choose for what
	@$(RUN) -m local.build $(PYTHON_RUNTIME:%=--runtime %) $(ARCHITECTURE:%=--architecture %)

deploy: $(VENV) $(SAM) ## check the account, build, and deploy to AWS; asks the first time, and with GUIDED=1; STACK=… names the stack
	@$(RUN) -m local.deploy $(if $(GUIDED),--guided) $(STACK:%=--stack %) $(PYTHON_RUNTIME:%=--runtime %) $(ARCHITECTURE:%=--architecture %)

claude-key: $(VENV) ## put your Claude API key into the deployed stack; typed unseen, or on standard input
	@$(RUN) -m local.claude_key $(STACK:%=--stack %)

key: $(VENV) ## make a client key: NAME=… TERMS="--rate 60 …"; or ARGS="list", ARGS="revoke ID"
	@test -n "$(NAME)$(ARGS)" || { echo 'Who is the key for? make key NAME="the web shop"' >&2; exit 2; }
	@$(RUN) -m local.client_keys $(STACK:%=--stack %) -- $(if $(NAME),make "$(NAME)" $(TERMS),$(ARGS))

bench: $(VENV) $(SAM) $(EMULATOR) ## measure what is claimed
	@$(RUN) -m bench $(ARGS)

lock: $(VENV) ## resolve the dependencies anew
	@requirements/lock

clean: ## remove what was built; installed tools stay
	rm -rf .aws-sam .local/builds .local/logs .local/e2e .local/demo .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path './.venv/*' -not -path './.local/*' -prune -exec rm -rf {} +

# pip brings uv, of which the lock file knows the hash; uv brings the rest.
$(VENV): requirements/dev.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11 to 3.14 with its venv module is needed, and none was found." \
		"On Debian and Ubuntu: apt-get install python3-venv. Or name one: make PYTHON=/path/to/python3" >&2; exit 1; }
	@echo "Installing the tools into .venv with $(PYTHON) …"
	@test -x .venv/bin/python || "$(PYTHON)" -m venv .venv
	@awk '/^uv==/ {found = 1} found {print; if (!/\\$$/) exit}' $< > .venv/uv.txt
	@test -x .venv/bin/uv || .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r .venv/uv.txt
	@uv pip sync --quiet --require-hashes --python .venv/bin/python $<
	@touch $@

.local/%/.installed: requirements/%.txt $(VENV)
	@echo "Installing $* into .local/$* …"
	@test -x .local/$*/bin/python || uv venv --quiet --python .venv/bin/python .local/$*
	@uv pip sync --quiet --require-hashes --python .local/$*/bin/python $<
	@touch $@
