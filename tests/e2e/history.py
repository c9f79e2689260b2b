"""A world that remembers its past states, and a judge of the states seen at the target.

The rules return `user@version/policy`: the version of the user that they evaluated, and the version
of the policy. So the target shows how old its state is, for each user.
"""

import random
import re
import time
from dataclasses import dataclass

from lab import Lab
from stack import RULES, Stack
from world import BILLING_USERS, US_USERS, World

_USERS = 40
# These are always in every toggle, in some version: a toggle without users is never right.
_STEADY = 8
_COUNTRIES = ["US", "CA", "FR"]
_POLICIES = [["US"], ["US", "CA"]]

_POLICY = """\
package app.rbac

import rego.v1

us_users contains key if {{
	some user
	data.users[user].location.country in {countries}
	key := sprintf("%s@%d/{number}", [user, data.users[user].version])
}}

billing_users contains key if {{
	some user
	"billing" in data.users[user].roles
	key := sprintf("%s@%d/{number}", [user, data.users[user].version])
}}
"""

_KEY = re.compile(r"(?P<user>[^@]+)@(?P<version>\d+)/(?P<policy>\d+)")


class History(World):
    """The world; versions of a user and policies are counted from 1."""

    def __init__(self, folder, port, *_):
        self.policies = [_POLICIES[0]]
        super().__init__(folder, port, {})
        names = [f"user-{number:02}" for number in range(_USERS)]
        self.versions = {name: [_document(1, "US", ["billing"])] for name in names}
        # How many versions each user had, and when: later ones could not be seen yet.
        self.moments = [(time.monotonic(), dict.fromkeys(names, 1))]
        self.directory.users = {name: versions[-1] for name, versions in self.versions.items()}

    def change_user(self, name, chance):
        """Gives the directory a new version of the user, and returns it."""
        steady = name in list(self.versions)[:_STEADY]
        country = "US" if steady else chance.choice(_COUNTRIES)
        roles = ["billing"] if steady or chance.random() < 0.5 else []
        document = _document(len(self.versions[name]) + 1, country, roles)
        counts = {**self.moments[-1][1], name: document["version"]}
        self.moments.append((time.monotonic(), counts))
        self.versions[name].append(document)
        self.directory.users[name] = document
        return document

    def change_policy(self):
        """Commits the next policy."""
        countries = _POLICIES[len(self.policies) % len(_POLICIES)]
        self.policies.append(countries)
        self.commit_countries(countries)

    def allows(self, toggle, name, version, policy):
        """Whether that policy allows that version of the user."""
        document = self.versions[name][version - 1]
        if toggle == US_USERS:
            return document["location"]["country"] in self.policies[policy - 1]
        return "billing" in document["roles"]

    def users_of_toggles(self):
        """The expected result of the rules."""
        policy = len(self.policies)
        return {
            toggle: sorted(
                f"{name}@{len(versions)}/{policy}" for name, versions in self.versions.items()
                if self.allows(toggle, name, len(versions), policy)
            )
            for toggle in (US_USERS, BILLING_USERS)
        }

    def versions_at(self, moment):
        """How many versions each user had at that moment."""
        return next(counts for when, counts in reversed(self.moments) if when <= moment)

    def _write_policy(self):
        countries = "{" + ", ".join(f'"{country}"' for country in self.countries) + "}"
        text = _POLICY.format(countries=countries, number=len(self.policies))
        (self.repository / "rbac.rego").write_text(text)


class HistoryStack(Stack):
    """The stack in such a world."""

    WORLD = History


class HistoryLab(Lab):
    """optoggles in such a world, where nearly every user may leave within minutes."""

    def write_config(self, name, rules, source=None, target=None):
        """The configuration, without a removal limit that would prevent mistakes."""
        stack = self.stack
        address = f"127.0.0.1:{stack.optoggles_port}"
        lines = [
            f'bind = "{address}"',
            'resync_interval = "10s"',
            'max_removal = "off"',
            "[[sources]]",
            'id = "example-opal"',
            f'url = "{stack.opal_url}"',
            f'advertised_address = "{address}"',
            "[target]",
            'type = "restapi"',
            f'endpoint_url = "{stack.target_url}/toggles"',
            'extra_headers = { Authorization = "Bearer ${FLAGS_TOKEN}" }',
            "read = true",
        ]
        for key, rule in rules.items():
            policy = f'{{ source = "example-opal", package = "app.rbac", rule = "{rule}" }}'
            lines += ["[[toggles]]", f'key = "{key}"', f"users_policy = {policy}"]
        path = stack.folder / name
        path.write_text("\n".join(lines) + "\n")
        return path


@dataclass
class _Least:
    """The oldest that a toggle may be from now on."""

    versions: dict
    policy: int


class Judge:
    """Checks the states of the target in order.

    In a right state, all keys have one policy, and each user is either present with a version
    that this policy allows, or absent with a version that it does not allow. No user and no
    policy may be older than in the state before.
    """

    def __init__(self, history):
        self._history = history
        self._least = {
            toggle: _Least(dict.fromkeys(history.versions, 1), 1) for toggle in RULES
        }

    def fault(self, moment, state):
        """What is wrong with the state at that moment; empty if it is right."""
        newest = self._history.versions_at(moment)
        told = []
        for toggle in RULES:
            faults = self._faults_of(toggle, state.get(toggle, []), newest)
            more = f", and {len(faults) - 1} more" if len(faults) > 1 else ""
            told += [f"{toggle}: {faults[0]}{more}"] if faults else []
        return "; ".join(told)

    def _faults_of(self, toggle, keys, newest):
        least = self._least[toggle]
        found = [_KEY.fullmatch(key) for key in keys]
        if not found:
            return ["it has no users"]
        policies = {int(key["policy"]) for key in found}
        if len(policies) > 1:
            return [f"it mixes the policies {sorted(policies)}"]
        policy = policies.pop()
        if policy < least.policy:
            return [f"policy {policy}, after {least.policy}"]
        least.policy = policy
        here = {key["user"]: int(key["version"]) for key in found}
        faults = (
            self._fault_of(toggle, name, here.get(name), policy, newest[name])
            for name in self._history.versions
        )
        return [fault for fault in faults if fault]

    def _fault_of(self, toggle, name, version, policy, newest):
        least = self._least[toggle].versions
        if version is None:
            outside = (
                number for number in range(least[name], newest + 1)
                if not self._history.allows(toggle, name, number, policy)
            )
            without = next(outside, None)
            if without is None:
                versions = f"versions {least[name]} to {newest}"
                return f"{name} is missing, and policy {policy} allows it in {versions}"
            least[name] = without
            return None
        if version < least[name]:
            return f"{name} is as in version {version}, after {least[name]}"
        least[name] = version
        if not self._history.allows(toggle, name, version, policy):
            return f"{name} is in, which policy {policy} does not allow version {version}"
        return None


def shuffled(names, chance):
    """The names in random order."""
    return chance.sample(sorted(names), len(names))


def chance_from(seed):
    """A random generator, and the seed to reproduce it."""
    seed = random.SystemRandom().randrange(10**6) if seed is None else seed
    return random.Random(seed), seed


def _document(version, country, roles):
    return {"version": version, "location": {"country": country}, "roles": roles}
