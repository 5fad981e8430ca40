"""Of an image one platform is here at a time. Requests that name another one are refused, as Docker's daemon does, and change nothing."""
# Rows: features

import json
import os
import re
import subprocess
import urllib.parse

import oci_images
import pytest
from conftest import CLIENTS, Client
from engine_http import api
from scripted_registry import ScriptedRegistry

OWN, OTHER = oci_images.ARCHITECTURE, {"amd64": "arm64", "arm64": "amd64"}[oci_images.ARCHITECTURE]


def chooses(path):
    """Whether a client has the flag: docker's before 28 have not. Asked of no daemon."""
    alone = {**os.environ, "DOCKER_HOST": "unix:///nowhere"}
    return "--platform" in subprocess.run([path, "rmi", "--help"], capture_output=True, text=True, env=alone, check=False).stdout


CHOOSING = [name for name, path in sorted(CLIENTS.items()) if name == "apus" or chooses(path)]


def platform(architecture, **more):
    return urllib.parse.quote(json.dumps({"os": "linux", "architecture": architecture, **more}))


@pytest.fixture
def tagged(own_daemon, apus, image):
    """A name of the image's that a removal may take away."""
    apus("tag", image, "chosen:1").ok()
    yield "chosen:1"
    api(own_daemon, "DELETE", "/images/chosen:1?force=1")


@pytest.fixture(params=CHOOSING)
def choosing(request, daemon, workspace):
    return Client(request.param, CLIENTS[request.param], daemon.host, workspace)


def refusal(name, architecture=OTHER):
    return f"image with reference {name} was found but does not provide the specified platform (linux/{architecture})"


REQUESTS = ("DELETE /images/{}?platforms={}", "GET /images/{}/json?platform={}", "GET /images/{}/history?platform={}", "GET /images/{}/get?platform={}",
            "GET /images/get?names={}&platform={}", "POST /images/{}/push?tag=&platform={}")


@pytest.mark.parametrize("request_line", REQUESTS)
def test_B12_a_platform_that_an_image_is_not_of_is_not_found_and_nothing_is_done(own_daemon, tagged, request_line):
    method, _, path = request_line.partition(" ")
    name = tagged.partition(":")[0] if "push" in path else tagged
    status, answer = api(own_daemon, method, "/v1.51" + path.format(name, platform(OTHER)))
    assert (status, answer) == (404, {"message": refusal(tagged)})
    assert tagged in api(own_daemon, "GET", f"/images/{tagged}/json", expect=200)[1]["RepoTags"]


@pytest.mark.parametrize("request_line", REQUESTS[:-1])
@pytest.mark.parametrize("wrong, words", [
    ("{", "failed to parse platform"), ("{}", "both OS and Architecture must be provided"), ('{"os":"linux"}', "both OS and Architecture must be provided"),
    ('{"variant":"v8"}', "optional platform fields provided, but OS and Architecture are missing"), ("linux/a/b/c", "linux/a/b/c"),
])
def test_what_is_no_platform_is_refused(own_daemon, tagged, request_line, wrong, words):
    method, _, path = request_line.partition(" ")
    status, answer = api(own_daemon, method, "/v1.51" + path.format(tagged, urllib.parse.quote(wrong)))
    assert status == 400 and words in answer["message"], answer
    assert tagged in api(own_daemon, "GET", f"/images/{tagged}/json", expect=200)[1]["RepoTags"]


def test_B12_the_platform_that_an_image_is_of_is_served_as_no_platform_is(own_daemon, tagged):
    for path in ("json", "history"):
        plain, chosen = (api(own_daemon, "GET", f"/v1.51/images/{tagged}/{path}{query}", expect=200) for query in ("", f"?platform={platform(OWN)}"))
        assert plain == chosen
    assert api(own_daemon, "GET", f"/v1.51/images/{tagged}/get?platform={platform(OWN)}")[0] == 200
    # Of several none may be another one.
    both = f"/v1.51/images/{tagged}?platforms={platform(OWN)}&platforms={platform(OTHER)}"
    assert api(own_daemon, "DELETE", both) == (404, {"message": refusal(tagged)})
    assert api(own_daemon, "DELETE", f"/v1.51/images/{tagged}?platforms={platform(OWN)}") == (200, [{"Untagged": tagged}])
    assert api(own_daemon, "GET", f"/images/{tagged}/json")[0] == 404


