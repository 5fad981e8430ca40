"""`pull --all-tags`: every tag of a repository, page by page, one image after the other (row B01)."""

import json
import re

import pytest
from engine_http import api
from oci_images import Image, Pusher, busybox_layer, files, tar
from scripted_registry import ScriptedRegistry

TAGS = ("latest", "v1", "v2")


def image_of(text):
    return Image([busybox_layer(), tar(files({"which": text}))])


@pytest.fixture
def tagged(cli, registry):
    """A client, and a repository whose `latest` is its `v2`."""
    name = f"{registry.host}/tagged"
    images = {"v1": image_of("one"), "v2": image_of("two")}
    images["latest"] = images["v2"]
    for tag, image in images.items():
        Pusher(registry.host).push("tagged", image, tag)
    yield cli, name, images
    cli("rmi", "-f", *(f"{name}:{tag}" for tag in TAGS))


def here(cli, name):
    return dict(line.split() for line in cli("images", "--no-trunc", "--format", "{{.Tag}} {{.ID}}", name).ok().splitlines())


def test_feature_B01_all_tags_of_a_repository_come_one_after_the_other(tagged, registry):
    cli, name, images = tagged
    lines = cli("pull", "-a", name).ok().splitlines()
    begun = [place for place, line in enumerate(lines) if line.endswith(": Pulling from tagged")]
    assert [lines[place].split(":")[0] for place in begun] == list(TAGS) and begun[0] == 0, lines
    told = [line[8:] for line in lines if line.startswith("Digest: ")]
    assert told == [images[tag].digest for tag in TAGS]
    assert all(lines[place - 1].startswith("Digest: ") for place in begun[1:]), "each ends before the next begins"
    assert lines[-2:] == [f"Status: Downloaded newer image for {name}", name]
    assert here(cli, name) == {tag: image.id for tag, image in images.items()}
    assert cli("run", "--rm", f"{name}:v1", "cat", "/which").ok() == "one"
    again = cli("pull", "--all-tags", name).ok()
    assert f"Status: Image is up to date for {name}\n" in again
    before = len(registry.requests("/v2/tagged/tags/list"))
    assert cli("pull", "-a", "-q", name).ok() == f"{name}\n"
    assert len(registry.requests("/v2/tagged/tags/list")) == before + 1


def test_feature_B01_a_name_alone_is_latest_where_the_client_says_so(tagged):
    cli, name, images = tagged
    cli("pull", name).ok()
    assert here(cli, name) == {"latest": images["latest"].id}


def test_all_tags_go_with_no_tag_and_the_repository_must_be_there(tagged, registry):
    cli, name, _ = tagged
    for reference in (f"{name}:v1", f"{name}@sha256:{'0' * 64}"):
        refused = cli("pull", "-a", reference)
        assert refused.code == 1 and refused.err == "tag can't be used with --all-tags/-a\n", refused
    refused = cli("pull", "-a", f"{registry.host}/nosuch")
    assert refused.code == 1 and f"repository {registry.host}/nosuch not found: name unknown: repository name not known to registry" in refused.err
    assert here(cli, name) == {}


def test_the_api_takes_a_name_without_a_tag_or_with_a_bare_colon_for_all_of_them(apus, own_daemon, tagged):
    _, name, images = tagged
    for bare in (name, name + ":"):
        messages = [json.loads(line) for line in api(own_daemon, "POST", f"/images/create?fromImage={bare}", expect=200)[1].splitlines()]
        assert [message["id"] for message in messages if message.get("status") == "Pulling from tagged"] == list(TAGS)
        assert here(apus, name) == {tag: image.id for tag, image in images.items()}
        apus("rmi", "-f", *(f"{name}:{tag}" for tag in TAGS)).ok()


def paged(tags, size=2, link=None):
    """tags/list as distribution's registry 3 serves it, `size` at a time."""
    def answer(handler, _):
        path, _, query = handler.path.partition("?")
        if not path.endswith("/tags/list"):
            return False
        last = re.search(r"last=([^&]+)", query)
        start = tags.index(last[1]) + 1 if last else 0
        page = tags[start:start + size]
        fields = {}
        if link or start + size < len(tags):
            fields["Link"] = link or f'<{path}?last={page[-1]}&n={size}>; rel="next"'
        handler.answer(200, json.dumps({"name": "one", "tags": page or None}).encode(), **fields)
        return True

    return answer


@pytest.fixture
def scripted():
    made = []

    def make(*arguments, **options):
        made.append(ScriptedRegistry(*arguments, **options))
        return made[-1]

    yield make
    for server in made:
        server.stop()


def test_a_list_of_tags_comes_page_by_page_with_a_token(cli, scripted):
    tags = [f"t{number}" for number in range(5)]
    server = scripted(token=True, faults={"other": paged(tags)})
    images = {tag: image_of(tag) for tag in tags}
    for tag, image in images.items():
        server.add(image, tag)
    try:
        cli("pull", "-q", "-a", server.name).ok()
        assert here(cli, server.name) == {tag: image.id for tag, image in images.items()}
        assert len([entry for entry in server.requests if "/tags/list" in entry["path"] and entry["status"] == 200]) == 3
    finally:
        cli("rmi", "-f", *(f"{server.name}:{tag}" for tag in tags))


@pytest.mark.parametrize("kind", ["loop", "elsewhere", "many", "no-tag", "no-list", "none"])
def test_a_list_of_tags_without_end_or_sense_is_refused(apus, scripted, kind):
    other = scripted()
    faults = {
        "loop": paged(["a"], link='</v2/one/tags/list?last=a>; rel="next"'),
        "elsewhere": paged(["a"], link=f'<http://{other.host}/v2/one/tags/list>; rel="next"'),
        "many": paged([f"t{number}" for number in range(10_001)], size=20_000),
        "no-tag": paged(["../x"]),
        "no-list": lambda handler, _: handler.answer(200, b'{"tags": "a"}') or True if "/tags/" in handler.path else False,
        "none": paged([]),
    }
    server = scripted(image_of("x"), faults={"other": faults[kind]})
    result = apus("pull", "-a", server.name)
    if kind == "none":
        assert result.ok().splitlines() == [f"Status: Image is up to date for {server.name}", server.name]
    else:
        said = {"loop": "more than 1000 pages", "elsewhere": "is not the registry's", "many": "more than 10000 tags", "no-tag": "invalid tag",
                "no-list": "cannot be read"}
        assert result.code == 1 and said[kind] in result.err, result
    assert not other.requests and apus("images", "-q", server.name).ok() == ""
