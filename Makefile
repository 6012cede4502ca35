# The whole interface of the repository. One configuration everywhere: other flags would build everything again.
SWIFT_FLAGS := -c release -Xswiftc -enforce-exclusivity=unchecked
BINARY := .build/release/sextant
# Targets whose tests wait for sockets run apart from those that only compute: the latter take every core.
SOCKETS := ^(HTTPTransportTests|GRPCTransportTests|SimWorkerTests|TelemetryTests|IntegrationTests)\.
# Run apart: their models take every core for as long as others wait for an answer.
MODELS := ^(TokenizersTests|ClassifierEngineTests)\.
# Run alone: they flood the event loops that all share.
FLOODS := ^GRPCTransportTests\.
# Run last, alone: Envoy gives Sextant a second, of which other tests shall take nothing.
ENVOY := ^IntegrationTests\.EnvoyTests
TEST_PROGRAMS := SEXTANT_BINARY=$(BINARY) SEXTANT_OPENAI_PYTHON=.venv/openai/bin/python SEXTANT_ENVOY=scripts/envoy \
	SEXTANT_PROMETHEUS=/usr/bin/prometheus SEXTANT_PROMTOOL=/usr/bin/promtool
# Absolute: tests look for them from wherever they are run.
TEST_MODELS := SEXTANT_ONNXRUNTIME=$(CURDIR)/.models/onnxruntime/libonnxruntime.so SEXTANT_MODELS=$(CURDIR)/.models
FUZZ_DOCUMENTS ?= 10000000
SUSTAINED_SECONDS ?= 300

.PHONY: help build test models test-peers soak-envoy demo demo-envoy bench bench-sustained bench-policy bench-extproc bench-extproc-sustained bench-telemetry bench-models fuzz docs protos format check clean

help: ## Show the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  \1\t/' | expand -t 20

build: ## Build the program and its tests
	scripts/quietly swift build $(SWIFT_FLAGS) --build-tests

test: build ## Run all tests: unit, conformance, integration, official client, scripts
	@command -v cc >/dev/null || scripts/install-packages gcc libc6-dev
	python3 -m unittest discover -q -s Benchmarks -t Benchmarks
	scripts/python-env openai
	scripts/python-env envoy
	scripts/install-packages prometheus
	scripts/fetch-models
	@echo "== unit tests: pure values"
	swift test $(SWIFT_FLAGS) --skip-build --skip '$(SOCKETS)|$(MODELS)'
	@echo "== tokenizers and models, small and published"
	$(TEST_MODELS) swift test $(SWIFT_FLAGS) --skip-build --filter '$(MODELS)'
	@echo "== integration tests: real sockets on loopback, real clients"
	$(TEST_PROGRAMS) swift test $(SWIFT_FLAGS) --skip-build --filter '$(SOCKETS)' --skip '$(FLOODS)|$(ENVOY)'
	swift test $(SWIFT_FLAGS) --skip-build --filter '$(FLOODS)'
	@echo "== a real Envoy in front, healthy and under faults"
	$(TEST_PROGRAMS) swift test $(SWIFT_FLAGS) --skip-build --filter '$(ENVOY)'

test-peers: build ## Run the tests with other projects' inference routers behind Envoy
	scripts/python-env envoy
	scripts/python-env openai
	scripts/python-env vllm-router
	$(TEST_PROGRAMS) SEXTANT_VLLM_ROUTER=.venv/vllm-router/bin/vllm-router \
		swift test $(SWIFT_FLAGS) --skip-build --filter '$(ENVOY)/PeerTests'

soak-envoy: build ## Send a hundred thousand requests over one connection of Envoy's
	scripts/python-env envoy
	$(TEST_PROGRAMS) SEXTANT_ENVOY_REQUESTS=100000 \
		swift test $(SWIFT_FLAGS) --skip-build --filter '$(ENVOY)/FaultTests/manyRequests'

models: ## Fetch the small models that Sextant can run itself, into .models
	scripts/fetch-models
	scripts/quietly swift build $(SWIFT_FLAGS) --product classifier-probe
	scripts/models/quantize

demo: ## Fetch models, start a gateway and simulated workers, send real requests, show the routing
	scripts/quietly swift build $(SWIFT_FLAGS) --product sextant
	scripts/python-env openai
	scripts/fetch-models
	scripts/demo

demo-envoy: ## The same behind Envoy; then with Sextant's semantic router killed
	scripts/quietly swift build $(SWIFT_FLAGS) --product sextant
	@command -v curl >/dev/null || scripts/install-packages curl
	scripts/python-env openai
	scripts/python-env envoy
	scripts/demo envoy

bench: build ## Measure Sextant beside nginx and vllm-router; write docs/performance.md
	@command -v cc >/dev/null || scripts/install-packages gcc libc6-dev
	scripts/install-packages wrk nginx-light
	scripts/python-env vllm-router
	Benchmarks/run.py --markdown

bench-sustained: build ## Five minutes at the highest rate
	scripts/install-packages wrk
	Benchmarks/run.py --sustained 300 --markdown

bench-policy: build ## What a policy adds to a request
	scripts/install-packages wrk
	Benchmarks/run.py --policy --markdown

bench-extproc: build ## What Sextant adds to a request through Envoy
	@command -v cc >/dev/null || scripts/install-packages gcc libc6-dev
	scripts/install-packages wrk
	scripts/python-env envoy
	Benchmarks/run.py --extproc --markdown

bench-extproc-sustained: build ## 1,000 requests/s through Envoy, for five minutes
	@command -v cc >/dev/null || scripts/install-packages gcc libc6-dev
	scripts/install-packages wrk
	scripts/python-env envoy
	Benchmarks/run.py --extproc --sustained $(SUSTAINED_SECONDS) --markdown

bench-telemetry: build ## What metrics and traces add to a request
	@command -v cc >/dev/null || scripts/install-packages gcc libc6-dev
	scripts/install-packages wrk
	Benchmarks/run.py --telemetry --rounds 5 --markdown

bench-models: build models ## What the models cost that Sextant runs itself, beside Python's ONNX Runtime
	scripts/python-env onnxruntime
	Benchmarks/models.py --markdown

fuzz: build ## Compare the JSON scanner with Foundation on ten million documents
	SEXTANT_FUZZ_DOCUMENTS=$(FUZZ_DOCUMENTS) swift test $(SWIFT_FLAGS) --skip-build --filter JSONFuzzTests

docs: build ## Write the generated pages anew
	$(BINARY) config reference > docs/configuration.md
	$(BINARY) config metrics > docs/observability.md

protos: ## Write the Swift sources of Protos/ anew
	scripts/generate-protos

format: ## Format all Swift files
	swift format --in-place --recursive --parallel Sources Tests Package.swift

check: build ## Format, layers, generated pages and Envoy's configurations
	swift format lint --strict --recursive --parallel Sources Tests Package.swift
	scripts/check-layers
	scripts/check-protos
	scripts/check-envoy
	scripts/check-docs

clean: ## Remove what was built
	rm -rf .build .build-protoc .venv .run Benchmarks/.bin
