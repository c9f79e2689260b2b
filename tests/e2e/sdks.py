"""OpenFeature's SDKs, which ask optoggles, and what they should say."""

import json
import select
import subprocess
from pathlib import Path

from processes import Unmet, clean_environment

_ON = [True, "TARGETING_MATCH", None]
_OFF = [False, "DEFAULT", None]

_PYTHON = Path(__file__).with_name("judge_ofrep.py")
_NODE = Path(__file__).with_name("judge_ofrep.js")


def default(error):
    """The answer of an SDK that does not know."""
    return [True, "ERROR", error]


class Sdks:
    """A process for each language, which keeps its SDKs and their connections."""

    def __init__(self, tools, url, token):
        self._judges = [
            _Judge([tools.ofrep_python, _PYTHON, url, token], {}),
            _Judge(["node", _NODE, url, token], {"NODE_PATH": str(tools.openfeature_js)}),
        ]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for judge in self._judges:
            judge.kill()

    def ask(self, keys, users):
        """{sdk: {key: {user: answer}}}, and the statuses of responses."""
        question = {"keys": list(keys), "users": list(users)}
        answers = [judge.ask(question) for judge in self._judges]
        return {sdk: answer for one in answers for sdk, answer in one.items()}


def right(wanted, users):
    """What each SDK says of these users; "" is a user without a key.

    A toggle that does not exist is there, too.
    """
    def answers(other, nameless):
        def answer(user, of_rule):
            if not user:
                return nameless
            return _ON if user in of_rule else other

        table = {
            key: {user: answer(user, of_rule) for user in users} for key, of_rule in wanted.items()
        }
        return {**table, "missing": dict.fromkeys(users, default("FLAG_NOT_FOUND"))}

    asking = answers(_OFF, default("TARGETING_KEY_MISSING"))
    # flagd's definition evaluates to false, for everyone else.
    evaluating = answers([False, "TARGETING_MATCH", None], [False, "TARGETING_MATCH", None])
    # The web SDK gets no toggle at all.
    polling = answers(_OFF, default("FLAG_NOT_FOUND"))
    return {"python": asking, "server": asking, "web": polling, "flagd": evaluating}


class _Judge:
    """A process that answers each line with a line."""

    def __init__(self, command, env):
        self._name = command[1].name
        # pylint: disable-next=consider-using-with
        self._child = subprocess.Popen(
            [str(part) for part in command], env={**clean_environment(), **env},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )

    def ask(self, question):
        """Puts a question, and returns the answer."""
        print(json.dumps(question), file=self._child.stdin, flush=True)
        answered, _, _ = select.select([self._child.stdout], [], [], 30)
        line = self._child.stdout.readline() if answered else ""
        if not line:
            raise Unmet(f"an answer of {self._name}", "none")
        return json.loads(line)

    def kill(self):
        """Ends it."""
        self._child.kill()
        self._child.communicate()
