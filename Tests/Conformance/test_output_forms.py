"""What commands print for programs, beside what runc prints of the same container: the order of members and the white space are compared byte
for byte, values are not. The other runtime is runc whichever is tested, so runc itself passes."""

import json
import re
import shutil

import pytest
from conftest import Runtime

# A value: a text, a number or a word, with which members of a document end.
VALUE = re.compile(r'(?<=[:\[,{ \n\t])(?:"(?:[^"\\]|\\.)*"(?!:)|-?[0-9][0-9.eE+-]*|true|false|null)')

# Characters that Go's encoding/json writes as escapes, and others about which one could be in doubt.
ESCAPED = "<a>&\u2028\u2029\u2027 '/ \"\\ \b\f\n\r\t\x01\x1f\x7f \u00e9 \u00a8 \ufffd \U0001f600"


def form(text):
    """A document without its values."""
    return VALUE.sub("_", text)


def common(document, other):
    """Of two documents the members that both have, in the order of the first."""
    if not (isinstance(document, dict) and isinstance(other, dict)):
        return None
    return [(name, common(value, other[name])) for name, value in document.items() if name in other]


def same_order(document, other):
    assert json.dumps(common(document, other)) == json.dumps(common(other, document))


@pytest.fixture
def pair(runtime, bundle, container, folder):
    """The tested runtime's container, and runc's of the same bundle, by what they answer."""
    runc = Runtime(shutil.which("runc"), f"{folder}/runc")
    bundle.write("sleep 600", annotations={"org.example.b": "2", "org.example.a": "1", "org.example.<&>": ESCAPED})
    names = {runtime: container, runc: f"{container}-runc"}
    for each, name in names.items():
        each.detached("run", "-d", "-b", bundle.path, name).ok()
    try:
        yield lambda *words: [each(*(name if word == "CONTAINER" else word for word in words)).ok().out for each, name in names.items()]
    finally:
        runc("delete", "-f", names[runc])


@pytest.mark.parametrize("words", [("state", "CONTAINER"), ("list", "-f", "json"), ("ps", "-f", "json", "CONTAINER")],
                         ids=lambda words: words[0])
def test_a_document_has_runcs_members_order_and_white_space(pair, words):
    ours, runcs = pair(*words)
    assert form(ours) == form(runcs)
    assert json.loads(ours) != json.loads(runcs), "they are of two containers"


@pytest.mark.parametrize("words", [("state", "CONTAINER"), ("list", "-f", "json")], ids=lambda words: words[0])
def test_texts_are_escaped_as_runcs_byte_for_byte(pair, words):
    """Of what is the same in both containers: the annotations."""
    ours, runcs = (re.search(r'"annotations": ?\{.*?\}', text, re.S)[0] for text in pair(*words))
    assert ours == runcs and r"\u003ca\u003e\u0026\u2028" in ours


@pytest.mark.parametrize("words, indent, separators", [
    (("features",), 4, (",", ": ")), (("events", "--stats", "CONTAINER"), None, (",", ":"))], ids=["features", "events"])
def test_a_document_that_each_machine_fills_otherwise_has_runcs_order_and_white_space(pair, words, indent, separators):
    documents = []
    for text in pair(*words):
        documents.append(json.loads(text))
        assert form(text) == form(json.dumps(documents[-1], indent=indent, separators=separators, ensure_ascii=False) + "\n")
        # Go writes a whole number without a point.
        assert not re.search(r"[0-9]\.0\b", re.sub(r'"[^"]*"', '""', text))
    same_order(*documents)


def test_the_tables_line_up_as_runcs(pair):
    def starts(line):
        return [word.start() for word in re.finditer(r"\S+", line)]

    for text in pair("list"):
        head, line = text.splitlines()
        assert head.split() == ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"] and starts(head) == starts(line)
