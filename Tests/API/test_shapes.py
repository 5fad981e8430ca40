"""Answers of the daemon beside Docker's description of them, at an old and a new version of the API."""

import json
import os

import pytest
from conftest import ROOT
from engine_http import api

with open(os.path.join(ROOT, "spec-fixtures", "engine-api", "shapes.json"), encoding="utf-8") as text:
    SHAPES = json.load(text)

# What Docker describes and the answers below do not have: by its reason and its place, the properties.
CONTAINER, IMAGE, INFO = "/containers/{id}/json.", "/images/{name}/json.", "/info."
MOUNTS = CONTAINER + "HostConfig.Mounts[]."
EMPTY = "nothing to tell, which Docker leaves out too"
SWARM = "of a swarm, which is none"
STORE = "of Docker's containerd store alone"
LACKS_ALWAYS = {
    (EMPTY, CONTAINER + "Config."): "ArgsEscaped MacAddress NetworkDisabled Shell", (EMPTY, CONTAINER + "HostConfig."): "StorageOpt",
    (EMPTY, MOUNTS): "BindOptions.NonRecursive Consistency VolumeOptions.DriverConfig.Options",
    (EMPTY, IMAGE): "Config.ArgsEscaped Config.Shell OsVersion Variant", (EMPTY, INFO): "DefaultAddressPools ProductLicense Runtimes{}.runtimeArgs",
    (SWARM, INFO): "Swarm.Cluster Swarm.Managers Swarm.Nodes", (EMPTY, "/version."): "Experimental",
}
LACKS = {
    "1.41": {
        (EMPTY, IMAGE + "Config."): "MacAddress NetworkDisabled StopTimeout",
        (EMPTY, IMAGE + "ContainerConfig."): "ArgsEscaped MacAddress NetworkDisabled Shell",
        (SWARM, INFO): "ClusterAdvertise ClusterStore",
    },
    "1.50": {
        (EMPTY, MOUNTS): "BindOptions.CreateMountpoint BindOptions.ReadOnlyForceRecursive BindOptions.ReadOnlyNonRecursive ImageOptions "
                         "TmpfsOptions.Options VolumeOptions.Subpath",
        (EMPTY, INFO): "FirewallBackend.Info KernelMemoryTCP", ("what a runtime tells of itself is not asked for here", INFO): "Runtimes{}.status",
        (STORE, CONTAINER): "ImageManifestDescriptor", (STORE, "/containers/json[]."): "ImageManifestDescriptor",
        (STORE, "/images/json[]."): "Descriptor Manifests", (STORE, IMAGE): "Descriptor Manifests", (STORE, INFO): "Containerd",
    },
}
# What they have beyond the description.
ADDS = {
    "1.41": {("Docker tells it in every version", place + "Healthcheck."): "StartInterval"
             for place in (CONTAINER + "Config.", IMAGE + "Config.", IMAGE + "ContainerConfig.")},
    "1.50": {},
}


def places(*lists):
    return {place + name for reasons in lists for (_, place), names in reasons.items() for name in names.split()}


IMAGE = "shape:image"
CHANGES = ('ENTRYPOINT ["/bin/env"]', 'CMD ["sh"]', "ENV A=b", "EXPOSE 80/tcp", "LABEL key=value", "USER ann:staff", "VOLUME /data", "WORKDIR /tmp",
           "STOPSIGNAL SIGUSR1", "HEALTHCHECK --interval=5s --retries=2 CMD true", "ONBUILD RUN true")


def described(daemon, version):
    """Answers of that version, each with the description of it and all descriptions that this uses."""
    shape = SHAPES[version]
    for path, operation in [
            ("/info", "/info"), ("/version", "/version"), (f"/images/{IMAGE}/json", "/images/{name}/json"), ("/images/json",) * 2,
            ("/containers/shape/json?size=1", "/containers/{id}/json"), ("/containers/json?size=1", "/containers/json"),
            (f"/exec/{exec_of(daemon, 'shape')}/json", "/exec/{id}/json")]:
        yield operation, api(daemon, "GET", f"/v{version}{path}", expect=200)[1], shape["answers"][operation], shape["definitions"]


def exec_of(daemon, name):
    return api(daemon, "POST", f"/containers/{name}/exec", {"Cmd": ["true"], "User": "1000"}, expect=201)[1]["Id"]


