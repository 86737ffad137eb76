# Denyut's commands. Each installs what it needs first (stack/install.sh).

PYTHON   ?= python3
DEVICES  ?= 100
DURATION ?= 30
VIA      ?= mqtt
STORE    ?= sqlite
PORT     ?= 8080
# The longest first, and more at once than there are cores: most of them wait for something.
TESTS    ?= tests/e2e tests/integration tests/unit
WORKERS  ?= $(shell echo $$((5 * $$(nproc) / 2)))

INSTALL := PYTHON=$(PYTHON) stack/install.sh
BIN     := .venv/bin
SWARM   := $(BIN)/python -m stack.swarm
RUNTIME := .venv/.installed-runtime
DEV     := .venv/.installed-dev
LOCK    := .venv/.installed-lock
COMPILE := $(BIN)/uv pip compile --quiet --no-config --universal --python-version 3.11 --generate-hashes \
           --custom-compile-command 'make lock' $(if $(UPGRADE),--upgrade)
# What a way needs besides.
DATABASE := $(if $(filter database-postgresql,$(VIA)),postgresql)

SERVICES := broker sensors ingest api setup loadtest
# In a container nobody can add what the way by a database needs.
EXTRAS_ingest := --extra database
EXTRAS_sensors := --extra database
# hdrhistogram names pbr, which names setuptools; both only for its own building.
UNUSED   := --no-emit-package pbr --no-emit-package setuptools
# A variable without which a command means nothing, and how it is given.
need = $(if $($(1)),,$(error $(1) is not given: $(2)))

.DEFAULT_GOAL := help
.PHONY: help demo run test check faults loadtest bench compare tools tools-bench images deploy undeploy status scale leave rotate \
        backup restore audit test-stack format lock docs dashboards screenshots clean mosquitto postgresql chromium curl

help: ## show this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: mosquitto $(DATABASE) $(RUNTIME) ## a fleet through the whole pipeline, and its delivery report [DEVICES=100 DURATION=30 QOS=mixed VIA=mqtt STORE=sqlite]
	@$(BIN)/python -m stack demo --devices $(DEVICES) --duration $(DURATION) $(if $(QOS),--qos $(QOS)) --via $(VIA) --store $(STORE)

run: mosquitto $(DATABASE) $(RUNTIME) ## the same until Ctrl-C, with the live page [DEVICES=100 QOS=mixed VIA=mqtt STORE=sqlite PORT=8080]
	@$(BIN)/python -m stack run --devices $(DEVICES) $(if $(QOS),--qos $(QOS)) --via $(VIA) --store $(STORE) --port $(PORT)

# Bytecode is kept, also where the environment says otherwise: hundreds of Pythons read it.
# Not by scope: of tests with one name, as the API's document makes them, that runs one only.
test: mosquitto postgresql chromium curl $(DEV) ## unit, integration and end-to-end tests [TESTS=path ARGS=...]
	@PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -q -n $(WORKERS) --dist worksteal $(ARGS) $(TESTS)

