# Slipway: the short list of things a person does here. `make help` prints it.
PYTHON  ?= python3
CLUSTER ?= bare
VENV    := .venv
RUN     := $(VENV)/bin/python
UV_PIN  := uv==0.13.9
export UV_PROJECT_ENVIRONMENT := $(VENV)

.DEFAULT_GOAL := help
.PHONY: help demo down test verify generate up status docker-images shell-env bench bench-images bench-registry bench-serving clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

$(VENV)/.ready: pyproject.toml uv.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "make: Python 3.11 or newer is needed; name one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@test -x $(RUN) || $(PYTHON) -m venv $(VENV) || { echo "make: python3 -m venv failed; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@test -x $(VENV)/bin/uv || $(VENV)/bin/pip install -q $(UV_PIN)
	@$(VENV)/bin/uv sync --frozen --quiet
	@touch $@

demo: $(VENV)/.ready ## From nothing to a served, watched prediction (CLUSTER=bare, kind or current)
	@$(RUN) -m local demo --provider $(CLUSTER)

down: $(VENV)/.ready ## Remove everything that `make demo` or `make up` made
	@$(RUN) -m local down --provider $(CLUSTER) --purge

up: $(VENV)/.ready ## Only the cluster, with S3 and an image registry
	@$(RUN) -m local up --provider $(CLUSTER)

status: $(VENV)/.ready ## What runs, and what the chain looks like
	@$(RUN) -m local status --provider $(CLUSTER)

test: $(VENV)/.ready ## All tests, quick layers first; says at the end what ran
	@$(RUN) -m tests.run $(LAYERS)

verify: $(VENV)/.ready ## Style, types, import rules, generated files
	@$(RUN) -m tests.run verify

generate: $(VENV)/.ready ## Write what comes from other files: CRDs, manifests/
	@PYTHONPATH=operator $(RUN) -m slipway.api.crd --out crds --chart charts/slipway/templates/crds
	@PYTHONPATH=operator $(RUN) -m manifests.render

DESCRIBE = import platform, site; from pathlib import Path; from slipway.images.wheels import installed; \
           print(" ".join(map(str, installed(Path(site.getsitepackages()[0])))), platform.libc_ver()[1], sep="\n")

docker-images: ## The images with Docker; `slipway images build` needs none
	@set -e; for name in operator training serving; do \
	  docker build --target $$name --tag slipway-$$name .; \
	  said=$$(docker run --rm --entrypoint python slipway-$$name -c '$(DESCRIBE)'); \
	  docker build --target $$name --tag slipway-$$name \
	    --build-arg PACKAGES="$$(echo "$$said" | head -1)" --build-arg GLIBC="$$(echo "$$said" | tail -1)" .; \
	done

.PHONY: bench-rollout
bench-rollout: $(VENV)/.ready ## Only this: 300, then 1,000 ModelDeployments at once on a real control plane with kwok nodes
	@PYTHONPATH=operator:. $(RUN) -m bench.rollout

bench-images: $(VENV)/.ready ## Only this: a changed application file, AppBuild's pod against buildah
	@PYTHONPATH=operator:. $(RUN) -m bench.images

shell-env: $(VENV)/.ready ## Print what to `eval` to use kubectl, helm and slipway on the local cluster
	@$(RUN) -m local env --provider $(CLUSTER)

.PHONY: bench-features
bench-features: $(VENV)/.ready ## Only this: point-in-time joins, ingestion and online reads against Feast; some twelve minutes
	@PYTHONPATH=operator:. $(RUN) -m bench.features

bench-registry: $(VENV)/.ready ## Only this: the registry against an MLflow server; some ten minutes, or in pieces with --parts
	@PYTHONPATH=operator:. $(RUN) -m bench.registry

bench-serving: $(VENV)/.ready ## Only this: the model server against MLServer, KServe and BentoML; some ten minutes
	@PYTHONPATH=operator:. $(RUN) -m bench.serving run

clean: ## Remove the virtual environment and what tests left here
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
