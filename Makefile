# Every target here works in a fresh clone. `make` alone prints them.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help setup airflow demo up down status test e2e faults endurance browser bench bench-peers bench-report minio monitoring drill dbt features atlas superset live-setup docs lint audit zip lineage lock clean

PYTHON ?= python3
SAMPLE ?= foodmart
WORKERS ?= 2
NIGHTS ?= 60
SIZE ?= S
BIN := .venv/bin
LOCKS := jobs airflow minio benchmarks dbt features atlas superset docs audit

# The demo runs on default settings whatever the environment says: all that could lead it elsewhere is taken away.
STRAY := $(filter LAKEHOUSE_% AWS_% SPARK_% PYSPARK_% HADOOP_% PG% PYTHONPATH PYTHONHOME,$(.VARIABLES))
DEFAULTS := env $(foreach name,$(STRAY),-u $(name))

help: ## print this help
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile

setup: ## install everything into .venv: packages, jars, this package (instant when nothing changed)
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11, 3.12 or 3.13 is needed, and there is no $(PYTHON): install one, or name it, for example \`make setup PYTHON=python3.12\`." >&2; exit 9; }
	@$(PYTHON) -m tools.setup.environment

airflow: setup ## install Airflow into .venv-airflow (instant when nothing changed)
	@$(BIN)/python -m tools.setup.airflow

demo: setup ## one shop's history through bronze, silver and gold, from nothing (SAMPLE=foodmart or online_retail)
	@$(DEFAULTS) $(BIN)/lakehouse demo --sample $(SAMPLE)

up: airflow minio zip $(if $(filter 1,$(MONITORING)),monitoring) $(if $(filter 1,$(LIVE)),live-setup) ## the whole stack as plain processes, until all of it is healthy (MONITORING=1 with metrics and alerts, TLS=1 with TLS, LIVE=1 with the live layer)
	@$(if $(MONITORING),LAKEHOUSE_MONITORING=$(MONITORING)) $(if $(TLS),LAKEHOUSE_TLS=$(TLS)) $(if $(LIVE),LAKEHOUSE_LIVE=$(LIVE)) $(BIN)/python -m tools.stack up

# Stopping and looking install and build nothing: without an environment there is no stack.
down status:
	@if [ -x $(BIN)/python ]; then $(BIN)/python -m tools.stack $@; else echo "Nothing was set up here, so no stack runs."; [ $@ = down ] || exit 3; fi

down: ## end the stack; its data stay
status: ## how each part of the stack is, and where

# Two workers, each with a Spark, a Postgres and a MinIO of its own; a file's tests stay together and in order. The DAGs'
# tests run beside them, and what they had to say comes last.
test: airflow minio zip ## all tests but the long ones, on a real Postgres, a real MinIO and a real Airflow (WORKERS=1 for one after the other)
	@$(BIN)/python -m benchmarks.peers.environment
	@$(BIN)/python -m tools.docs.environment
	@dags=$$(mktemp); \
	(began=$$SECONDS; .venv-airflow/bin/python -m pytest -c tests/dags/pytest.ini tests/dags >"$$dags" 2>&1; ended=$$?; \
	  printf '\n  %-8s%6d s\n' DAGs $$((SECONDS - began)) >>"$$dags"; exit $$ended) & \
	beside=$$!; trap 'kill $$beside 2>/dev/null; rm -f "$$dags"' EXIT; \
	$(BIN)/pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder --durations=20 --durations-min=5; ended=$$?; \
	printf '\n  %-8s%6d s\n' tests $$SECONDS; \
	wait $$beside; of_dags=$$?; cat "$$dags"; printf '  %-8s%6d s\n' both $$SECONDS; exit $$((ended | of_dags))

e2e: airflow minio monitoring zip ## the long tests: real sales day by day, repairs, days killed at any moment, nights on Airflow, a cluster
	@$(BIN)/python -m tools.dbt.environment
	@$(BIN)/python -m tools.features.environment
	@$(BIN)/python -m tools.atlas.environment
	@$(BIN)/python -m tools.superset.environment
	@$(BIN)/python -m tools.live.setup
	@$(BIN)/pytest -m slow

faults: airflow minio zip ## every fault of docs/faults.md, injected for real, and the page of what held (ROWS=F5,F6 for some)
	@$(BIN)/python -m tools.faults $(ROWS)

endurance: airflow minio zip ## two months of nights with maintenance, a rewind and the way forward again: hours (NIGHTS=15 for fewer)
	@NIGHTS=$(NIGHTS) $(BIN)/pytest -m endurance

browser: airflow minio zip ## looks at the whole stack in a headless Chromium (PICTURES=folder keeps what it saw)
	@command -v chromium chromium-browser google-chrome >/dev/null || { echo "There is no Chromium: install one (Debian, Ubuntu: \`apt install chromium\`), then run \`make browser\` again." >&2; exit 9; }
	@LAKEHOUSE_PICTURES=$(PICTURES) $(BIN)/pytest -m browser

bench: setup ## the lakehouse and its peers on a made-up shop, in turn, beside the machine's limits (SIZE=S, M or L): docs/benchmark.md
	@$(DEFAULTS) $(BIN)/python -m benchmarks all --size $(SIZE)

bench-peers: setup ## the peers alone (SIZE=S, M or L)
	@$(DEFAULTS) $(BIN)/python -m benchmarks peers --size $(SIZE)

bench-report: setup ## benchmarks/README.md again, from the raw figures in benchmarks/results
	@$(BIN)/python -m benchmarks report

minio: setup ## build the MinIO of the tests, once, into the user's cache
	@$(BIN)/python -m tools.setup.minio

monitoring: setup ## build VictoriaMetrics and vmalert, once, into the user's cache
	@$(BIN)/python -m tools.setup.go.victoria

drill: setup minio ## lose objects, the database server and the whole machine, and come back to a chosen second: docs/recovery.md
	@$(DEFAULTS) $(BIN)/python -m tools.drill

dbt: setup ## marts of gold in schema analytics, tested, and their page among the Data Docs: docs/dbt.md
	@$(BIN)/python -m tools.dbt.environment
	@$(BIN)/python -m tools.dbt

features: setup ## what was known of customers and products by the end of each day that is due, and Feast on it (FROM= and TO= for a range): docs/features.md
	@$(BIN)/lakehouse features $(if $(FROM),--from $(FROM)) $(if $(TO),--to $(TO))
	@$(BIN)/python -m tools.features.environment
	@$(BIN)/python -m tools.features

atlas: setup ## an Apache Atlas with the catalogue in it, until Ctrl-C (ATLAS_PORT=21000; OPEN=1 where there are no network namespaces): docs/catalogue.md
	@$(BIN)/python -m tools.atlas $(if $(ATLAS_PORT),--port $(ATLAS_PORT)) $(if $(OPEN),--open)

# Looking and ending install nothing.
superset: $(if $(filter status down,$(DO)),,setup) ## dashboards of gold in a Superset on this machine (DO=status, DO=down; SUPERSET_PORT=8088; JSON=1): docs/superset.md
	@if [ -x $(BIN)/python ]; then $(BIN)/python -m tools.superset $(or $(DO),up) $(if $(SUPERSET_PORT),--port $(SUPERSET_PORT)) $(if $(JSON),--json); else echo "Nothing was set up here, so no Superset runs."; [ "$(DO)" = down ] || exit 3; fi

live-setup: setup ## fetch what the live layer runs on, Kafka, Debezium and Spark's Kafka source: docs/live.md
	@$(BIN)/python -m tools.live.setup

docs: setup ## README, docs/ and decisions as a site with a search, in build/site; it asks no other host for anything
	@$(BIN)/python -m tools.docs

lint: setup ## style and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

audit: setup ## known weaknesses, secrets, licences and a list of all parts (dist/sbom.json): docs/security.md
	@$(BIN)/python -m tools.audit

zip: setup ## dist/lakehouse.zip for spark-submit --py-files
	@$(BIN)/python -m tools.setup.zip

lineage: setup ## conf/contracts/lineage.json again: which column is made of which, from the transforms' own plans
	@$(BIN)/python -m tools.lineage

lock: setup ## pin conf/requirements/*.in again, with hashes
	@cd conf/requirements && for name in $(LOCKS); do \
	  ../../$(BIN)/uv pip compile --quiet --generate-hashes --universal --python-version 3.11 \
	    --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" $$name.in -o $$name.lock || exit 1; \
	done

clean: ## remove what can be made again; data in .lakehouse stays
	@rm -rf .venv .venv-airflow .venv-atlas .venv-audit .venv-benchmarks .venv-dbt .venv-docs .venv-features .venv-superset dist build lib/*.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
