"""optoggles starts while OPA has almost no data and the target has all users."""

from contextlib import contextmanager

from checks import check
from lab import RECOVERY, Lab, Watch
from processes import wait_for
from stack import RULES, Stack
from world import BILLING_USERS, US_USERS

# Seconds until the users arrive after the policy: OPAL gives up after 5 s.
SLOW_DATA = 4.0


@check("no user loses a feature when OPAL without a health policy starts together with optoggles")
def starts_with_opal(lab):
    with _stopped(lab, "starts-with-opal", OPAL_OPA_HEALTH_CHECK_POLICY_ENABLED=False) as other:
        stack = other.stack
        stack.opal_client.kill()
        stack.opal_client.start()
        other.serve.start()
        empty = {key: [] for key in RULES}
        wait_for("OPA to return empty sets", stack.rules, empty.__eq__, RECOVERY)
        other.wait_until_right()


@check("no user loses a feature when optoggles starts while a restarted OPA has a single change")
def starts_after_opa(lab):
    with _stopped(lab, "starts-after-opa") as other:
        stack = other.stack
        stack.opal_client.kill_child("opa")
        wait_for("OPA to be gone", lambda: not stack.opa_answers(), limit=5, every=0.005)
        wait_for("OPA to answer again", stack.opa_answers, limit=20, every=0.005)
        stack.move("bob", {"country": "US", "town": "Reno"})
        one = {US_USERS: ["bob"], BILLING_USERS: []}
        wait_for(f"OPA to return {one}", stack.rules, one.__eq__)
        other.serve.start()
        other.wait_until_right()


@contextmanager
def _stopped(lab, name, **settings):
    """A separate stack with a synced target, a slow directory and optoggles stopped.

    The target is polled until the end: it must not change.
    """
    folder = lab.stack.folder / name
    folder.mkdir()
    stack = Stack(lab.stack.tools, folder)
    stack.opal_client.configure(settings)
    other = Lab(lab.binary, stack)
    try:
        other.bring_everything_up()
        other.serve.kill()
        before = stack.toggles()
        stack.world.directory.delay = SLOW_DATA
        with Watch(stack.toggles) as watch:
            yield other
        watch.expect_only(before)
    finally:
        other.stop()
        stack.stop()
