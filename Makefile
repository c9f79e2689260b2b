# Development tasks. Each target does its own set-up.

# From nothing, what speeds up the next build costs a quarter of the crate's own time, and 500 MB.
export CARGO_INCREMENTAL ?= 0

CARGO ?= cargo
PYTHON ?= python3
seconds ?= 600
rate ?= 100
chaos ?= 60
runs ?= 5
prefix ?= /usr/local
bindir ?= $(prefix)/bin
mandir ?= $(prefix)/share/man
sysconfdir ?= /etc
unitdir ?= $(prefix)/lib/systemd/system
bashdir ?= $(prefix)/share/bash-completion/completions
fishdir ?= $(prefix)/share/fish/vendor_completions.d
zshdir ?= $(prefix)/share/zsh/site-functions

# The version of cargo-deb that builds the package: others may lay it out differently.
cargo_deb := 3.8.0

installed := $(bindir)/optoggles \
	$(mandir)/man1/optoggles.1 $(mandir)/man5/optoggles.toml.5 \
	$(bashdir)/optoggles $(fishdir)/optoggles.fish $(zshdir)/_optoggles \
	$(unitdir)/optoggles.service $(sysconfdir)/logrotate.d/optoggles \
	$(sysconfdir)/optoggles/optoggles.toml.example

# What `optoggles --version` names; nothing without git. Only the release has it, so that a commit rebuilds no tests.
commit := $(shell test -e .git && git log -1 --abbrev=9 --format='%h %cs' 2>/dev/null)

# With the features that tests enable, the executable differs: it must not replace the release.
apart = --target-dir target/bench

.PHONY: build demo test lint deny e2e browser prometheus soak bench micro completions install \
	uninstall deb test-install clean

## build: the release executable, target/release/optoggles
build:
	OPTOGGLES_COMMIT="$(commit)" $(CARGO) build --release --locked

## demo: a flag that follows a policy file, on port 8080 (needs curl)
demo:
	$(CARGO) build --locked
	@examples/quickstart/demo.sh $(CURDIR)/target/debug/optoggles
	@echo
	@echo "The policy was the file users.json. If OPA is installed, generate that from the policy itself:"
	@echo
	@echo "  cd examples/quickstart && opa eval --data policy --format json data.app.rbac > users.json"

## test: all tests that need only Rust, and how long they took with what had to be built
test:
	@start=$$(date +%s); set -e; \
	run() { echo "$$*"; "$$@"; }; \
	run $(CARGO) test --locked --no-run; \
	RUST_TEST_THREADS=$$(nproc) run $(CARGO) test --locked --lib; \
	run $(CARGO) test --locked --test it; \
	took=$$(($$(date +%s) - start)); \
	echo "all tests passed in $$((took / 60)) min $$((took % 60)) s, with what had to be built"

## lint: formatting, clippy and the documentation, with warnings denied
lint:
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets --test soak -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps --quiet

## deny: licences, sources and bans of the dependencies (installs cargo-deny if missing)
deny:
	command -v cargo-deny >/dev/null || $(CARGO) install cargo-deny --locked
	cargo-deny check bans licenses sources

## e2e: the executable with real OPAL, OPA, json-server, Unleash and OpenFeature's SDKs (needs Go, Python, Node.js,
## PostgreSQL and OpenSSL; chaos=60)
e2e: build
	$(PYTHON) tests/e2e/run.py --bin target/release/optoggles --chaos $(chaos)

## browser: the status page in a real browser (needs Python and Debian's chromium and chromium-driver)
browser: build
	$(PYTHON) tests/browser/run.py --bin target/release/optoggles

## prometheus: /metrics and the alert rules in a real Prometheus (needs Debian's prometheus)
prometheus: build
	$(PYTHON) tests/prometheus/run.py --bin target/release/optoggles

## soak: the release under load, with faults, for ten minutes (seconds=600 rate=100)
soak: build
	OPTOGGLES_EXECUTABLE=$(CURDIR)/target/release/optoggles \
	$(CARGO) test --locked --test soak -- $(seconds) $(rate)

## bench: the table of figures in docs/performance.md, from the release with stand-ins; fails where one is worse by
## a third than in benches/goals.toml (runs=5)
bench: build
	OPTOGGLES_EXECUTABLE=$(CURDIR)/target/release/optoggles \
	$(CARGO) bench --locked $(apart) --bench goals -- $(runs)

## micro: time and allocations of parsing, comparing and planning
micro:
	$(CARGO) bench --locked $(apart) --bench micro

## completions: completion scripts for bash, fish and zsh, in target/completions
completions: build
	mkdir -p target/completions
	target/release/optoggles completions bash > target/completions/optoggles
	target/release/optoggles completions fish > target/completions/optoggles.fish
	target/release/optoggles completions zsh > target/completions/_optoggles

## install: the executable, manual pages, completions, the systemd unit, the
## rotation of the audit log, and the commented configuration as an example; honours prefix and DESTDIR
install: completions
	install -D -m 755 target/release/optoggles $(DESTDIR)$(bindir)/optoggles
	install -D -m 644 man/optoggles.1 $(DESTDIR)$(mandir)/man1/optoggles.1
	install -D -m 644 man/optoggles.toml.5 $(DESTDIR)$(mandir)/man5/optoggles.toml.5
	install -D -m 644 target/completions/optoggles $(DESTDIR)$(bashdir)/optoggles
	install -D -m 644 target/completions/optoggles.fish $(DESTDIR)$(fishdir)/optoggles.fish
	install -D -m 644 target/completions/_optoggles $(DESTDIR)$(zshdir)/_optoggles
	install -D -m 644 contrib/systemd/optoggles.service $(DESTDIR)$(unitdir)/optoggles.service
	sed -i -e 's|/usr/bin/optoggles|$(bindir)/optoggles|' -e 's|/etc/optoggles|$(sysconfdir)/optoggles|' \
		$(DESTDIR)$(unitdir)/optoggles.service
	install -D -m 644 contrib/logrotate/optoggles $(DESTDIR)$(sysconfdir)/logrotate.d/optoggles
	install -D -m 644 optoggles.toml $(DESTDIR)$(sysconfdir)/optoggles/optoggles.toml.example

## uninstall: remove what install has installed, and keep the configuration
uninstall:
	rm -f $(addprefix $(DESTDIR),$(installed))
	-rmdir $(DESTDIR)$(sysconfdir)/optoggles $(DESTDIR)$(sysconfdir)/logrotate.d 2>/dev/null

## deb: the Debian package, target/debian/optoggles_*.deb (installs cargo-deb if missing)
deb: completions
	cargo-deb --version 2>/dev/null | grep -qF "$(cargo_deb)" || \
		$(CARGO) install cargo-deb --locked --version $(cargo_deb)
	rm -f target/debian/optoggles_*.deb
	cargo-deb --no-build --locked

## test-install: make install and uninstall, and installing and removing the Debian package
test-install: deb
	tests/packages/install.sh
	tests/packages/deb.sh target/debian/optoggles_*.deb

clean:
	$(CARGO) clean
