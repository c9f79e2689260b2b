# Everything that is done with optoggles. Each target does its own set-up.

CARGO ?= cargo
PYTHON ?= python3
seconds ?= 600
rate ?= 100
prefix ?= /usr/local
bindir ?= $(prefix)/bin
sysconfdir ?= /etc

.PHONY: build test lint deny e2e soak install clean

## build: the release executable, target/release/optoggles
build:
	$(CARGO) build --release --locked

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

## e2e: the executable against the real OPAL, OPA and json-server (needs Go, Python and Node.js)
e2e: build
	$(PYTHON) tests/e2e/run.py --bin target/release/optoggles

## soak: the release for ten minutes under load, with faults everywhere (seconds=600 rate=100)
soak: build
	OPTOGGLES_EXECUTABLE=$(CURDIR)/target/release/optoggles \
	$(CARGO) test --locked --test soak -- $(seconds) $(rate)

## install: the executable, and the commented configuration as an example
install: build
	install -D -m 755 target/release/optoggles $(DESTDIR)$(bindir)/optoggles
	install -D -m 640 optoggles.toml $(DESTDIR)$(sysconfdir)/optoggles/optoggles.toml.example

clean:
	$(CARGO) clean