def test_an_image_is_described_with_its_manifest_where_that_is_asked_for(own_daemon, image):
    listed = [one for one in api(own_daemon, "GET", "/v1.51/images/json?manifests=1", expect=200)[1] if f"{image}:latest" in one["RepoTags"]]
    described = api(own_daemon, "GET", f"/v1.51/images/{image}/json?manifests=1", expect=200)[1]
    assert described["Manifests"] == listed[0]["Manifests"] and described["Manifests"][0]["ImageData"]["Platform"] == {"os": "linux", "architecture": OWN}
    assert "Manifests" not in api(own_daemon, "GET", f"/v1.51/images/{image}/json", expect=200)[1]
    assert "Manifests" not in api(own_daemon, "GET", f"/v1.47/images/{image}/json?manifests=1", expect=200)[1]
    status, answer = api(own_daemon, "GET", f"/v1.51/images/{image}/json?manifests=1&platform={platform(OWN)}")
    assert (status, answer["message"]) == (400, "conflicting options: manifests and platform options cannot both be set")


@pytest.mark.parametrize("words", ["rmi", "image rm", "image inspect", "history", "save", "push"])
def test_B12_clients_are_told_that_an_image_is_of_another_platform(choosing, tagged, words):
    result = choosing(*words.split(), "--platform", f"linux/{OTHER}", tagged)
    assert result.code == 1 and refusal(tagged) in result.err, result
    # A push of docker's says beforehand what such a one leaves out.
    assert words == "push" or result.out.strip() in ("", "[]"), result
    assert choosing("image", "inspect", "-f", "{{.Architecture}}", "--platform", f"linux/{OWN}", tagged).line() == OWN
    wrong = choosing(*words.split(), "--platform", "a/b/c/d", tagged)
    assert wrong.code in (1, 125) and re.search("a/b/c/d", wrong.err) and wrong.out == "", wrong


def test_B12_clients_choose_the_platform_that_there_is(choosing, tagged, tmp_path):
    assert choosing("history", "-q", "--platform", f"linux/{OWN}", tagged).ok() == choosing("history", "-q", tagged).ok()
    choosing("save", "--platform", f"linux/{OWN}", "-o", str(tmp_path / "saved"), tagged).ok()
    assert choosing("rmi", "--platform", f"linux/{OWN}", tagged).line() == f"Untagged: {tagged}"
    other = choosing("load", "--platform", f"linux/{OTHER}", "-i", str(tmp_path / "saved"))
    assert other.code == 1 and f"linux/{OTHER}" in other.err, other
    assert choosing("load", "--platform", f"linux/{OWN}", "-i", str(tmp_path / "saved")).line() == f"Loaded image: {tagged}"


def test_B12_a_save_of_a_repository_chooses_the_platform_in_each_of_its_tags(own_daemon, apus, image):
    """A name without a tag is all of them, as what is written is: not `latest`."""
    foreign = oci_images.Image([oci_images.tar(oci_images.files({"of": "another"}))], architecture=OTHER)
    registry = ScriptedRegistry(foreign)
    save = f"/v1.51/images/get?names=choosers&platform={platform(OWN)}"
    try:
        apus("pull", "--platform", f"linux/{OTHER}", registry.name).ok()
        apus("tag", image, "choosers:one").ok()
        assert api(own_daemon, "GET", save)[0] == 200, "there is no latest"
        apus("tag", registry.name, "choosers:another").ok()
        assert api(own_daemon, "GET", save) == (404, {"message": refusal("choosers:another", OWN)})
        apus("tag", image, "choosers:latest").ok()
        assert api(own_daemon, "GET", save) == (404, {"message": refusal("choosers:another", OWN)})
        assert api(own_daemon, "GET", f"/v1.51/images/choosers:one/get?platform={platform(OWN)}")[0] == 200
        assert api(own_daemon, "GET", f"/v1.51/images/get?names=none&platform={platform(OWN)}")[0] == 404
    finally:
        registry.stop()
        for name in ("choosers:one", "choosers:another", "choosers:latest", registry.name):
            apus("rmi", "-f", name)


