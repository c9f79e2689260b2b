"""HTTP with JSON, on loopback only."""

import http.client
import json
import urllib.error
import urllib.request

# Ignores proxies from the environment.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def call(method, url, body=None, limit=5.0, token=None):
    """Sends a request and returns the status and the body, parsed if it is JSON.

    A string is sent as it is, anything else as JSON. Raises an OSError if the server
    is unreachable.
    """
    data, headers = None, {}
    if isinstance(body, str):
        data, headers = body.encode(), {"Content-Type": "text/plain"}
    elif body is not None:
        data, headers = json.dumps(body).encode(), {"Content-Type": "application/json"}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    request = urllib.request.Request(url, data, headers, method=method)
    try:
        with _OPENER.open(request, timeout=limit) as answer:
            return answer.status, _parsed(answer.read())
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code, _parsed(refusal.read())
    except http.client.HTTPException as broken:
        raise ConnectionError(f"{type(broken).__name__} from {url}") from broken


def get(url, token=None):
    """The body at `url`; a status other than 200 raises an OSError."""
    status, body = call("GET", url, token=token)
    if status != 200:
        raise OSError(f"GET {url} answered {status}")
    return body


def status(url):
    """The status at `url`."""
    return call("GET", url)[0]


def _parsed(raw):
    text = raw.decode(errors="replace")
    try:
        return json.loads(text)
    except ValueError:
        return text
