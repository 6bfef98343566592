# Forwards to meson and scripts/; everything that decides is there.
.PHONY: all build run example-chat test check check-tsan check-clients check-examples check-proxies lint format fuzz fuzz-smoke bench soak deb check-deb clean install-build install-test

all: build

install-build:
	@scripts/install.sh build

install-test:
	@scripts/install.sh test

build: install-build
	@scripts/build.sh release

run: build
	build/sockudo --config config/demo.json

example-chat: examples/chat/node_modules/.package-lock.json
	node examples/chat/server.mjs

examples/chat/node_modules/.package-lock.json: examples/chat/package-lock.json
	@scripts/install.sh example
	cd examples/chat && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error

test:
	@scripts/test.sh

check: install-test
	@scripts/check.sh

check-tsan: install-test
	@scripts/check-tsan.sh

check-clients: install-test build
	@tests/clients/run.sh build/sockudo

check-examples: install-test build
	@tests/examples/run.sh build/sockudo

check-proxies: install-test build
	@tests/proxies/run.py build/sockudo

lint:
	@scripts/lint.py

format:
	@scripts/format.sh

fuzz-smoke: install-test
	@scripts/fuzz-smoke.sh

soak: build
	tests/lifecycle/soak.py build/sockudo
	tests/lifecycle/soak.py build/sockudo 10 --tls

# Long, with a corpus that grows: make fuzz FUZZ_SECONDS=3600 FUZZ_CORPUS=/some/folder
fuzz: install-test
	@FUZZ_CORPUS=$${FUZZ_CORPUS:-fuzz-corpus} scripts/fuzz-smoke.sh $${FUZZ_SECONDS:-1800}

bench: build
	@scripts/bench.sh

deb:
	@scripts/deb.sh

check-deb:
	@tests/package/run.sh || test $$? -eq 77

clean:
	rm -rf build build-asan build-tsan build-fuzz dist