check: $(DEV) ## format, lint, types, docs, then the tests
	@$(BIN)/ruff format --check --quiet . || { echo "not formatted: make format" >&2; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/python -m docs.reference --check
	@$(BIN)/python -m docs.links
	@$(MAKE) --no-print-directory test

faults: mosquitto postgresql tools $(DEV) ## every fault of the table on real servers, into build/faults.json [CASES=1,3 SELFTEST=1]
	@$(BIN)/python -m stack.faults $(if $(CASES),--cases "$(CASES)") $(if $(SELFTEST),--selftest)

loadtest: mosquitto $(RUNTIME) ## Locust with objectives, on a pipeline of its own or TARGET=, into build/loadtest/ [UI=1 STORE=sqlite LOADTEST_…=…]
	@$(if $(UI),LOADTEST_UI=true) $(if $(TARGET),LOADTEST_TARGET="$(TARGET)") \
		$(BIN)/python -m loadtest $(if $(TARGET),run,local --store $(STORE))

bench: mosquitto $(DEV) ## the measurements, into build/bench.json [ROWS=name PAIRS=5]
	@$(BIN)/python -m bench $(if $(ROWS),--rows "$(ROWS)") $(if $(PAIRS),--pairs $(PAIRS))

tools-bench: ## bring Telegraf here, the peer in make bench: on PATH, cached, or built
	@stack/tools/telegraf.sh

compare: mosquitto postgresql $(DEV) ## every way into ingest side by side, into build/compare.json [ROWS=mqtt,tcp ROUNDS=2 STORE=sqlite]
	@$(BIN)/python -m bench.compare $(if $(ROWS),--rows "$(ROWS)") $(if $(ROUNDS),--rounds "$(ROUNDS)") --store $(STORE)

tools: ## bring influxd here, which tests and STORE=influxdb need: on PATH, cached, or built
	@stack/tools/influxd.sh

images: $(RUNTIME) ## each service's image, on the Docker engine that answers [VERSION= BASE= REGISTRY= PUSH=1]
	@$(BIN)/python -m stack.images $(if $(VERSION),--version "$(VERSION)") $(if $(BASE),--base "$(BASE)") \
		$(if $(REGISTRY),--registry "$(REGISTRY)") $(if $(PUSH),--push)

deploy: $(RUNTIME) ## the stack on this Swarm, until ready [DENYUT_…=…, see docs/settings.md; make images first]
	@$(SWARM) deploy

undeploy: $(RUNTIME) ## stop the stack [DATA=1: and remove readings and secrets]
	@$(SWARM) undeploy $(if $(DATA),--data)

status: $(RUNTIME) ## every service of the stack, and ingests that went without leaving
	@$(SWARM) status

scale: $(RUNTIME) ## more or fewer tasks, without a loss: SERVICE=sensors|ingest|api|loadtest N=3
	@$(call need,SERVICE,make scale SERVICE=ingest N=3)$(call need,N,make scale SERVICE=$(SERVICE) N=3)$(SWARM) scale "$(SERVICE)" "$(N)"

leave: $(RUNTIME) ## drain what is parked for an ingest that went without leaving: SLOT=3
	@$(call need,SLOT,make leave SLOT=3)$(SWARM) leave "$(SLOT)"

rotate: $(RUNTIME) ## new tokens, passwords and certificates [WHAT="api-keys fleet-key"]
	@$(SWARM) rotate $(WHAT)

backup: $(RUNTIME) ## all that InfluxDB holds into a file: FILE=denyut.tar
	@$(call need,FILE,make backup FILE=denyut.tar)$(SWARM) backup "$(FILE)"

restore: $(RUNTIME) ## bring a backup back: FILE=denyut.tar [REPLACE=1: what is stored now goes]
	@$(call need,FILE,make restore FILE=denyut.tar)$(SWARM) restore "$(FILE)" $(if $(REPLACE),--replace)

audit: $(RUNTIME) ## the devices' ledgers against what the stack has stored
	@$(SWARM) audit

test-stack: tools $(DEV) ## the Swarm stack on a real engine, into build/stack.json [STEPS=update_api,roll_back]
	@$(if $(STEPS),,$(BIN)/python -m pytest -q tests/stack)
	@$(BIN)/python -m tests.stack $(if $(STEPS),--only "$(STEPS)")

format: $(DEV) ## format the code, and mend what the linter can
	@$(BIN)/ruff check --quiet --fix-only .
	@$(BIN)/ruff format --quiet .

docs: $(DEV) ## write docs/settings.md from the declarations
	@$(BIN)/python -m docs.reference

dashboards: $(DEV) ## write Grafana's dashboards and alerts from the code
	@$(BIN)/python -m stack.dashboards

screenshots: mosquitto chromium $(DEV) ## take the pictures of the live page anew
	@$(BIN)/python -m docs.screenshots

lock: $(LOCK) ## pin what setup.cfg asks for, with hashes [UPGRADE=1]
	@$(COMPILE) -o requirements/runtime.txt setup.cfg requirements/build.in \
		$(foreach service,$(SERVICES),--extra $(service)) --extra deploy --extra grafana --extra database
	@$(foreach service,$(SERVICES),$(COMPILE) -o requirements/$(service).txt setup.cfg \
		--extra $(service) $(EXTRAS_$(service)) $(UNUSED) -c requirements/runtime.txt &&) true
	@$(COMPILE) -o requirements/dev.txt setup.cfg requirements/build.in \
		--all-extras -c requirements/runtime.txt
	@$(COMPILE) -o requirements/lock.txt requirements/lock.in

clean: ## remove everything that was made here
	@rm -rf .venv build *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

mosquitto postgresql chromium curl:
	@$(INSTALL) $@

$(RUNTIME): requirements/runtime.txt setup.cfg pyproject.toml stack/install.sh
	@$(INSTALL) runtime
	@touch $@

# A superset of the runtime with the same pins: that needs no further visit.
$(DEV): requirements/dev.txt requirements/runtime.txt setup.cfg pyproject.toml stack/install.sh
	@$(INSTALL) dev
	@touch $(RUNTIME) $@

$(LOCK): requirements/lock.txt
	@$(INSTALL) lock
	@touch $@
