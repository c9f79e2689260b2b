"""README.md's ways to begin with an OPA: every session, in one shell, beside a copy of the examples."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from checks import check
from processes import clean_environment, expect, free_ports

_ROOT = Path(__file__).resolve().parents[2]
_SESSION = re.compile(r"^```console\n(.*?)^```$", re.DOTALL | re.MULTILINE)
# The ports that the page and the examples name; free ones are used in their place.
_SHOWN = ("8080", "8181", "9090")
# Differs each time.
_SECONDS = re.compile(r"\d+\.\d+s")
# What a shell says of its jobs is not shown.
_JOB = re.compile(r"^\[\d+\].*\n?", re.MULTILINE)
_END = "--- the end of a step ---"


@check("README.md, ways to begin: each session with OPA prints what is shown")
def ways_to_begin(lab):
    parts = (_ROOT / "README.md").read_text().split("\n## ")
    part, = [part for part in parts if "\n$ opa run " in part]
    ports = dict(zip(_SHOWN, map(str, free_ports(len(_SHOWN)))))
    folder = lab.stack.folder / "ways-to-begin"
    shutil.copytree(_ROOT / "examples", folder / "examples")
    for config in (folder / "examples").glob("*.toml"):
        text = config.read_text()
        bind = "" if "\nbind = " in text else 'bind = "127.0.0.1:8080"\n'
        config.write_text(_moved(bind + text, ports))
    sessions = "".join(_SESSION.findall(part))
    steps = [step.partition("\n") for step in sessions.removeprefix("$ ").split("\n$ ")]
    opa = f"opa run --addr 127.0.0.1:{ports['8181']} --disable-telemetry"
    typed = [_moved(typed, ports).replace("opa run", opa) for typed, _, _ in steps]
    printed = _type(lab, folder, typed)
    for (typed, _, shown), text in zip(steps, printed, strict=True):
        expect(_timeless(text) == _timeless(shown), f"$ {typed}\n{shown}", text)


def _moved(text, ports):
    return re.sub("|".join(_SHOWN), lambda found: ports[found[0]], text)


def _type(lab, folder, lines):
    """What a shell prints for each line. As at a prompt, jobs that have ended are forgotten."""
    script = ["set -m", "trap 'kill $(jobs -p) 2>/dev/null' EXIT"]
    for line in lines:
        if line.startswith("kill "):
            # The next one takes the same port.
            line += f"; wait {line.removeprefix('kill ')} 2> /dev/null"
        # Machines can be slow.
        line = re.sub(r"^sleep (\d+)$", lambda found: f"sleep {2 * int(found[1])}", line)
        script += [line, f"jobs > /dev/null; printf '\\n{_END}\\n'"]
    tools = lab.stack.tools
    path = [str(program.parent) for program in (lab.binary, tools.opa)]
    env = clean_environment()
    env["PATH"] = os.pathsep.join([*path, env["PATH"]])
    done = subprocess.run(
        ["bash", "-c", "\n".join(script)], env=env, cwd=folder, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120, check=False,
    )
    return done.stdout.split(f"\n{_END}\n")[:-1]


def _timeless(text):
    return _SECONDS.sub("…s", _JOB.sub("", text)).strip()
