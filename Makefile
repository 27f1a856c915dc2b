# make demo    a campaign unfolds in the browser (DEMO_FLAGS=--demo-end: in the terminal, and ends by itself)
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
EVAL_FLAGS ?= --seeds 20 --controls

.DEFAULT_GOAL := help
.PHONY: help demo build cross test test-long lint eval eval-network eval-mail bench bench-serve bench-network bench-mail bench-sigma soak fuzz docs clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: build ## play a provider, its clients and an intruder to a server of its own, and show the campaign unfold
	$(BIN) serve --demo $(DEMO_FLAGS)

build: ## dist/breakwater, one static file
	CGO_ENABLED=0 $(GO) build -trimpath -o $(BIN) ./cmd/breakwater

# The systems that a responder may have to carry it to. CROSS=linux/arm64 builds one of them.
CROSS ?= linux/amd64 linux/arm64 darwin/arm64 darwin/amd64 windows/amd64

cross: $(CROSS:%=cross/%) ## dist/breakwater-SYSTEM-MACHINE for Linux, macOS and Windows, or those of CROSS=…

cross/%:
	CGO_ENABLED=0 GOOS=$(*D) GOARCH=$(*F) $(GO) build -trimpath -ldflags '-s -w' -o dist/breakwater-$(*D)-$(*F)$(if $(filter windows,$(*D)),.exe) ./cmd/breakwater

test: ## every test, with the race detector; without it what it disturbs
	$(GO) test -race -timeout 25m $(TEST_FLAGS) ./...
	$(GO) test $(TEST_FLAGS) -run 'Allocates|MemoryIsFlat|FloodsStay|MailEvaluation|NormaliseIs' ./internal/detect/sigma ./internal/detect/beacon ./internal/cli ./internal/mailcorpus

test-long: ## as test, with the cases that take minutes
	BREAKWATER_LONG=1 $(GO) test -race -timeout 60m -count 1 $(TEST_FLAGS) ./...
	BREAKWATER_LONG=1 $(GO) test -timeout 60m $(TEST_FLAGS) -count 1 -run 'Allocates|MemoryIsFlat|FloodsStay|MailEvaluation|NormaliseIs' ./internal/detect/sigma ./internal/detect/beacon ./internal/cli ./internal/mailcorpus

lint: dist/staticcheck ## format, vet, architecture and staticcheck
	@files=$$(gofmt -l cmd internal rules); if [ -n "$$files" ]; then echo "not formatted by gofmt:"; echo "$$files"; exit 1; fi
	$(GO) vet ./...
	$(GO) test -count 1 ./internal/archtest/...
	dist/staticcheck ./...

dist/staticcheck: tools/go.mod tools/go.sum
	$(GO) build -C tools -o ../$@ honnef.co/go/tools/cmd/staticcheck

eval: build ## judge our own scenarios into docs/evaluation.md (an hour; EVAL_FLAGS="--seeds 5": five minutes), or the folders of DIR=… on the terminal
ifdef DIR
	$(BIN) scenario eval $(DIR)
else
	$(BIN) scenario eval $(EVAL_FLAGS) > dist/evaluation.md
	tools/recorded >> dist/evaluation.md
	tools/eval-network >> dist/evaluation.md
	mv dist/evaluation.md docs/evaluation.md
endif

eval-network: ## judge the labelled captures, in every format, into their part of docs/evaluation.md
	@mkdir -p dist
	sed '/^## Reconnaissance in captures/,$$d' docs/evaluation.md > dist/evaluation.md
	tools/eval-network > dist/evaluation-network.md
	sed -i -e :a -e '/^\n*$$/{$$d;N;ba' -e '}' dist/evaluation.md
	cat dist/evaluation-network.md >> dist/evaluation.md
	mv dist/evaluation.md docs/evaluation.md

eval-mail: ## docs/evaluation-mail.md: phishing found, beside rspamd and SpamAssassin (the first time half an hour)
	@mkdir -p dist
	tools/eval-mail > dist/evaluation-mail.md
	mv dist/evaluation-mail.md docs/evaluation-mail.md

bench: ## docs/benchmarks.md, measured on this machine
	@mkdir -p dist
	tools/bench '$(BENCH)' > dist/benchmarks.md
	mv dist/benchmarks.md docs/benchmarks.md

bench-serve: ## docs/benchmarks-serve.md: serve under load, about 15 minutes (BENCH_SECONDS=20: short)
	@mkdir -p dist
	tools/bench-serve > dist/benchmarks-serve.md
	mv dist/benchmarks-serve.md docs/benchmarks-serve.md

bench-network: ## docs/benchmarks-network.md: the network layer over 10 M flows, about ten minutes (BENCH_FLOWS=400000: short)
	@mkdir -p dist
	tools/bench-network > dist/benchmarks-network.md
	mv dist/benchmarks-network.md docs/benchmarks-network.md

bench-mail: ## docs/benchmarks-mail.md: messages a second, beside rspamd and SpamAssassin, the milter's answer, memory
	@mkdir -p dist
	tools/bench-mail > dist/benchmarks-mail.md
	mv dist/benchmarks-mail.md docs/benchmarks-mail.md

bench-sigma: ## docs/benchmarks-sigma.md: Sigma rules and EVTX beside the other programs in Go, about three minutes
	@mkdir -p dist
	tools/bench-sigma > dist/benchmarks-sigma.md
	mv dist/benchmarks-sigma.md docs/benchmarks-sigma.md

soak: ## serve under load for SOAK_SECONDS (1800): its memory must not grow
	tools/soak

fuzz: ## every fuzz target for FUZZ_TIME (10s)
	tools/fuzz $(FUZZ_TIME)

docs: ## what is generated: the CLI reference, the controls of posture, the sample in the README
	$(GO) test ./internal/cli -run '^(TestReference|TestControlReference|TestDemo)$$' -count 1 -update

clean: ## remove what was built
	rm -rf dist
