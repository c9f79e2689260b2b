"""Asks OpenFeature's own provider for flagd who gets which flag of a file.

    python judge_flags.py flags.json '{"keys": ["us-feature"], "users": ["alice"]}'

Prints {key: [users]} as JSON, with those of the users who get the flag; whoever is nobody in
particular is listed as null. Runs in a virtual environment that has openfeature-provider-flagd.
"""

import json
import sys

from openfeature import api
from openfeature.contrib.provider.flagd import FlagdProvider
from openfeature.contrib.provider.flagd.config import ResolverType
from openfeature.evaluation_context import EvaluationContext
from openfeature.flag_evaluation import Reason


def main():
    """Waits until the provider has read the file, and asks it for each key and user."""
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
