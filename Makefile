# The same targets for people and CI. `make` lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help
export GOFLAGS ?= -trimpath
VERSION ?= $(shell scripts/version.sh)
COMMIT ?= $(shell git rev-parse --short=12 HEAD 2>/dev/null)
LDFLAGS := -s -w -X github.com/modelyard/modelyard/internal/app.version=$(VERSION) -X github.com/modelyard/modelyard/internal/app.commit=$(COMMIT)
BIN := bin/modelyard
# not ./...: packages in node_modules may carry Go files
PKGS := ./bench/... ./client/... ./cmd/... ./examples/... ./internal/... ./test/...
# everything with concurrency of its own but internal/transfer (100 s by itself): about 3 minutes on two cores
RACE := $(addprefix ./internal/,alert app dataset evalset evaluation governance infer/pyworker lifecycle monitor pipeline platform/... predlog protocol/mlflow registry \
	routing scorer serving trace tracking webhook) ./test/backup ./test/trash

.PHONY: help build ui bin demo test test-go test-race test-pg test-web conformance e2e story wheel dist lint verify docs bench clean prereq crash fuzz

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ui bin ## build the web UI and the program (bin/modelyard)

bin: ## build the program alone, with the web UI that is there
	CGO_ENABLED=0 go build -ldflags '$(LDFLAGS)' -o $(BIN) ./cmd/modelyard

ui: web/node_modules/.stamp ## build the web UI into internal/ui/dist
	cd web && npm run --silent build

web/node_modules/.stamp: web/package-lock.json
	cd web && npm install --silent --no-save --no-audit --no-fund # not ci: with addresses left out of the lock it misses other platforms' optional packages
	@touch $@

demo: ## build everything and tell the whole story on real data
	@scripts/prereq.sh build
	@$(MAKE) --no-print-directory build
	$(BIN) demo $(ARGS)

prereq:
	@scripts/prereq.sh install

test: prereq build test-go test-race test-web test-pg conformance e2e wheel story ## every test there is; installs what it needs

test-go: bin ## Go tests on the embedded store; the ONNX ones need the runtime that the program installs
	$(BIN) runtime install
	MODELYARD_TEST_PYTHON=1 go test $(PKGS)

test-race: ## Go tests of the packages with concurrency of their own, with the race detector
	CGO_ENABLED=1 go test -race -timeout 10m $(RACE)

test-pg: ## Go tests on PostgreSQL beside the embedded store; packages without a store come from the test cache
	scripts/with-postgres.sh go test -timeout 5m ./internal/... ./test/crash

crash: bin ## the nightly form of the crash test: a hundred kills
	MODELYARD_BIN=$(CURDIR)/$(BIN) MODELYARD_CRASH_KILLS=100 go test -v -timeout 60m ./test/crash

fuzz: ## the nightly form of the fuzz targets: each for FUZZTIME (2m)
	scripts/fuzz.sh $(or $(FUZZTIME),2m)

test-web: web/node_modules/.stamp ## types, lint and unit tests of the web UI
	cd web && npm run --silent check && npm run --silent test

conformance: bin ## the official clients, pinned, against the program
	MODELYARD_BIN=$(CURDIR)/$(BIN) conformance/run.sh

e2e: build ## the web UI in Chromium
	MODELYARD_BIN=$(CURDIR)/$(BIN) test/e2e/run.sh

story: build ## the whole demo as one test, with kill -9 at seeded moments
	MODELYARD_BIN=$(CURDIR)/$(BIN) test/story/run.sh

wheel: bin ## build the Python wheel, install it in a fresh environment and start it
	scripts/wheel.sh test

dist: build ## binaries for Linux and macOS, and the Python wheels
	scripts/dist.sh

lint: ## golangci-lint
	golangci-lint run ./...

verify: docs ## regenerate what is generated and fail when it differs
	git diff --exit-code -- docs/reference web/src/lib/api

docs: ## regenerate the reference pages
	go run ./internal/tools/docs

bench: build ## the figures in bench/
	bench/run.sh

clean: ## remove what was built
	rm -rf bin dist internal/ui/dist/* web/node_modules
	touch internal/ui/dist/.gitkeep
