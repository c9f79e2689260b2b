# Everything that is done with optoggles. Each target does its own set-up.

CARGO ?= cargo
PYTHON ?= python3
seconds ?= 600
rate ?= 100
runs ?= 5
prefix ?= /usr/local
bindir ?= $(prefix)/bin
sysconfdir ?= /etc

# Together with what tests need, the executable is another one: it must not take the release's place.
apart = --target-dir target/bench

.PHONY: build demo test lint deny e2e browser soak bench micro install clean

## build: the release executable, target/release/optoggles
build:
	$(CARGO) build --release --locked

## demo: makes flags of the users in examples/quickstart, without any server
demo:
	$(CARGO) run --locked -- -q -c examples/quickstart/optoggles.toml sync --once
	@echo
	@echo "The flags are in examples/quickstart/flags.json, as flagd and OpenFeature read them."
	@echo "Now write \"carol\" for \"bob\" in examples/quickstart/users.json, and run it again."
	@echo
	@echo "With opa installed, change a country in examples/quickstart/policy/data.json, and make"
	@echo "users.json from the policy:"
	@echo
	@echo "  cd examples/quickstart && opa eval --data policy --format json data.app.rbac > users.json"

## test: all tests that need nothing but Rust
test:
	$(CARGO) test --locked

## lint: formatting, clippy with warnings denied, and the documentation
lint:
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets --test soak -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps --quiet

## deny: licences, sources and bans of the dependencies (installs cargo-deny where it is missing)
deny:
	command -v cargo-deny >/dev/null || $(CARGO) install cargo-deny --locked
	cargo-deny check bans licenses sources

## e2e: the executable against the real OPAL, OPA and json-server (needs Go, Python, Node.js and OpenSSL)
e2e: build
	$(PYTHON) tests/e2e/run.py --bin target/release/optoggles

## browser: the status page in a real browser (needs Python and Debian's chromium and chromium-driver)
browser: build
	$(PYTHON) tests/browser/run.py --bin target/release/optoggles

## soak: the release for ten minutes under load, with faults everywhere (seconds=600 rate=100)
soak: build
	OPTOGGLES_EXECUTABLE=$(CURDIR)/target/release/optoggles \
	$(CARGO) test --locked --test soak -- $(seconds) $(rate)

## bench: the table of figures in the README, from the release against stand-ins (runs=5)
bench: build
	OPTOGGLES_EXECUTABLE=$(CURDIR)/target/release/optoggles \
	$(CARGO) bench --locked $(apart) --bench goals -- $(runs)

## micro: what parsing, comparing and planning take, with their allocations
micro:
	$(CARGO) bench --locked $(apart) --bench micro

## install: the executable, and the commented configuration as an example
install: build
	install -D -m 755 target/release/optoggles $(DESTDIR)$(bindir)/optoggles
	install -D -m 640 optoggles.toml $(DESTDIR)$(sysconfdir)/optoggles/optoggles.toml.example

clean:
	$(CARGO) clean