def test_a_start_from_a_checkpoint_is_refused_by_its_name(own_daemon, apus, image):
    """Of which the daemon keeps none: the process would begin anew."""
    apus("create", "--name", "began", image, "sleep", "600").ok()
    status, answer = api(own_daemon, "POST", "/containers/began/start?checkpoint=saved")
    assert (status, answer) == (400, {"message": "checkpoint is only supported in experimental mode"})
    assert apus.inspect("began", "{{.State.Status}}") == "created"
    assert api(own_daemon, "POST", "/containers/began/start?checkpoint=")[0] == 204


def test_a_network_of_another_scope_is_not_found(own_daemon):
    for query, status in (("", 200), ("?scope=local", 200), ("?scope=swarm", 404), ("?scope=global", 404)):
        assert api(own_daemon, "GET", f"/networks/bridge{query}")[0] == status, query


def mismatch(name, own, wanted):
    return f"WARNING: image with reference {name} was found but its platform (linux/{own}) does not match the specified platform (linux/{wanted})\n"


def test_an_image_of_one_platform_alone_is_pulled_whatever_was_asked_for_and_that_is_said(cli, registry, own_daemon):
    """As Docker does. It is here by its name, and no container of the other platform is made of it."""
    name = f"{registry.host}/single"
    oci_images.Pusher(registry.host).push("single", oci_images.busybox())
    pulled = cli("pull", "--platform", f"linux/{OTHER}", name)
    assert f"Status: Downloaded newer image for {name}:latest\n{mismatch(f'{name}:latest', OWN, OTHER)}" in pulled.ok(), pulled
    assert mismatch(f"{name}:latest", OWN, OTHER)[9:-1] in own_daemon.log()
    assert cli("pull", "-q", "--platform", f"linux/{OTHER}", name).ok() == f"{name}:latest\n"
    assert cli.inspect(name, "{{.Architecture}}") == OWN
    made = cli("create", "--platform", f"linux/{OTHER}", name, "true")
    assert made.code != 0 and made.err.startswith(f"Unable to find image '{name}:latest' locally"), made
    assert mismatch(f"{name}:latest", OWN, OTHER) in made.err and refusal(name) in made.err, made
    ran = cli("run", "--rm", "--network", "none", name, "echo", "here")
    assert (ran.ok(), ran.err) == ("here\n", "")
    cli("rmi", name).ok()


def test_a_container_of_another_platform_than_the_image_here_has_its_image_pulled(cli, registry):
    """Where the registry has it for both; the name is then the other one's, of which no container is made unsaid."""
    name = f"{registry.host}/both"
    ours, theirs = (oci_images.Image([oci_images.busybox_layer()], {"Labels": {"of": of}}, architecture=of) for of in (OWN, OTHER))
    oci_images.Pusher(registry.host).push_index("both", [({"os": "linux", "architecture": of}, made) for of, made in ((OWN, ours), (OTHER, theirs))])
    cli("pull", "-q", name).ok()
    made = cli("create", "--name", "theirs", "--platform", f"linux/{OTHER}", name, "true")
    assert made.code == 0 and made.err.startswith(f"Unable to find image '{name}:latest' locally") and "WARNING" not in made.err, made
    assert cli.inspect(name, "{{.Id}}") == cli.inspect("theirs", "{{.Image}}") == theirs.id
    unsaid = cli("create", "--name", "unsaid", name, "true")
    words = f"The requested image's platform (linux/{OTHER}) does not match the detected host platform (linux/{OWN}"
    assert unsaid.code == 0 and words in unsaid.err and "and no specific platform was requested" in unsaid.err, unsaid
    assert cli("run", "--rm", "--network", "none", ours.id, "echo", "here").line() == "here"
    cli("rm", "theirs", "unsaid").ok()
    cli("rmi", name, ours.id).ok()
