# Every verb of the project. What a verb does stands in scripts/, one file each.

.DEFAULT_GOAL := help
.PHONY: help build run run-stack demo test test-stack bench-audit bench-check bench-replicas fuzz generate lint ci

help: ## Show what there is
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## Build every program into bin/
	@scripts/build

run: ## Start the whole suite on this machine, with a sample learning platform and ready-made tokens
	@scripts/build privacyops
	@bin/privacyops serve --sample

run-stack: ## The same on a PostgreSQL and a Redis of its own; nothing of it lasts
	@scripts/build privacyops
	@scripts/stack exec scripts/run-stack

demo: ## Play the main job against a fresh suite; succeeds only if everything verified
	@scripts/build privacyops
	@bin/privacyops demo

test: ## Run the tests of all modules (PKG=./libs/... narrows it, ARGS="-race" goes to go test)
	@PKG="$(PKG)" scripts/test $(ARGS)

test-stack: ## Run the suites of every engine and the end-to-end tests on PostgreSQL and Redis (PKG, ARGS as above)
	@PKG="$(PKG)" scripts/stack exec scripts/test-stack $(ARGS)

bench-audit: ## Measure the audit log against Tessera alone and immudb's embedded store
	@scripts/bench-audit

bench-check: ## Measure the legal-basis check against a bare echo, a bare JSON handler and OpenFGA
	@scripts/bench-check

bench-replicas: ## Measure what a second replica costs on one machine, with PostgreSQL and Redis beside it (two minutes)
	@scripts/bench-replicas

fuzz: ## Run every fuzz target for a while (FUZZTIME=10s each)
	@scripts/fuzz

generate: ## Make the Go code and the OpenAPI contract from the protos, and the reference of settings
	@scripts/generate

lint: ## Check the Go code, the dependency rules, the protos, the scripts and deploy/
	@scripts/lint

ci: ## Everything a change has to pass
	@.ci/run
