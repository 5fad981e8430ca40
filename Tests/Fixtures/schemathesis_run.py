"""Asks a daemon whatever schemathesis makes of its own description, and prints what is wrong as lines of JSON.

    schemathesis_run.py URL IMAGE EXAMPLES

EXAMPLES is how many requests are made of each operation; a seed of the day's own is taken where it is not the usual number. Half of the
requests are what the description says, half are not; most name an object that is there, and a container that could be made is started."""

import io
import json
import socket
import sys
import tarfile
import time
import urllib.parse

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, Verbosity, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis.specs.openapi.checks import response_schema_conformance

URL, IMAGE, EXAMPLES = sys.argv[1], sys.argv[2], int(sys.argv[3])
USUAL = 8
# What a silent answer without an end is listened to, and what any other may take.
GLANCE, PATIENCE = 0.15, 40
# Nobody serves the registries of other hosts here, and a daemon without a network is not at fault for that.
UNREACHABLE = ("Could not resolve host", "Couldn't connect to server", "Could not connect to server", "Failed to connect", "Timeout was reached",
               "URL using bad/illegal format", "no such host")
# Of answers that are one document after the other.
EACH = "x-apus-each"
session = requests.Session()
session.trust_env = False
found = []


def ask(method, path, body=None, **query):
    return session.request(method, URL + path, json=body, params=query, timeout=PATIENCE)


class Objects:
    """What is there to be named: made again where a request has taken it away."""

    def __init__(self):
        self.exec = None

    def refresh(self):
        if ask("GET", "/containers/box/json").json().get("State", {}).get("Status") != "running":
            ask("DELETE", "/containers/box", force=1, v=1)
            made = ask("POST", "/containers/create", {"Image": IMAGE, "Cmd": ["sh", "-c", "trap exit TERM; while :; do sleep 0.05; done"],
                                                      "HostConfig": {"NetworkMode": "net"}, "StopTimeout": 1}, name="box")
            if made.status_code == 201:
                ask("POST", "/containers/box/start")
            self.exec = None
        if ask("GET", "/containers/still/json").status_code != 200:
            ask("POST", "/containers/create", {"Image": IMAGE, "Cmd": ["true"]}, name="still")
        if self.exec is None or ask("GET", f"/exec/{self.exec}/json").status_code != 200:
            self.exec = ask("POST", "/containers/box/exec", {"Cmd": ["true"], "AttachStdout": True}).json().get("Id")

    def prepare(self):
        if ask("GET", f"/images/{IMAGE}/json").status_code != 200:
            ask("POST", "/images/create", fromImage=IMAGE)
        ask("POST", "/images/" + IMAGE + "/tag", repo="spare", tag="1")
        ask("POST", "/networks/create", {"Name": "net"})
        ask("POST", "/volumes/create", {"Name": "vol"})
        self.refresh()

    def names(self, path):
        """Of the kind that a path is about."""
        kinds = {"containers": ["box", "still"], "exec": [self.exec], "images": [IMAGE, "spare:1"], "distribution": [IMAGE, "spare:1"],
                 "networks": ["net", "bridge"], "volumes": ["vol"]}
        return kinds.get(path.split("/")[1], [])


OBJECTS = Objects()


@schemathesis.serializer("application/x-tar", "application/vnd.oci.image.manifest.v1+json")
def archive(_, value):
    """Bytes as they are: half of them a tar of one file, or cut off inside of it."""
    if not isinstance(value, bytes):
        value = json.dumps(value, default=str).encode(errors="replace")
    if len(value) % 2:
        return value
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as tar:
        entry = tarfile.TarInfo("repositories" if len(value) % 4 else value.decode(errors="replace").replace("\0", "") or "file")
        entry.size = len(value)
        tar.addfile(entry, io.BytesIO(value))
    return written.getvalue()[:1000 if len(value) % 8 == 0 else None]


def choose(case, dice):
    """Puts names of what is there into most requests."""
    known = OBJECTS.names(case.operation.path)
    if case.path_parameters and known and dice % 4:
        for name in case.path_parameters:
            case.path_parameters[name] = known[dice % len(known)]
    if isinstance(case.query, dict) and dice % 5:
        for name in ("container",):
            if name in case.query:
                case.query[name] = ["box", "still"][dice % 2]
    if isinstance(case.body, dict) and dice % 5:
        # Of many members one is always wrong: with few of them a request gets further.
        for part in (case.body, case.body.get("HostConfig")):
            if isinstance(part, dict) and dice % 3 and len(part) > 2:
                for name in [name for place, name in enumerate(part) if place % len(part) not in (dice % len(part), (dice * 7 + 1) % len(part))]:
                    if name != "HostConfig":
                        del part[name]
        if case.operation.path == "/containers/create":
            case.body["Image"] = IMAGE
        if case.operation.path.startswith("/networks/{id}/"):
            case.body["Container"] = ["box", "still"][dice % 2]


def read(answer, endless):
    """The body, as far as it came."""
    content = b""
    try:
        for piece in answer.iter_content(1 << 16):
            content += piece
            if endless and len(content) > 1 << 20:
                break
    except requests.exceptions.RequestException as error:
        if not endless:
            raise error
    finally:
        answer.close()
    return content


