"""How documents and parameters of requests are read: as dockerd reads them."""

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
