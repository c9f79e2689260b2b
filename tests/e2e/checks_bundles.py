"""A plain OPA whose data arrives after its policy: its rules return empty sets meanwhile."""

from contextlib import contextmanager

from bundles import bundled_opa
from checks import check
from lab import Watch
from processes import Service, expect, wait_for
from stack import RULES

# Seconds until the users arrive after the policy, and then until the target is right: retries
# become less and less frequent.
LATE = 6.0
AFTERWARDS = 10.0


@check("no user loses a feature while an OPA with bundles starts without its data")
def serve_waits_for_bundles(lab):
    with _bundled(lab, "bundles-serve") as (server, opa, config):
        with _serving(lab, config), Watch(lab.stack.toggles) as watch:
            before = lab.stack.toggles()
            server.delay = LATE
            opa.start_without_data()
            opa.wait_until_loaded()
            server.delay = 0.0
            after = _change(lab, server, opa)
        watch.expect_only(before, after)


@check("no user loses a feature while an OPA with bundles starts again without its data")
def serve_waits_for_bundles_again(lab):
    with _bundled(lab, "bundles-again") as (server, opa, config):
        with _serving(lab, config), Watch(lab.stack.toggles) as watch:
            before = lab.stack.toggles()
            opa.wait_until_loaded()
            after = _change(lab, server, opa)
            server.delay = LATE
            opa.service.kill()
            opa.start_without_data()
            opa.wait_until_loaded()
            server.delay = 0.0
            last = _change(lab, server, opa)
        watch.expect_only(before, after, last)


@check("sync waits for an OPA's bundles, and removes no user if they do not arrive")
def sync_waits_for_bundles(lab):
    with _bundled(lab, "bundles-sync") as (server, opa, config), Watch(lab.stack.toggles) as watch:
        before = lab.stack.toggles()
        server.delay = LATE
        opa.start_without_data()
        run = lab.run("sync", "--timeout", "1s", config=config)
        expect(run.code == 1, "exit 1", run)
        expect(opa.health() == 500, "an OPA that still misses a bundle", opa.health())
        expect(lab.stack.toggles() == before, before, lab.stack.toggles())
        run = lab.run("sync", config=config)
        expect(run.code == 0, "exit 0", run)
        expect(opa.health() == 200, "an OPA that has its bundles", opa.health())
    watch.expect_only(before)


@contextmanager
def _bundled(lab, name):
    """A bundle server, its OPA (not running) and a configuration, fully synced."""
    lab.stop()
    lab.stack.target.start()
    wait_for("the target to answer", lab.stack.toggles, lambda _: True, 20)
    with bundled_opa(lab.stack.tools.opa, lab.stack.folder / name) as (server, opa):
        source = f'type = "opa"\nurl = "{opa.url}"\npoll_interval = "500ms"'
        config = lab.write_config(f"{name}.toml", RULES, source)
        opa.wait_until_loaded()
        run = lab.run("sync", config=config)
        expect(run.code == 0, "exit 0", run)
        _wait_for_target(lab, server)
        opa.service.kill()
        yield server, opa, config


@contextmanager
def _serving(lab, config):
    """The daemon with that configuration."""
    serve = Service(config.stem, [lab.binary, "-c", config, "-vv", "serve"],
                    {"FLAGS_TOKEN": lab.target_token}, lab.stack.folder)
    serve.start()
    try:
        yield
    finally:
        serve.kill()


def _change(lab, server, opa):
    """Checks that a change in a bundle reaches the target soon after OPA."""
    server.world.directory.move("eve")
    opa.wait_until_loaded()
    _wait_for_target(lab, server)
    return server.world.users_of_toggles()


def _wait_for_target(lab, server):
    wanted = server.world.users_of_toggles()
    wait_for(f"the target to have {wanted}", lab.stack.toggles, wanted.__eq__, AFTERWARDS)
