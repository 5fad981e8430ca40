"""What is written for others to read, held to the schemas of the specifications: documents of images, and of containers."""

import json
import os
import tarfile

import pytest
import schemas
from oci_images import INDEX, MANIFEST, Pusher

MANIFESTS, CONFIGURATIONS = "application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.config.v1+json"


@pytest.fixture
def made(apus, image, tmp_path):
    """Images that are made here: of a container, with all that changes can say, and of an archive."""
    names = ["made:commit", "made:import"]
    changes = [f"--change={change}" for change in (
        "CMD [\"sh\"]", "ENTRYPOINT [\"/bin/env\"]", "ENV A=b", "EXPOSE 80/tcp", "LABEL key=value", "USER ann:staff", "VOLUME /data", "WORKDIR /tmp",
        "STOPSIGNAL SIGUSR1", "HEALTHCHECK --interval=5s --retries=2 CMD true", "ONBUILD RUN true")]
    apus("run", "--name", "maker", image, "sh", "-c", "echo new >/new; rm /etc/group").ok()
    apus("commit", "-m", "why", "-a", "Ann <ann@example.com>", *changes, "maker", names[0]).ok()
    apus("export", "-o", str(tmp_path / "root.tar"), "maker").ok()
    apus("rm", "maker").ok()
    apus("import", "-m", "why", *changes, str(tmp_path / "root.tar"), names[1]).ok()
    yield names
    apus("rmi", "-f", *names)


def kinds_of_layout(folder):
    """The media types of all that a layout holds, each by its schema."""
    def blob(digest):
        with open(os.path.join(folder, "blobs", *digest.split(":")), "rb") as file:
            return file.read()

    with open(os.path.join(folder, "oci-layout"), "rb") as file:
        schemas.validate(file.read(), "image-spec", "image-layout-schema.json")
    with open(os.path.join(folder, "index.json"), "rb") as file:
        index = file.read()
    schemas.validate(index, "image-spec", "image-index-schema.json")
    return [kind for descriptor in json.loads(index)["manifests"] for kind in schemas.validate_image(descriptor, blob)]


def kinds_in_registry(registry, name):
    """The media types of what a registry has under a name, each by its schema."""
    pusher = Pusher(registry.host)

    def blob(digest):
        for place in ("blobs", "manifests"):
            try:
                with pusher.request("GET", f"{pusher.base}/{name}/{place}/{digest}", headers={"Accept": f"{MANIFEST}, {INDEX}"}) as answer:
                    return answer.read()
            except OSError:
                continue
        raise AssertionError(f"{digest} of {name} is not there")

    data = pusher.manifest(name)
    descriptor = {"mediaType": json.loads(data)["mediaType"], "digest": pusher.digest(name), "size": len(data)}
    return schemas.validate_image(descriptor, blob)


def test_images_that_are_made_saved_and_pushed_hold_to_image_specs_schemas(apus, made, image, registry, tmp_path):
    folder, archive = str(tmp_path / "folder"), str(tmp_path / "archive.tar")
    apus("save", "--format", "oci-dir", "-o", folder, *made, image).ok()
    assert sorted(kinds_of_layout(folder)) == sorted([MANIFESTS, CONFIGURATIONS] * 3)
    apus("save", "-o", archive, *made).ok()
    with tarfile.open(archive) as file:
        file.extractall(tmp_path / "archive")
    assert sorted(kinds_of_layout(str(tmp_path / "archive"))) == sorted([MANIFESTS, CONFIGURATIONS] * 2)
    for name in made:
        target = name.replace(":", "-")
        apus("tag", name, f"{registry.host}/{target}").ok()
        apus("push", "-q", f"{registry.host}/{target}").ok()
        apus("rmi", f"{registry.host}/{target}").ok()
        assert sorted(kinds_in_registry(registry, target)) == sorted([MANIFESTS, CONFIGURATIONS])
    several = f"{registry.host}/made-several"
    apus("manifest", "create", several, f"{registry.host}/made-commit").ok()
    apus("manifest", "push", "--purge", several).ok()
    assert kinds_in_registry(registry, "made-several").count(CONFIGURATIONS) == 1


@pytest.mark.parametrize("flags", [
    "", "--privileged", "--security-opt profile=strict", "--userns private", "--init -t --health-cmd true --hostname h --read-only --tmpfs /t:size=1m",
    "-m 64m --memory-swap 128m --cpus 0.5 --pids-limit 30 --ulimit nofile=100:200 --sysctl net.ipv4.ip_forward=1 --cap-add NET_ADMIN --cap-drop MKNOD",
    "--device /dev/null:/dev/zilch:r -v store:/store -v /etc/hostname:/h:ro --mount type=tmpfs,dst=/u --group-add 5 -u 1000:50 --shm-size 1m",
    "--network none --pid host --ipc host --uts host --cgroupns host --security-opt seccomp=unconfined --security-opt no-new-privileges --oom-score-adj 5",
])
def test_the_bundle_of_a_container_holds_to_runtime_specs_schema(own_daemon, apus, image, flags):
    try:
        identifier = apus("run", "-d", "--name", "bundled", *flags.split(), image, "sleep", "60").line()
        with open(os.path.join(own_daemon.run, "bundles", identifier, "config.json"), "rb") as file:
            schemas.validate(file.read(), "runtime-spec", "config-schema.json")
    finally:
        apus("rm", "-f", "bundled")
        apus("volume", "rm", "-f", "store")


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the file is that of x86-64")
def test_the_profile_that_comparisons_use_is_the_one_that_a_container_gets(own_daemon, apus, image):
    identifier = apus("run", "-d", "--name", "bundled", image, "sleep", "60").line()
    with open(os.path.join(own_daemon.run, "bundles", identifier, "config.json"), encoding="utf-8") as file:
        written = json.load(file)["linux"]["seccomp"]
    apus("rm", "-f", "bundled").ok()
    path = os.path.join(schemas.FOLDER, "profiles", "docker-default-seccomp.json")
    if os.environ.get("APUS_WRITE_PROFILE"):
        with open(path, "w", encoding="utf-8") as file:
            file.write(json.dumps(written, indent=2) + "\n")
    with open(path, encoding="utf-8") as file:
        assert json.load(file) == written, "write it anew with APUS_WRITE_PROFILE=1"