class Comparison:
    """Values beside their descriptions: what is of another kind, and which properties are only here or only there.

    A place is the path to a value, `[]` for any element and `{}` for any member of a map; a property is there where any value at its place has it."""

    def __init__(self, definitions):
        self.definitions, self.mistakes, self.here, self.described = definitions, [], {}, {}

    def look(self, value, schema, place):
        while "$ref" in schema:
            schema = self.definitions[schema["$ref"]]
        for part in schema.get("allOf", []):
            self.look(value, part, place)
        if "enum" in schema and isinstance(value, str):
            # The descriptions give the kinds of mounts as an object's: all that is meant is the word.
            if value not in schema["enum"]:
                self.mistakes.append(f"{place} is {value!r}, none of {schema['enum']}")
            return
        wanted = KINDS.get(schema.get("type"))
        if value is None and schema.get("x-nullable") is False and not place.endswith(".Labels"):
            # Docker itself has null for an image without labels.
            self.mistakes.append(f"{place} is null")
        if value is None or wanted is None:
            return
        if not isinstance(value, wanted) or (isinstance(value, bool) and wanted is not bool):
            self.mistakes.append(f"{place} is {type(value).__name__}, not {schema['type']}")
        elif isinstance(value, dict):
            self.look_at_members(value, schema, place)
        elif isinstance(value, list):
            for element in value:
                self.look(element, schema.get("items", {}), f"{place}[]")

    def look_at_members(self, value, schema, place):
        properties = schema.get("properties", {})
        if properties:
            self.here.setdefault(place, set()).update(value)
            self.described.setdefault(place, set()).update(properties)
        self.mistakes += [f"{place} has no {name}, which is required" for name in schema.get("required", []) if name not in value]
        for name, part in properties.items():
            if name in value:
                self.look(value[name], part, f"{place}.{name}")
        if not properties and isinstance(schema.get("additionalProperties"), dict):
            for member in value.values():
                self.look(member, schema["additionalProperties"], f"{place}{{}}")

    def only(self, these, those):
        return {f"{place}.{name}" for place, names in these.items() for name in names - those[place]}


KINDS = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool, "number": (int, float)}


@pytest.fixture
def shaped(apus, image):
    """A container that has something of everything."""
    flags = ("--health-cmd true --health-interval 5s --health-timeout 5s --health-retries 2 --health-start-period 1s --health-start-interval 1s "
             "--stop-signal TERM --stop-timeout 1 --annotation a=b --sysctl net.ipv4.ip_forward=1 "
             "-v shaped:/store --tmpfs /t --mount type=tmpfs,dst=/u,tmpfs-size=1m,tmpfs-mode=700 "
             "--mount type=bind,src=/etc/hostname,dst=/h,readonly,bind-propagation=rprivate "
             "--mount type=volume,src=shaped,dst=/v,volume-nocopy,volume-label=a=b,volume-driver=local "
             "-p 127.0.0.1::80 --expose 81 --ulimit nofile=100 --device /dev/null "
             "--init -l a=b -e A=b --add-host far:192.0.2.7 --restart on-failure:2")
    try:
        apus("run", "-d", "--name", "shape", *flags.split(), image, "sleep", "60").ok()
        apus("commit", *[f"--change={change}" for change in CHANGES], "shape", IMAGE).ok()
        yield "shape"
    finally:
        apus("rm", "-f", "-v", "shape")
        apus("rmi", "-f", IMAGE)
        apus("volume", "rm", "-f", "shaped")


@pytest.mark.parametrize("version", sorted(SHAPES))
def test_answers_have_the_shape_that_docker_describes(own_daemon, shaped, version):
    """Every property that the version names for these answers, none of another kind, and no other but those on the lists."""
    lacks, adds = set(), set()
    for operation, answer, schema, definitions in described(own_daemon, version):
        comparison = Comparison(definitions)
        comparison.look(answer, schema, operation)
        assert comparison.mistakes == [], (version, comparison.mistakes)
        lacks |= comparison.only(comparison.described, comparison.here)
        adds |= comparison.only(comparison.here, comparison.described)
    assert (lacks, adds) == (places(LACKS_ALWAYS, LACKS[version]), places(ADDS[version])), json.dumps([sorted(lacks), sorted(adds)])


def test_what_a_version_has_no_more_is_in_the_older_one_alone(own_daemon, shaped):
    kinds = {version: api(own_daemon, "GET", f"/v{version}/images/{IMAGE}/json")[1] for version in ("1.41", "1.50")}
    assert "VirtualSize" in kinds["1.41"] and "VirtualSize" not in kinds["1.50"]
    kinds = {version: api(own_daemon, "GET", f"/v{version}/containers/shape/json")[1]["HostConfig"] for version in ("1.41", "1.50")}
    assert kinds["1.41"]["KernelMemory"] == 0 and "KernelMemory" not in kinds["1.50"]
    assert all(kind["ConsoleSize"] == [0, 0] for kind in kinds.values())
