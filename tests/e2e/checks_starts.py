"""optoggles starts, and knows nothing yet, while OPA has next to nothing and the target all."""

from contextlib import contextmanager

from checks import check
from lab import RECOVERY, Lab, Watch
from processes import wait_for
from stack import RULES, Stack
from world import BILLING_USERS, US_USERS

# So long the users take to come, once OPA has the policy: OPAL gives up after 5 s.
SLOW_DATA = 4.0


@check("nobody loses anything when an OPAL without a health policy starts together with optoggles")
def starts_with_opal(lab):
    with _stopped(lab, "starts-with-opal", OPAL_OPA_HEALTH_CHECK_POLICY_ENABLED=False) as other:
        stack = other.stack
        stack.opal_client.kill()
        stack.opal_client.start()
        other.serve.start()
        nobody = {key: [] for key in RULES}
        wait_for("OPA to say nobody", stack.rules, nobody.__eq__, RECOVERY)
        other.wait_until_right()


@check("nobody loses anything when optoggles starts while a restarted OPA has one change alone")
def starts_after_opa(lab):
    with _stopped(lab, "starts-after-opa") as other:
        stack = other.stack
        stack.opal_client.kill_child("opa")
        wait_for("OPA to be gone", lambda: not stack.opa_answers(), limit=5, every=0.005)
        wait_for("OPA to answer again", stack.opa_answers, limit=20, every=0.005)
        stack.move("bob", {"country": "US", "town": "Reno"})
        one = {US_USERS: ["bob"], BILLING_USERS: []}
        wait_for(f"OPA to say {one}", stack.rules, one.__eq__)
        other.serve.start()
        other.wait_until_right()


@contextmanager
def _stopped(lab, name, **settings):
    """A stack of its own with a right target, without optoggles, and with a directory that is slow.

    The target is looked at until the end: it has to stay as it is.
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
