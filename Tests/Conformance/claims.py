"""What a test claims of the specification, what its runtimes are known to do otherwise, and the Test Anything Protocol.

`@spec(place, words)` names a sentence of spec-fixtures/runtime-spec/musts.json by its place and words of it; the test must fail where the
sentence does not hold. deviations.txt lists, for each runtime, the tests that it is known to fail and those that it is spared."""

import json
import os
import re
from dataclasses import dataclass

import pytest

FOLDER = os.path.dirname(os.path.abspath(__file__))
FIXTURES = os.path.join(os.path.dirname(os.path.dirname(FOLDER)), "spec-fixtures")
DEVIATIONS = os.path.join(FOLDER, "deviations.txt")


def fixture(*names):
    with open(os.path.join(FIXTURES, *names), encoding="utf-8") as file:
        return json.load(file)


MUSTS = fixture("runtime-spec", "musts.json")


def sentence(place, words):
    """The one sentence at that place that has these words."""
    found = [must["sentence"] for must in MUSTS if must["place"] == place and words in must["sentence"]]
    if len(found) != 1 and words not in found:
        raise ValueError(f"{len(found)} sentences of {place} have the words {words!r}")
    return found[0] if len(found) == 1 else words


def spec(place, *words):
    """Marks a test as one that shows these sentences of one place."""
    return pytest.mark.spec(place, *(sentence(place, one) for one in words))


def claims(item):
    """The sentences that a collected test shows, each with its place."""
    return [(mark.args[0], text) for mark in item.iter_markers("spec") for text in mark.args[1:]]


@dataclass(frozen=True)
class Deviation:
    runtime: str
    kind: str
    test: str
    why: str

    def concerns(self, name):
        """Whether a test, `file.py::name[parameter]`, is meant: by its whole name or by the one before the bracket."""
        return self.test in (name, name.split("[")[0])


def read_deviations():
    """Each line: RUNTIME fails|spared FILE::TEST[PARAMETER] # WHY. Blanks in a parameter are written as they are."""
    with open(DEVIATIONS, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if not line.strip() or line.startswith("#"):
                continue
            match = re.fullmatch(r"(apus|runc|crun) +(fails|spared) +(\w+\.py::.*?) +# (.+)\n?", line)
            if not match:
                raise ValueError(f"{DEVIATIONS}:{number}: not RUNTIME fails|spared TEST # WHY")
            yield Deviation(*match.groups())


def apply_deviations(items, kind):
    known = [deviation for deviation in read_deviations() if deviation.runtime == kind]
    for item in items:
        name = f"{os.path.basename(item.path)}::{item.name}"
        for deviation in known:
            if deviation.concerns(name):
                why = f"{kind}: {deviation.why}"
                spared = deviation.kind == "spared"
                item.add_marker(pytest.mark.skip(reason=why) if spared else pytest.mark.xfail(reason=why, strict=True))


class TapReporter:
    """Prints TAP 13 in the place of pytest's own words: https://testanything.org/tap-version-13-specification.html"""

    def __init__(self, out):
        self.out, self.items, self.number, self.failed, self.reports = out, {}, 0, 0, []

    def say(self, text):
        print(text, file=self.out, flush=True)

    def pytest_collection_finish(self, session):
        self.items = {item.nodeid: item for item in session.items}
        self.say(f"TAP version 13\n1..{len(session.items)}")

    def pytest_collectreport(self, report):
        if report.failed:
            self.say(f"Bail out! {str(report.longrepr).splitlines()[-1]}")

    def pytest_runtest_logreport(self, report):
        self.reports.append(report)
        if report.when != "teardown":
            return
        reports, self.reports = self.reports, []
        self.number += 1
        self.say(self.line(self.items[report.nodeid], reports))

    def line(self, item, reports):
        claimed = claims(item)
        place, words = claimed[0] if claimed else ("", "")
        title = f"{place.replace('#', ' ')}: {words} [{item.name}]" if claimed else item.nodeid
        title = title.replace("#", "\\#")
        reason, broken = "", [one for one in reports if one.failed]
        for one in reports:
            if one.skipped:
                reason = getattr(one, "wasxfail", "") or (one.longrepr[2] if isinstance(one.longrepr, tuple) else "")
        known = any(hasattr(one, "wasxfail") for one in reports)
        directive = f" # {'TODO' if known else 'SKIP'} {reason.removeprefix('Skipped: ').removeprefix('reason: ')}" if reason else ""
        if broken:
            self.failed += 1
            directive = ""
        fails = bool(broken) or (known and bool(reason))
        details = {"test": f"{os.path.basename(item.path)}::{item.name}", "spec": [f"{place}: {text}" for place, text in claimed]}
        if broken:
            details["message"] = "\n".join(str(one.longrepr) for one in broken)[-4000:]
        block = "\n".join(f"  {key}: {json.dumps(value, ensure_ascii=False)}" for key, value in details.items())
        return f"{'not ok' if fails else 'ok'} {self.number} - {title}{directive}\n  ---\n{block}\n  ..."

    def pytest_sessionfinish(self, session):
        self.say(f"# {self.number} tests, {self.failed} failures that are not known")


def report_as_tap(config):
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    config.pluginmanager.unregister(reporter)
    config.pluginmanager.register(TapReporter(out), "tap")
