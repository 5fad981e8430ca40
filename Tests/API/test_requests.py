"""How documents and parameters of requests are read: as dockerd reads them."""

import urllib.parse

import pytest
from engine_http import api


def test_names_of_members_may_be_written_in_any_case_and_keys_of_maps_stay_as_they_are(own_daemon, image):
    request = {
        "image": image, "cmd": ["true"], "ENV": ["A=1"], "labels": {"Key": "1", "key": "2"},
        "hostconfig": {"memory": 64 << 20, "PORTbindings": {"80/tcp": [{"hostport": "0"}]}, "restartpolicy": {"name": "on-failure", "maximumretrycount": 3}}}
    identifier = api(own_daemon, "POST", "/containers/create?name=written", request, expect=201)[1]["Id"]
    found = api(own_daemon, "GET", f"/containers/{identifier}/json", expect=200)[1]
    config, host = found["Config"], found["HostConfig"]
    assert (config["Image"], config["Cmd"], config["Labels"]) == (image, ["true"], {**config["Labels"], "Key": "1", "key": "2"})
    assert "A=1" in config["Env"] and host["Memory"] == 64 << 20
    assert host["RestartPolicy"] == {"Name": "on-failure", "MaximumRetryCount": 3}
    assert [place["HostPort"] for place in host["PortBindings"]["80/tcp"]] == ["0"]
    # An exact name goes before another.
    api(own_daemon, "POST", "/containers/written/update", {"CpuShares": 300, "cpushares": 400}, expect=200)
    assert api(own_daemon, "GET", "/containers/written/json")[1]["HostConfig"]["CpuShares"] == 300
    status, answer = api(own_daemon, "POST", "/containers/written/update", {"memory": "much"})
    assert status == 400 and "memory" in answer["message"], answer


BODIES = [
    ("POST", "/containers/create", {"HostConfig": {"Memory": "much"}}, "HostConfig.Memory", "string", "int64"),
    ("POST", "/containers/create", {"Env": ["A=1", 2]}, "Env[1]", "number 2", "string"),
    ("POST", "/containers/create", {"hostconfig": {"PortBindings": {"80/tcp": [{"HostPort": 80}]}}}, "hostconfig.PortBindings.80/tcp[0].HostPort", "number 80",
     "string"),
    ("POST", "/containers/create", {"HostConfig": []}, "HostConfig", "array", "object"),
    ("POST", "/containers/create", {"Tty": "yes"}, "Tty", "string", "bool"),
    ("POST", "/containers/create", {"Labels": {"a": {}}}, "Labels.a", "object", "string"),
    ("POST", "/containers/create", [], "", "array", "object"),
    ("POST", "/containers/x/update", {"CpuShares": 1.5}, "CpuShares", "number 1.5", "int64"),
    ("POST", "/containers/x/update", {"Memory": 10 ** 30}, "Memory", "number 1e+30", "int64"),
    ("POST", "/containers/x/exec", {"Cmd": {"a": 1}}, "Cmd", "object", "array"),
    ("POST", "/exec/x/start", {"Detach": "no"}, "Detach", "string", "bool"),
    ("POST", "/networks/create", {"Name": "n", "IPAM": {"Config": [{"Subnet": True}]}}, "IPAM.Config[0].Subnet", "bool", "string"),
    ("POST", "/networks/x/connect", {"Container": 7}, "Container", "number 7", "string"),
    ("POST", "/networks/x/disconnect", {"Force": 0}, "Force", "number 0", "bool"),
    ("POST", "/volumes/create", {"DriverOpts": {"size": 5}}, "DriverOpts.size", "number 5", "string"),
    ("POST", "/commit?container=x", {"Cmd": 5}, "Cmd", "number 5", "array"),
    ("POST", "/auth", {"username": False}, "username", "bool", "string"),
]


@pytest.mark.parametrize("method, path, body, field, found, expected", BODIES)
def test_a_value_of_another_kind_is_refused_by_its_field_and_both_kinds(own_daemon, method, path, body, field, found, expected):
    place = f"{field}: " if field else ""
    words = f"invalid JSON: {place}cannot unmarshal {found} into a field of type {expected}"
    assert api(own_daemon, method, path, body) == (400, {"message": words})


@pytest.mark.parametrize("body, words", [
    ('{"Image": "x"', "expected ',' or '}', found the end of the document, at byte 13"), ('{"Image": x}', "Image: expected a value, found x, at byte 10"),
    ('{"HostConfig": {"Memory" 1}}', "HostConfig.Memory: expected ':', found 1, at byte 25"),
    ('{} {}', "expected the end of the document, found an object, at byte 3"),
])
def test_what_is_no_JSON_is_refused_by_its_place(own_daemon, body, words):
    status, answer = api(own_daemon, "POST", "/containers/create", body)
    assert status == 400 and answer["message"].startswith("invalid JSON: ") and answer["message"].endswith(words), answer


def test_a_filter_of_another_shape_is_refused_by_its_key(own_daemon):
    status, answer = api(own_daemon, "GET", "/containers/json?filters=" + urllib.parse.quote('{"label":"x"}'))
    assert status == 400 and answer["message"] == "invalid filter: label: cannot unmarshal string into a field of type object", answer


def test_a_filter_that_is_null_is_none(own_daemon, apus, image):
    apus("create", "--name", "any", image, "true").ok()
    assert len(api(own_daemon, "GET", "/containers/json?all=1&filters=null", expect=200)[1]) == 1


@pytest.mark.parametrize("body", [None, "null", " null\n"])
def test_a_body_that_says_nothing_changes_nothing(own_daemon, apus, image, body):
    apus("run", "-d", "--name", "same", image, "sleep", "60").ok()
    assert api(own_daemon, "POST", "/containers/same/update", body, expect=200)[1] == {"Warnings": None}
    status, answer = api(own_daemon, "POST", "/containers/same/exec", body)
    assert (status, answer["message"]) == (400, "No exec command specified")
    name = api(own_daemon, "POST", "/volumes/create", body, expect=201)[1]["Name"]
    api(own_daemon, "DELETE", f"/volumes/{name}", expect=204)
    status, answer = api(own_daemon, "POST", "/containers/create", body)
    assert status == 400, answer


def test_a_body_that_was_to_come_and_is_empty_is_refused(own_daemon, apus, image):
    apus("create", "--name", "same", image, "true").ok()
    status, answer = api(own_daemon, "POST", "/containers/same/update", "0\r\n\r\n", headers={"Transfer-Encoding": "chunked"})
    assert status == 400 and "got EOF while reading request body" in answer["message"]


def test_every_parameter_counts_however_many_there_are(own_daemon, image):
    names = "&".join(f"names={image}" for _ in range(400))
    status, answer = api(own_daemon, "GET", f"/images/get?{names}&names=nosuch:image")
    assert status == 404 and "nosuch:image" in answer["message"]
