# make demo    a scenario is written, scanned and shown (DEMO_FLAGS=--no-serve: ends by itself)
# make test    everything, with the race detector
# make help    the rest

# The data that tests read, which is no part of the repository. Tests that need it are skipped without it.
override BREAKWATER_DATA := $(abspath $(or $(BREAKWATER_DATA),../shared/data))
export BREAKWATER_DATA

GO         ?= go
BIN        := dist/breakwater
DEMO_FLAGS ?=
TEST_FLAGS ?=
FUZZ_TIME  ?= 10s
BENCH      ?= .

.DEFAULT_GOAL := help
.PHONY: help demo build test test-long lint eval bench fuzz docs clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: build ## write a scenario, scan it, print the answer and serve the report
	$(BIN) demo $(DEMO_FLAGS)

build: ## dist/breakwater
	$(GO) build -trimpath -o $(BIN) ./cmd/breakwater

test: ## every test, with the race detector; without it what it disturbs
	$(GO) test -race -timeout 10m $(TEST_FLAGS) ./...
	$(GO) test $(TEST_FLAGS) -run Allocates ./internal/detect/sigma

test-long: ## as test, with the cases that take minutes
	BREAKWATER_LONG=1 $(GO) test -race -timeout 60m -count 1 $(TEST_FLAGS) ./...
	$(GO) test $(TEST_FLAGS) -count 1 -run Allocates ./internal/detect/sigma

lint: dist/staticcheck ## format, vet, architecture and staticcheck
	@files=$$(gofmt -l cmd internal rules); if [ -n "$$files" ]; then echo "not formatted by gofmt:"; echo "$$files"; exit 1; fi
	$(GO) vet ./...
	$(GO) test -count 1 ./internal/archtest/...
	dist/staticcheck ./...

dist/staticcheck: tools/go.mod tools/go.sum
	$(GO) build -C tools -o ../$@ honnef.co/go/tools/cmd/staticcheck

eval: build ## judge our own scenarios into docs/evaluation.md, or the folders of DIR=… on the terminal
ifdef DIR
	$(BIN) scenario eval $(DIR)
else
	$(BIN) scenario eval --controls > dist/evaluation.md
	tools/recorded >> dist/evaluation.md
	mv dist/evaluation.md docs/evaluation.md
endif

bench: ## docs/benchmarks.md, measured on this machine
	@mkdir -p dist
	tools/bench '$(BENCH)' > dist/benchmarks.md
	mv dist/benchmarks.md docs/benchmarks.md

fuzz: ## every fuzz target for FUZZ_TIME (10s)
	tools/fuzz $(FUZZ_TIME)

docs: ## what is generated: the CLI reference, the sample in the README
	$(GO) test ./internal/cli -run '^(TestReference|TestDemo)$$' -count 1 -update

clean: ## remove what was built
	rm -rf dist