def report(case, kind, text):
    key = (case.operation.label, kind, text[:60])
    if key not in {one["key"] for one in found}:
        found.append({"key": key})
        print(json.dumps({"operation": case.operation.label, "kind": kind, "text": text[:600], "request": str(case.as_curl_command())[:1500]}), flush=True)


def send(case, endless):
    kwargs = case.as_transport_kwargs(base_url=URL)
    kwargs.pop("timeout", None)
    started = time.monotonic()
    try:
        answer = session.request(**kwargs, stream=True, timeout=(5, GLANCE if endless else PATIENCE))
        content = read(answer, endless)
    except requests.exceptions.ReadTimeout:
        if not endless:
            report(case, "hang", f"no answer within {PATIENCE} s")
        return None
    except (requests.exceptions.InvalidHeader, requests.exceptions.InvalidURL, UnicodeError, ValueError):
        # Nothing that a client could send.
        return None
    except requests.exceptions.RequestException as error:
        return report(case, "broken", f"{error}")
    if time.monotonic() - started > 20:
        report(case, "slow", f"{time.monotonic() - started:.1f} s")
    if answer.status_code >= 500 and not any(text in content.decode(errors="replace") for text in UNREACHABLE):
        report(case, str(answer.status_code), content.decode(errors="replace"))
    return answer, content


def check(case, answer, content):
    """Whether an answer is what the description says of it."""
    kind = answer.headers.get("Content-Type", "").split(";")[0]
    raw = case.operation.definition.raw
    if kind != "application/json" or not content or raw.get("x-apus-endless") or EACH in json.dumps(raw["responses"]):
        return
    answer._content = content
    try:
        case.validate_response(answer, checks=[response_schema_conformance])
    except (AssertionError, schemathesis.errors.SchemathesisError if hasattr(schemathesis, "errors") else AssertionError, BaseExceptionGroup) as error:
        whole = getattr(error, "exceptions", [error])[0]
        report(case, "shape", f"{whole}")


def follow(case, answer, content):
    """A container that could be made can be started, or the reason why not is no fault of the daemon; then it goes."""
    if case.operation.label == "POST /containers/create" and answer.status_code == 201:
        made = json.loads(content)["Id"]
        try:
            started = ask("POST", f"/containers/{made}/start")
            if started.status_code >= 500:
                report(case, f"start {started.status_code}", started.text)
        except requests.exceptions.RequestException as error:
            report(case, "start", f"{error}")
        ask("DELETE", f"/containers/{made}", force=1, v=1)
    if case.operation.path in ("/networks/create", "/volumes/create") and answer.status_code == 201:
        made = json.loads(content)
        name = urllib.parse.quote(made.get("Id") or made.get("Name"), safe="")
        if made.get("Name") != "vol":
            ask("DELETE", case.operation.path.replace("create", name))
    if case.operation.path.startswith("/networks/{id}") or case.operation.path.endswith(("/prune", "{id}", "{name}")):
        OBJECTS.prepare()


def exercise(operation):
    endless = operation.definition.raw.get("x-apus-endless", False)

    for mode in (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE):
        try:
            cases = operation.as_strategy(generation_mode=mode)
        except BaseException as error:  # pylint: disable=broad-except
            if isinstance(error, KeyboardInterrupt):
                raise
            continue

        @settings(max_examples=max(1, EXAMPLES // 2), deadline=None, database=None, derandomize=EXAMPLES == USUAL,
                  suppress_health_check=list(HealthCheck), phases=[Phase.generate], verbosity=Verbosity.quiet)
        @given(case=cases, dice=st.integers(0, 59))
        def run(case, dice):
            OBJECTS.refresh()
            choose(case, dice)
            if answered := send(case, endless):
                check(case, *answered)
                follow(case, *answered)

        try:
            run()
        except Unsatisfiable:
            continue
        except BaseException as error:  # pylint: disable=broad-except
            if type(error).__name__ not in ("Skipped", "SkipTest"):
                print(json.dumps({"operation": operation.label, "kind": "runner", "text": f"{type(error).__name__}: {error}"[:600], "request": ""}), flush=True)


def main():
    schema = schemathesis.openapi.from_dict(ask("GET", "/openapi.json").json())
    started = time.monotonic()
    OBJECTS.prepare()
    count = 0
    for result in schema.get_all_operations():
        operation, before = result.ok(), time.monotonic()
        OBJECTS.prepare()
        exercise(operation)
        count += 1
        print(f"{operation.label} {time.monotonic() - before:.1f}", file=sys.stderr, flush=True)
    for name in ("box", "still"):
        ask("DELETE", f"/containers/{name}", force=1, v=1)
    for path in ("/networks/net", "/volumes/vol"):
        ask("DELETE", path)
    print(json.dumps({"operations": count, "seconds": round(time.monotonic() - started, 1)}))


if __name__ == "__main__":
    socket.setdefaulttimeout(PATIENCE)
    main()
