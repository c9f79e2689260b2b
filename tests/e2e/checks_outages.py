"""Services that stop and come back, and shutdown.

Each check polls the target throughout: it may only be in the state before or after the change.
"""

import time

import web
from checks import check
from lab import LIVE, RECOVERY, Watch
from processes import expect, wait_for
from world import US_USERS

# Seconds until the users arrive after the policy: OPAL gives up after 5 s.
SLOW_DATA = 4.0


@check("no user loses a feature while OPAL restarts and its data arrives late")
def opal_restarts(lab):
    lab.bring_everything_up()
    before = lab.stack.toggles()
    with Watch(lab.stack.toggles) as watch:
        lab.stack.opal_client.kill()
        lab.wait_for_health(500)
        lab.stack.world.directory.delay = SLOW_DATA
        lab.stack.opal_client.start()
        lab.wait_until_right()
    watch.expect_only(before)
    lab.stack.world.directory.delay = 0.0
    lab.change_data()
    lab.wait_for_target(LIVE)


@check(f"changes arrive again within {RECOVERY:g} s of a restart of OPAL that goes unnoticed")
def opal_restarts_unnoticed(lab):
    lab.bring_everything_up()
    before = lab.stack.toggles()
    with Watch(lab.stack.toggles) as watch:
        lab.stack.opal_client.kill()
        lab.stack.opal_client.start()
        start = time.monotonic()
        lab.stack.wait_for_opa(RECOVERY)
        after = lab.change_data()
        lab.wait_for_target(RECOVERY - (time.monotonic() - start))
    watch.expect_only(before, after)
    lab.wait_until_right(LIVE)
    lab.change_data()
    lab.wait_for_target(LIVE)


@check("a change made while the target is down arrives when it is back")
def target_restarts(lab):
    lab.bring_everything_up()
    before = lab.stack.toggles()
    with Watch(lab.stack.toggles) as watch:
        lab.stack.target.kill()
        after = lab.change_data()
        lab.wait_for_health(500, 15)
        lab.stack.target.start()
        lab.wait_for_target(20)
    watch.expect_only(before, after)
    lab.wait_until_right(LIVE)


@check("only OPA is killed: OPAL restarts it, and the target follows")
def opa_restarts(lab):
    lab.bring_everything_up()
    lab.stack.world.directory.move("eve")
    lab.stack.opal_client.kill_child("opa")
    lab.wait_until_right()
    lab.change_data()
    lab.wait_for_target(LIVE)


@check("no user loses a feature while only OPA restarts and its data arrives late")
def opa_restarts_with_late_data(lab):
    lab.bring_everything_up()
    before = lab.stack.toggles()
    lab.stack.world.directory.delay = SLOW_DATA
    with Watch(lab.stack.toggles) as watch:
        lab.stack.opal_client.kill_child("opa")
        wait_for("OPA to be gone", lambda: not lab.stack.opa_answers(), limit=5, every=0.005)
        lab.wait_until_right()
    watch.expect_only(before)


@check("a stale 'not ready' in OPA holds no change back while OPAL is ready")
def stale_readiness(lab):
    lab.bring_everything_up()
    lab.stack.make_readiness_stale()
    web.call("PATCH", f"{lab.stack.target_url}/toggles/{US_USERS}", {"users": ["mallory"]})
    run = lab.run("sync", "--timeout", "5s")
    expect(run.code == 0, "exit 0", run)
    lab.wait_for_target(LIVE)


@check("a change while opal-server is down: the target follows once it is back")
def opal_server_restarts(lab):
    lab.bring_everything_up()
    before = lab.stack.toggles()
    with Watch(lab.stack.toggles) as watch:
        lab.stack.opal_server.kill()
        lab.stack.world.directory.move("eve")
        after = lab.stack.world.users_of_toggles()
        lab.stack.opal_server.start()
        lab.wait_until_right()
    watch.expect_only(before, after)


@check("OPAL and the target are killed, the target returns first: the target follows")
def target_comes_first(lab):
    _both_restart(lab, lambda stack: (stack.target, stack.opal_client))


@check("OPAL and the target are killed, OPAL returns first: the target follows")
def opal_comes_first(lab):
    _both_restart(lab, lambda stack: (stack.opal_client, stack.target))


def _both_restart(lab, order):
    lab.bring_everything_up()
    before = lab.stack.toggles()
    with Watch(lab.stack.toggles) as watch:
        lab.stack.target.kill()
        lab.stack.opal_client.kill()
        lab.stack.world.directory.move("eve")
        after = lab.stack.world.users_of_toggles()
        first, second = order(lab.stack)
        first.start()
        # The second one starts when the first is usable.
        if first is lab.stack.target:
            wait_for("the target to answer", lab.stack.toggles, lambda _: True, 20)
        else:
            lab.stack.wait_for_opa(RECOVERY)
        second.start()
        lab.wait_until_right()
    watch.expect_only(before, after)
    lab.change_data()
    lab.wait_for_target(LIVE)


@check("optoggles, killed and started before everything else, waits and then follows")
def optoggles_comes_first(lab):
    lab.bring_everything_up()
    lab.stack.target.kill()
    lab.stack.opal_client.kill()
    lab.serve.kill()
    lab.stack.world.directory.move("eve")
    lab.serve.start()
    wait_for("/health/live to answer 200", lambda: lab.health("/health/live"), (200).__eq__)
    lab.wait_for_health(500, 5)
    started = lab.health("/health/started")
    expect(started == 503, "/health/started to answer 503", started)
    lab.stack.start()
    lab.wait_until_right()
    started = lab.health("/health/started")
    expect(started == 200, "/health/started to answer 200", started)


@check("SIGTERM ends serve with exit 0 within 10 s, and its callback is gone")
def sigterm(lab):
    lab.bring_everything_up()
    code, _ = lab.serve.terminate(10)
    expect(code == 0, "exit 0", code)
    expect(not lab.stack.callbacks(), "no callback of ours", list(lab.stack.callbacks()))


@check("no output and no log of optoggles shows a secret, not even with -vv")
def no_secret(lab):
    expect(len(lab.secrets) > 1, "a callback token to look for", f"{len(lab.secrets)} secrets")
    secrets = {*lab.secrets, lab.unleash.token}
    for log in (lab.serve.log, lab.commands_log):
        lines = log.read_text(errors="replace").splitlines()
        expect(lines, f"something in {log.name}", "nothing")
        shown = [line for line in lines if any(secret in line for secret in secrets)]
        expect(not shown, f"no secret in {log.name}", shown)
