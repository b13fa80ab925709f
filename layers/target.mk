# What the builds of the layers share. `sam build` tells a makefile only where to put its result (ARTIFACTS_DIR).
# What to build for comes in the environment, set by `python -m local.build` from the values that it also gives the
# template's parameters, so that the two cannot disagree:
#   SLUICE_PYTHON        the runtime, such as python3.13
#   SLUICE_ARCHITECTURE  arm64 or x86_64
#   SLUICE_COMPILER      an interpreter of that version to compile byte code with, or empty
ifeq ($(and $(SLUICE_PYTHON),$(SLUICE_ARCHITECTURE)),)
$(error SLUICE_PYTHON and SLUICE_ARCHITECTURE say what to build for: use `make build` or `make deploy`)
endif

PLATFORM_arm64 := aarch64-manylinux2014
PLATFORM_x86_64 := x86_64-manylinux2014
PLATFORM := $(PLATFORM_$(SLUICE_ARCHITECTURE))
ifeq ($(PLATFORM),)
$(error SLUICE_ARCHITECTURE is "$(SLUICE_ARCHITECTURE)"; arm64 and x86_64 are known)
endif

# $(call compile,DIR): Lambda's /opt is read-only, so without byte code in the layer every cold start compiles.
# unchecked-hash: a zip keeps times to two seconds only, which makes byte code with time stamps stale.
define compile
	@if [ -n "$(SLUICE_COMPILER)" ]; then \
		"$(SLUICE_COMPILER)" -I -m compileall -q -j 0 --invalidation-mode unchecked-hash -s "$(ARTIFACTS_DIR)" -p /opt "$(1)"; \
	else echo "No $(SLUICE_PYTHON) on this machine: the layer goes without byte code, cold starts take longer." >&2; fi
endef

# The metadata of the packages (*.dist-info) stays: it holds their licences, and some read their version from it.
define install
	uv pip install --quiet --require-hashes --only-binary :all: --link-mode copy --no-compile-bytecode \
		--python-version "$(SLUICE_PYTHON:python%=%)" --python-platform "$(PLATFORM)" --target "$(1)" -r requirements.txt
	find "$(1)" -depth -type d \( -name tests -o -name __pycache__ \) -exec rm -r {} +
	rm -rf "$(1)/bin" "$(1)/.lock"
endef
