"""Asks OpenFeature's flagd provider which users get which flags of a file.

    python judge_flags.py flags.json '{"keys": ["us-feature"], "users": ["alice"]}'

Prints {key: [users]} as JSON, with the users who get the flag; null is a user without a key. Runs
in a virtual environment with openfeature-provider-flagd.
"""

import json
import sys

from openfeature import api
from openfeature.contrib.provider.flagd import FlagdProvider
from openfeature.contrib.provider.flagd.config import ResolverType
from openfeature.evaluation_context import EvaluationContext
from openfeature.flag_evaluation import Reason


def main():
    """Waits until the provider has read the file, and evaluates each key for each user."""
    path, question = sys.argv[1], json.loads(sys.argv[2])
    provider = FlagdProvider(resolver_type=ResolverType.FILE, offline_flag_source_path=path)
    api.set_provider_and_wait(provider)
    client = api.get_client()
    users = [*question["users"], None]
    print(json.dumps({
        key: [user for user in users if _gets(client, key, user)] for key in question["keys"]
    }))
    api.shutdown()


def _gets(client, key, user):
    details = client.get_boolean_details(key, False, EvaluationContext(targeting_key=user))
    if details.reason != Reason.TARGETING_MATCH:
        sys.exit(f"{key} for {user}: {details}")
    return details.value


if __name__ == "__main__":
    main()
