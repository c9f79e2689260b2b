"""OPAL and optoggles start at once, as after a power cut, and the target has what it had."""

from checks import check
from lab import RECOVERY, Lab, Watch
from processes import expect, wait_for
from stack import RULES, Stack

# So long the users take to come, once OPA has the policy: OPAL gives up after 5 s.
SLOW_DATA = 4.0


@check("nobody loses anything when an OPAL without a health policy starts together with optoggles")
def starts_together(lab):
    folder = lab.stack.folder / "starts"
    folder.mkdir()
    stack = Stack(lab.stack.tools, folder)
    stack.opal_client.configure({"OPAL_OPA_HEALTH_CHECK_POLICY_ENABLED": False})
    other = Lab(lab.binary, stack)
    try:
        other.bring_everything_up()
        before = stack.toggles()
        with Watch(stack) as watch:
            other.serve.kill()
            stack.opal_client.kill()
            stack.world.directory.delay = SLOW_DATA
            stack.opal_client.start()
            other.serve.start()
            nobody = {key: [] for key in RULES}
            wait_for("OPA to say nobody", stack.rules, nobody.__eq__, RECOVERY)
            other.wait_until_right()
        watch.expect_only(before)
        run = other.run("sync", "--once", "--dry-run", "--exit-code")
        expect(run.code == 0, "nothing to change", run)
    finally:
        other.stop()
        stack.stop()
