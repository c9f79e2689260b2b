# Everything that is done with optoggles. Each target does its own set-up.

CARGO ?= cargo
PYTHON ?= python3
prefix ?= /usr/local
bindir ?= $(prefix)/bin
sysconfdir ?= /etc

.PHONY: build test lint deny e2e install clean

## build: the release executable, target/release/optoggles
build:
	$(CARGO) build --release --locked

## test: all tests that need nothing but Rust
test:
	$(CARGO) test --locked

## lint: formatting, clippy with warnings denied, and the documentation
lint:
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps --quiet

## deny: licences, sources and bans of the dependencies (installs cargo-deny where it is missing)
deny:
	command -v cargo-deny >/dev/null || $(CARGO) install cargo-deny --locked
	cargo-deny check bans licenses sources

## e2e: the executable against the real OPAL, OPA and json-server (needs Go, Python, Node.js and OpenSSL)
e2e: build
	$(PYTHON) tests/e2e/run.py --bin target/release/optoggles

## install: the executable, and the commented configuration as an example
install: build
	install -D -m 755 target/release/optoggles $(DESTDIR)$(bindir)/optoggles
	install -D -m 640 optoggles.toml $(DESTDIR)$(sysconfdir)/optoggles/optoggles.toml.example

clean:
	$(CARGO) clean
