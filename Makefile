# Each target is a command that you could type yourself.

PREPARE = python3 hub_ext/embedded/prepare.py
BIN = .tools/hub/bin
TESTS = PATH="$(CURDIR)/node_modules/.bin:$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pytest
TEMPLATES = hub_ext/templates services/hub_portal/templates

.PHONY: help demo test test-unit test-integration test-browser soak what-survives lint format docs bench lock clean distclean

help: ## List these commands
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 26

demo: ## Set up and run the whole platform on this machine; Ctrl-C stops it
	@$(PREPARE) --for demo
	@exec $(BIN)/python -m hub_ext.embedded.demo

test: prepare-test lint-only ## Set up, check and run all tests: two files at a time, then what has to be alone
	@$(TESTS) -m "not alone" -n 2 --dist loadfile --no-loadscope-reorder
	@$(TESTS) -m alone

test-unit: ## The fast tests alone (< 60 s)
	@$(PREPARE) --for unit
	@$(TESTS) -p no:schemathesis tests/unit

test-integration: prepare-test ## The tests on the real parts
	@$(TESTS) tests/integration

test-browser: prepare-test ## The tests in a real browser
	@$(TESTS) tests/browser

soak: prepare-test ## Ten people at random for SOAK_SECONDS (3600), the same for the same SOAK_SEED: does anything grow?
	@SOAK_SECONDS="$${SOAK_SECONDS:-3600}" $(TESTS) -s tests/soak/test_soak.py

what-survives: prepare-test ## Kill each process and write the measured table in docs/what-survives.md
	@WRITE_WHAT_SURVIVES=1 $(TESTS) -s tests/integration/test_killed.py

lint: prepare-test lint-only ## Check style, types, imports between packages, templates and scripts

format: prepare-test ## Write Python, templates and scripts in the project's style
	@$(BIN)/ruff check --fix --quiet .
	@$(BIN)/ruff format --quiet .
	@$(BIN)/djlint --reformat --quiet $(TEMPLATES)
	@npm run --silent format

docs: prepare-test ## Write docs/reference from the help texts in the code
	@$(BIN)/python docs/generate.py

bench: prepare-test ## Measure what has to be fast and write bench/RESULTS.md; best on an idle machine
	@$(BIN)/python -m bench

lock: prepare-test ## Make the lock files again, with newer versions
	@$(BIN)/python -m hub_ext.embedded.lock

clean: ## Remove the demo's data, logs and databases
	rm -rf .platform

distclean: clean ## Remove everything that preparation made, too
	rm -rf .tools node_modules services/hub_portal/static/vendor

.PHONY: prepare-test lint-only
prepare-test:
	@$(PREPARE) --for test

lint-only:
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/djlint --check --quiet $(TEMPLATES)
	@npm run --silent lint
