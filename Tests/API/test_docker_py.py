"""docker-py, a client that nobody here wrote, against the daemon."""
# Rows: features

import io
import tarfile

import docker
import pytest

from processes import wait_until


@pytest.fixture
def sdk(daemon):
    client = docker.DockerClient(base_url=daemon.host, timeout=60)
    yield client
    client.close()


def test_A06_the_sdk_negotiates_and_reads_the_system(sdk):
    assert sdk.ping()
    assert sdk.version()["ApiVersion"] and sdk.info()["OSType"] == "linux"


def test_A06_the_sdk_runs_containers(sdk, image):
    assert sdk.containers.run(image, ["echo", "hello"], remove=True) == b"hello\n"
    with pytest.raises(docker.errors.ContainerError) as failure:
        sdk.containers.run(image, ["sh", "-c", "echo bad >&2; exit 3"], remove=True)
    assert failure.value.exit_status == 3 and b"bad" in failure.value.stderr


def test_A06_the_sdk_looks_after_a_container(sdk, image):
    container = sdk.containers.run(image, ["sh", "-c", "echo up; sleep 60"], detach=True, name="sdk", labels={"a": "b"}, mem_limit="64m")
    assert container.status in ("created", "running")
    container.reload()
    assert container.attrs["HostConfig"]["Memory"] == 64 << 20 and container.labels["a"] == "b"
    code, output = container.exec_run(["sh", "-c", "echo inside; exit 4"])
    assert (code, output) == (4, b"inside\n")
    code, (out, err) = container.exec_run(["sh", "-c", "echo out; echo err >&2"], demux=True)
    assert (code, out, err) == (0, b"out\n", b"err\n")
    assert [found.name for found in sdk.containers.list(filters={"label": "a=b"})] == ["sdk"]
    wait_until(lambda: container.logs() == b"up\n", "what it wrote is in the log")
    container.kill()
    assert container.wait()["StatusCode"] == 137
    container.restart(timeout=0)
    container.stop(timeout=0)
    container.remove()
    with pytest.raises(docker.errors.NotFound):
        sdk.containers.get("sdk")


def test_A06_the_sdk_attaches_with_input(sdk, image):
    container = sdk.containers.create(image, ["cat"], stdin_open=True)
    socket = container.attach_socket(params={"stdin": 1, "stdout": 1, "stream": 1})
    container.start()
    socket._sock.sendall(b"over the socket\n")
    received = b""
    while b"socket\n" not in received:
        received += socket._sock.recv(100)
    assert received[8:] == b"over the socket\n" and received[:1] == b"\x01"
    socket.close()
    container.remove(force=True)


def test_A06_the_sdk_reads_an_exec_with_a_terminal_in_frames_unless_it_says_so(sdk, image):
    container = sdk.containers.run(image, ["sleep", "600"], detach=True)
    # What comes in one read with the answer's head is lost in the library's own buffer: so long does it have to read that.
    made = sdk.api.exec_create(container.id, ["sh", "-c", "sleep 3; echo hello out; echo hello err >&2"], tty=True)
    assert sdk.api.exec_start(made, demux=True) == (b"hello out\r\nhello err\r\n", None)
    made = sdk.api.exec_create(container.id, ["sh", "-c", "sleep 3; echo raw"], tty=True)
    assert sdk.api.exec_start(made, tty=True) == b"raw\r\n"
    container.remove(force=True)


def test_A06_the_sdk_commits_a_container_that_is_just_ending(sdk, image):
    for _ in range(6):
        container = sdk.containers.run(image, ["touch", "/test"], detach=True)
        made = container.commit()
        sdk.images.remove(made.id)
        container.remove(force=True)


def test_A06_the_sdk_copies_into_a_volume_of_a_container_that_never_ran(sdk, image):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        entry = tarfile.TarInfo("file")
        entry.size = 6
        tar.addfile(entry, io.BytesIO(b"early\n"))
    container = sdk.containers.create(image, ["cat", "/vol/deep/file"], volumes=["/vol/deep"])
    assert container.put_archive("/vol/deep", buffer.getvalue())
    container.start()
    assert container.wait()["StatusCode"] == 0 and container.logs() == b"early\n"
    container.remove(v=True)


def test_A06_the_sdk_manages_images(sdk, registry):
    image = sdk.images.pull(f"{registry.host}/beta", tag="latest")
    assert f"{registry.host}/beta:latest" in image.tags
    assert image.tag("renamed", "v2")
    assert sdk.images.get("renamed:v2").id == image.id
    sdk.images.remove("renamed:v2")
    sdk.images.remove(f"{registry.host}/beta")
    with pytest.raises(docker.errors.ImageNotFound):
        sdk.images.get(f"{registry.host}/beta")
    with pytest.raises(docker.errors.APIError):
        sdk.images.pull(f"{registry.host}/nosuch", tag="latest")


def test_A06_the_sdk_sets_and_changes_restart_policies(sdk, image):
    container = sdk.containers.run(
        image, ["sh", "-c", "exit 5"], detach=True, name="sdk", restart_policy={"Name": "on-failure", "MaximumRetryCount": 1})
    wait_until(lambda: container.reload() or container.attrs["State"]["Status"] == "exited", "the policy gives up")
    assert (container.attrs["RestartCount"], container.attrs["State"]["ExitCode"]) == (1, 5)
    assert container.update(restart_policy={"Name": "always"}) == {"Warnings": None}
    container.reload()
    assert container.attrs["HostConfig"]["RestartPolicy"]["Name"] == "always"
    with pytest.raises(docker.errors.APIError) as failure:
        container.update(restart_policy={"Name": "on-failure", "MaximumRetryCount": -1})
    assert failure.value.status_code == 400 and "cannot be negative" in failure.value.explanation


def test_A06_the_sdk_binds_a_folder_and_declares_a_volume_there(sdk, image, tmp_path):
    (tmp_path / "note").write_text("there")
    client = sdk.api
    host = client.create_host_config(binds={str(tmp_path): {"bind": "/mnt", "ro": True}})
    created = client.create_container(image, ["cat", "/mnt/note"], volumes=["/mnt"], host_config=host)
    client.start(created)
    client.wait(created)
    assert client.logs(created) == b"there"
