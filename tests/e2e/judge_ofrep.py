"""Asks OpenFeature's OFREP provider for Python, which asks optoggles.

    python judge_ofrep.py http://127.0.0.1:8080 TOKEN

Each line that it reads is a question, {"keys": ["us-feature"], "users": ["alice", ""]}; "" is a
user without a key. The answer is a line, {"python": {key: {user: [value, reason, error]}}}. The
default is true. Runs in a virtual environment with openfeature-provider-ofrep.
"""

import json
import sys

from openfeature import api
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.evaluation_context import EvaluationContext


def main():
    """Answers with one client, whose connection is kept."""
    url, token = sys.argv[1:]
    headers = {"Authorization": f"Bearer {token}"}
    api.set_provider_and_wait(OFREPProvider(url, headers_factory=lambda: headers))
    client = api.get_client()
    for line in sys.stdin:
        question = json.loads(line)
        answer = {
            key: {user: _details(client, key, user) for user in question["users"]}
            for key in question["keys"]
        }
        print(json.dumps({"python": answer}), flush=True)


def _details(client, key, user):
    context = EvaluationContext(targeting_key=user or None)
    details = client.get_boolean_details(key, True, context)
    return [details.value, details.reason, details.error_code]


if __name__ == "__main__":
    main()
