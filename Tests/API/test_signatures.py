"""A policy file says which images come here and run; signatures as cosign stores them, made by openssl."""

import base64
import json
import os
import subprocess

import pytest
from conftest import CLIENTS, Client, Daemon, entries
from oci_images import CONFIG, MANIFEST, Image, busybox_layer, digest_of, files, tar
from scripted_registry import ScriptedRegistry


def openssl(*words, **options):
    return subprocess.run(["openssl", *words], check=True, capture_output=True, **options).stdout


def key_pair(folder, name, *algorithm):
    openssl("genpkey", *(algorithm or ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")), "-out", f"{folder}/{name}.key")
    openssl("pkey", "-in", f"{folder}/{name}.key", "-pubout", "-out", f"{folder}/{name}.pub")
    return f"{folder}/{name}.key", f"{folder}/{name}.pub"


def signature_of(payload, key):
    """Of ECDSA and RSA the payload's digest is signed; Ed25519 takes the payload itself, from a file."""
    if "ED25519" not in openssl("pkey", "-in", key, "-noout", "-text").decode():
        return openssl("dgst", "-sha256", "-sign", key, input=payload)
    with open(f"{key}.payload", "wb") as file:
        file.write(payload)
    return openssl("pkeyutl", "-sign", "-inkey", key, "-rawin", "-in", file.name)


def sign(registry, digest, name, key, kind="cosign container image signature", spoil=None):
    """Adds a signature of `digest` for `name` to the registry, beside those that are there."""
    payload = json.dumps({"critical": {"identity": {"docker-reference": name}, "image": {"docker-manifest-digest": digest}, "type": kind},
                          "optional": None}).encode()
    signature = signature_of(payload, key)
    if spoil:
        payload, signature = spoil(payload, signature)
    config = b"{}"
    tag = f"{digest.replace(':', '-')}.sig"
    document = json.loads(registry.manifests.get(tag) or json.dumps({
        "schemaVersion": 2, "mediaType": MANIFEST, "layers": [], "config": {"mediaType": CONFIG, "digest": digest_of(config), "size": len(config)}}))
    document["layers"].append({
        "mediaType": "application/vnd.dev.cosign.simplesigning.v1+json", "digest": digest_of(payload), "size": len(payload),
        "annotations": {"dev.cosignproject.cosign/signature": base64.b64encode(signature).decode()}})
    registry.blobs.update({digest_of(payload): payload, digest_of(config): config})
    registry.manifests[tag] = json.dumps(document).encode()
    registry.manifests[digest_of(registry.manifests[tag])] = registry.manifests[tag]


class Place:
    """A daemon with a policy, and a registry with an image."""

    def __init__(self, folder, tmp_path):
        self.daemon, self.folder, self.policy = Daemon(folder), tmp_path, tmp_path / "policy.json"
        self.image = Image([busybox_layer(), tar(files({"one": os.urandom(20)}))])
        self.registry = ScriptedRegistry(self.image)
        self.name = self.registry.name
        self.say()
        self.apus = Client("apus", CLIENTS["apus"], self.daemon.host, str(tmp_path))

    def start(self):
        self.daemon.start("--signature-policy", str(self.policy), "--registries-conf", "", "--bridge", "none")

    def say(self, default="insecureAcceptAnything", **scopes):
        """Scopes: a requirement or several; `archives` is the one of archives."""
        def many(value):
            return [value] if isinstance(value, dict) else [{"type": value}] if isinstance(value, str) else value
        archives = scopes.pop("archives", None)
        transports = {"docker": {name.replace("HOST", self.registry.host): many(value) for name, value in scopes.items()}}
        if archives:
            transports["docker-archive"] = {"": many(archives)}
        self.policy.write_text(json.dumps({"default": many(default), "transports": transports}), encoding="utf-8")

    def signed(self, key, identity="matchRepository", **more):
        return {"type": "sigstoreSigned", "keyPath": key, "signedIdentity": {"type": identity}, **more}

    def refused(self, *words):
        result = self.apus(*words)
        assert result.code != 0 and len(result.err.strip().splitlines()) <= 3, result
        return result.err


@pytest.fixture
def place(tmp_path_factory, tmp_path):
    place = Place(os.path.realpath(tmp_path_factory.mktemp("d")), tmp_path)
    try:
        place.start()
        yield place
    finally:
        place.registry.stop()
        if place.daemon.process:
            assert place.daemon.stop() == 0, place.daemon.log()


def test_reject_and_accept_go_by_the_longest_scope(place):
    place.say("reject", **{"HOST/one": "insecureAcceptAnything"})
    place.apus("pull", place.name).ok()
    assert "other:latest is rejected by the signature policy: nothing of that name is accepted" in place.refused("pull", f"{place.registry.host}/other")
    place.say(**{"HOST": "reject", "HOST/one:latest": "insecureAcceptAnything"})
    place.apus("pull", place.name).ok()
    count = len(place.registry.requests)
    assert "rejected" in place.refused("pull", f"{place.name}:v2") and "rejected" in place.refused("pull", f"{place.name}@{place.image.digest}")
    assert len(place.registry.requests) == count, "a registry was asked for what is rejected anyway"
    # The policy is read anew each time: what is here may not run any more.
    place.say("reject")
    assert "rejected" in place.refused("run", "--rm", "--network", "none", place.name, "true")
    assert "rejected" in place.refused("create", "--network", "none", place.image.id, "true")
    assert place.apus("ps", "-aq").ok() == ""
    place.say()
    place.apus("run", "--rm", "--network", "none", place.name, "true").ok()


ALGORITHMS = {"ec": (), "rsa": ("-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"), "ed25519": ("-algorithm", "ED25519")}


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_signature_by_the_policys_key_lets_an_image_come_and_run(algorithm, place):
    key, public = key_pair(place.folder, "good", *ALGORITHMS[algorithm])
    place.say("reject", **{"HOST/one": place.signed(public)})
    assert "it has no signature" in place.refused("pull", place.name)
    blobs = entries(f"{place.daemon.data}/content/blobs/sha256")
    assert not any(layer["digest"][7:] in blobs for layer in place.image.layers), "layers of an image that is refused were fetched"
    sign(place.registry, place.image.digest, place.name, key)
    place.apus("pull", place.name).ok()
    place.apus("run", "--rm", "--network", "none", place.name, "true").ok()
    # A daemon that starts anew knows it still; a policy with another key does not take it any more.
    assert place.daemon.stop() == 0
    place.daemon.start("--signature-policy", str(place.policy), "--registries-conf", "", "--bridge", "none")
    place.apus("run", "--rm", "--network", "none", place.image.id, "true").ok()
    _, other = key_pair(place.folder, "other")
    place.say("reject", **{"HOST/one": place.signed(other)})
    assert "a signature is by none of the policy's keys" in place.refused("run", "--rm", "--network", "none", place.name, "true")
    place.say("reject", **{"HOST/one": {**place.signed(other), "keyPath": None, "keyPaths": [other, public]}})
    policy = json.loads(place.policy.read_text())
    del policy["transports"]["docker"][place.name][0]["keyPath"]
    place.policy.write_text(json.dumps(policy))
    place.apus("run", "--rm", "--network", "none", place.name, "true").ok()


FORGED = {
    "another-key": (lambda place, key: sign(place.registry, place.image.digest, place.name, key_pair(place.folder, "evil")[0]), "by none of the policy's keys"),
    "another-image": (lambda place, key: (sign(place.registry, digest_of(b"x"), place.name, key),
                                          place.registry.manifests.update({f"{place.image.digest.replace(':', '-')}.sig":
                                                                           place.registry.manifests[f"{digest_of(b'x').replace(':', '-')}.sig"]})),
                      "a signature is of another image"),
    "another-name": (lambda place, key: sign(place.registry, place.image.digest, f"{place.registry.host}/two", key), "a signature is for"),
    "another-kind": (lambda place, key: sign(place.registry, place.image.digest, place.name, key, kind="atomic container signature"), "of another image"),
    "a-changed-payload": (lambda place, key: sign(place.registry, place.image.digest, f"{place.registry.host}/two", key, spoil=lambda payload, signature: (
        payload.replace(b"/two", b"/one"), signature)), "by none of the policy's keys"),
    "no-signature-in-it": (
        lambda place, key: sign(place.registry, place.image.digest, place.name, key, spoil=lambda payload, signature: (payload, b"")),
        "none of the policy's keys"),
}


@pytest.mark.parametrize("name", FORGED)
def test_a_signature_that_is_none_lets_nothing_in(name, place):
    key, public = key_pair(place.folder, "good")
    forge, words = FORGED[name]
    place.say(**{"HOST/one": place.signed(public)})
    forge(place, key)
    assert words in place.refused("pull", place.name)
    assert place.apus("images", "-q").ok() == "" and entries(f"{place.daemon.data}/signatures") == []
    # One good signature among bad ones is enough.
    sign(place.registry, place.image.digest, place.name, key)
    place.apus("pull", place.name).ok()


def test_identities_say_whose_name_a_signature_must_have(place):
    key, public = key_pair(place.folder, "good")
    sign(place.registry, place.image.digest, f"{place.name}:latest", key)
    for identity, is_accepted in (({"type": "matchExact"}, True), ({"type": "matchRepoDigestOrExact"}, True), ({"type": "matchRepository"}, True),
                                  ({"type": "exactReference", "dockerReference": f"{place.name}:latest"}, True),
                                  ({"type": "exactReference", "dockerReference": f"{place.name}:v2"}, False),
                                  ({"type": "exactRepository", "dockerRepository": place.name}, True),
                                  ({"type": "exactRepository", "dockerRepository": f"{place.registry.host}/two"}, False)):
        place.say(**{"HOST/one": {"type": "sigstoreSigned", "keyPath": public, "signedIdentity": identity}})
        result = place.apus("pull", place.name)
        assert (result.code == 0) == is_accepted, (identity, result)
    place.registry.manifests["v2"] = place.image.manifest
    place.say(**{"HOST/one": place.signed(public, "matchExact")})
    assert "a signature is for" in place.refused("pull", f"{place.name}:v2")
    place.say(**{"HOST/one": place.signed(public, "matchRepoDigestOrExact")})
    place.apus("pull", f"{place.name}@{place.image.digest}").ok()


def test_an_archive_brings_in_what_its_own_rule_accepts(place):
    key, public = key_pair(place.folder, "good")
    place.apus("pull", place.name).ok()
    archive = str(place.folder / "one.tar")
    place.apus("save", "-o", archive, place.name).ok()
    place.apus("rmi", place.name).ok()
    place.say(archives="reject")
    assert "rejected by the signature policy" in place.refused("load", "-i", archive)
    place.say(**{"archives": place.signed(public)})
    assert "it came from no registry, where its signature would be" in place.refused("load", "-i", archive)
    assert place.apus("images", "-q").ok() == ""
    place.say("reject", archives="insecureAcceptAnything")
    place.apus("load", "-i", archive).ok()
    place.apus("run", "--rm", "--network", "none", place.name, "true").ok()
    # A good name on it makes no good image of it.
    place.say("insecureAcceptAnything", archives="reject")
    assert "rejected" in place.refused("run", "--rm", "--network", "none", place.name, "true")


BAD = {
    "not there": (None, "it cannot be read"),
    "no json": ('{\n"default": [\n', "policy.json:3: "),
    "no default": ('{"transports": {}}', "'default' is missing"),
    "empty": ('{"default": []}', "a scope needs one requirement at least"),
    "gpg": ('{"default": [\n{"type": "signedBy", "keyType": "GPGKeys"}]}', "policy.json:2: default[0].keyType: 'keyType' is not implemented"),
    "misspelt": ('{"default": [{"type": "rejct"}]}', "'rejct' is not implemented"),
    "no key": ('{"default": [{"type": "sigstoreSigned"}]}', "needs a key"),
    "a lost key": ('{"default": [{"type": "sigstoreSigned", "keyPath": "/nowhere.pub"}]}', "the key /nowhere.pub cannot be read"),
    "fulcio": ('{"default": [{"type": "sigstoreSigned", "fulcio": {}}]}', "'fulcio' is not implemented"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_policy_that_cannot_be_understood_lets_nothing_in_and_is_named_in_one_line(name, place):
    text, words = BAD[name]
    if text is None:
        place.policy.unlink()
    else:
        place.policy.write_text(text, encoding="utf-8")
    refused = place.refused("pull", place.name)
    assert str(place.policy) in refused and words in refused, refused
    assert len(refused.strip().splitlines()) == 1


def test_a_tag_that_was_made_here_lifts_no_rule(place):
    """Whoever may tag could run what the policy does not accept: rules go by what an image was pulled as."""
    key, public = key_pair(place.folder, "good")
    place.apus("pull", place.name).ok()
    open_scope = {"HOST/one:dev": "insecureAcceptAnything"}
    place.say("reject", **open_scope)
    run = ("run", "--rm", "--network", "none")
    assert "rejected" in place.refused(*run, place.name, "true")
    place.apus("tag", place.name, f"{place.name}:dev").ok()
    for word in (f"{place.name}:dev", place.image.id):
        assert "rejected" in place.refused(*run, word, "true")
    # Nor is it what a signature may be for.
    sign(place.registry, place.image.digest, f"{place.name}:dev", key)
    place.say()
    place.apus("pull", place.name).ok()
    for identity in ("matchExact", "matchRepoDigestOrExact"):
        place.say(**{"HOST/one": place.signed(public, identity)})
        assert "rejected" in place.refused(*run, f"{place.name}:dev", "true")
    # As what it was pulled it may run, by whatever name, also where that name is given to it again or goes.
    place.registry.manifests["dev"] = place.image.manifest
    place.say("reject", **open_scope)
    place.apus("pull", f"{place.name}:dev").ok()
    for word in (f"{place.name}:dev", place.name, place.image.id):
        place.apus(*run, word, "true").ok()
    place.apus("tag", place.image.id, f"{place.name}:dev").ok()
    place.apus(*run, f"{place.name}:dev", "true").ok()
    # Nor does the tag of a scope that refuses lift its rule by being given again or going.
    place.say("insecureAcceptAnything", **{"HOST/one:dev": "reject", "HOST/one:latest": "reject"})
    place.apus("tag", place.image.id, f"{place.name}:dev").ok()
    assert "rejected" in place.refused(*run, f"{place.name}:dev", "true")
    place.apus("tag", place.image.id, f"{place.name}:other").ok()
    place.apus("rmi", f"{place.name}:dev", f"{place.name}:latest").ok()
    assert "rejected" in place.refused(*run, f"{place.name}:other", "true")
