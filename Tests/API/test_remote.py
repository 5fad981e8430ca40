"""Daemons on other machines: tcp:// with certificates on both sides, ssh://, contexts; and who is not let in. F01-F05 of the attacks."""

import contextlib
import io
import json
import os
import re
import resource
import shutil
import socket
import ssl
import subprocess
import sys
import tarfile
import time

import pexpect
import pytest
from conftest import BUILD, CLIENTS, Client, Daemon

import leaks
from engine_http import Connection, api
from processes import free_port, stop, wait_until
from test_run import has_size


def openssl(*words):
    subprocess.run(["openssl", *words], check=True, capture_output=True)


class Authority:
    """An authority and what it vouches for, as folders of ca.pem, cert.pem and key.pem."""

    def __init__(self, folder):
        self.folder = folder
        os.makedirs(folder)
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{folder}/ca-key.pem",
                "-out", f"{folder}/ca.pem", "-days", "2", "-subj", "/CN=authority")

    def vouch(self, name, names="DNS:localhost,IP:127.0.0.1"):
        place = os.path.join(self.folder, name)
        os.makedirs(place)
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{place}/key.pem",
                "-out", f"{place}/request.pem", "-subj", f"/CN={name}")
        with open(f"{place}/extensions", "w", encoding="utf-8") as file:
            file.write(f"subjectAltName={names}\n")
        openssl("x509", "-req", "-in", f"{place}/request.pem", "-CA", f"{self.folder}/ca.pem", "-CAkey", f"{self.folder}/ca-key.pem",
                "-CAcreateserial", "-days", "2", "-extfile", f"{place}/extensions", "-out", f"{place}/cert.pem")
        shutil.copy(f"{self.folder}/ca.pem", place)
        return place


@pytest.fixture(scope="module")
def remote(workspace, registry):
    """A daemon that is served by tcp:// to those with a certificate, and an image there."""
    folder = os.path.join(workspace, "remote")
    os.makedirs(folder)
    authority = Authority(f"{folder}/authority")
    place = authority.vouch("server")
    made = Daemon(folder)
    made.port = free_port()
    made.start("--host", f"tcp://127.0.0.1:{made.port}", "--tlsverify", "--tlscacert", f"{place}/ca.pem", "--tlscert", f"{place}/cert.pem",
               "--tlskey", f"{place}/key.pem")
    made.url, made.authority = f"tcp://127.0.0.1:{made.port}", authority
    made.certificates = authority.vouch("client")
    made.image = f"{registry.host}/busybox"
    Client("apus", CLIENTS["apus"], made.host, workspace)("pull", made.image).ok()
    yield made
    assert made.stop() == 0
    assert not leaks.mounts(folder)
    made.forget_network()


@pytest.fixture(params=sorted(CLIENTS))
def client_alone(request, workspace):
    """A client that nobody has told of a daemon."""
    return Client(request.param, CLIENTS[request.param], "", workspace)


@pytest.fixture(params=sorted(CLIENTS))
def far(request, remote, workspace):
    """A client that reaches the daemon by tcp:// alone."""
    client = Client(request.param, CLIENTS[request.param], remote.url, workspace)
    client.environment.update(DOCKER_TLS_VERIFY="1", DOCKER_CERT_PATH=remote.certificates)
    yield client
    if names := client("ps", "-aq").ok().split():
        client("rm", "-f", *names).ok()


def test_feature_A02_a_client_elsewhere_runs_copies_and_follows_over_tls(far, remote, tmp_path):
    assert far("run", "--rm", "-i", remote.image, "cat", stdin="through TLS\n").ok() == "through TLS\n"
    assert far("run", "--rm", remote.image, "sh", "-c", "echo out; echo err >&2; exit 7").code == 7
    # Many records of TLS each way.
    assert far("run", "--rm", "-i", remote.image, "sh", "-c", "wc -c; head -c 3000000 /dev/zero", stdin=b"x" * 3_000_000).raw[:8] == b"3000000\n"
    far("run", "-d", "--name", "far", remote.image, "sh", "-c", "echo line; sleep 1; echo last").ok()
    assert far("logs", "-f", "far").ok() == "line\nlast\n"
    # Paths of binds are the daemon's, whose host this one is not for it.
    os.makedirs(f"{remote.folder}/of-the-daemon", exist_ok=True)
    assert far("run", "--rm", "-v", f"{remote.folder}/of-the-daemon:/x", remote.image, "sh", "-c", "echo kept > /x/y; cat /x/y").ok() == "kept\n"
    with open(f"{remote.folder}/of-the-daemon/y", encoding="utf-8") as file:
        assert file.read() == "kept\n"
    assert f"Status: Image is up to date for {remote.image}:latest" in far("pull", remote.image).ok()
    shell = pexpect.spawn(far.path, ["run", "--rm", "-it", remote.image, "sh"], env=far.environment, timeout=30, dimensions=(31, 93), encoding="utf-8")
    shell.expect("/ # ")
    wait_until(lambda: has_size(shell, "31 93"), "the size arrives")
    shell.sendline("exit 5")
    shell.expect(pexpect.EOF)
    shell.close()
    assert shell.exitstatus == 5
    (tmp_path / "file").write_text("carried\n")
    far("cp", str(tmp_path / "file"), "far:/file").ok()
    far("cp", "far:/file", str(tmp_path / "back")).ok()
    assert (tmp_path / "back").read_text() == "carried\n"


def test_who_has_no_certificate_of_the_authority_is_not_served(far, remote, tmp_path):
    other = Authority(str(tmp_path / "other")).vouch("stranger")
    shutil.copy(f"{remote.certificates}/ca.pem", f"{other}/ca.pem")
    for certificates in (other, None):
        words = ["--tlsverify", "--tlscacert", f"{remote.certificates}/ca.pem"] if certificates is None else []
        environment = {"DOCKER_CERT_PATH": certificates or str(tmp_path), "DOCKER_TLS_VERIFY": "1"}
        refused = far(*words, "ps", env=environment)
        assert refused.code == 1 and refused.out == "" and refused.err.count("\n") <= 2, refused
    # Without TLS at all.
    with socket.create_connection(("127.0.0.1", remote.port), timeout=20) as plain:
        plain.sendall(b"GET /_ping HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"OK" not in plain.recv(1000)


def test_a_daemon_that_is_not_whom_it_should_be_is_told_nothing(remote, workspace, tmp_path):
    client = Client("apus", CLIENTS["apus"], remote.url, workspace)
    other = Authority(str(tmp_path / "other")).vouch("client")
    refused = client("ps", env={"DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": other})
    assert refused.code == 1 and "is not secure: the peer's certificate: " in refused.err
    # By a name that its certificate does not have.
    with open("/etc/hosts", encoding="utf-8") as file:
        assert "127.0.0.1" in file.read()
    named = client("-H", remote.url.replace("127.0.0.1", "127.0.0.2"), "ps", env={"DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": remote.certificates})
    assert named.code == 1
    # What is asked for without proof is served without proof: docker's --tls.
    lax = client("--tls", "--tlscacert", "", "ps", "-q", env={"DOCKER_CERT_PATH": f"{other}/../none", "DOCKER_TLS_VERIFY": ""})
    # The daemon's reason may be lost with the connection.
    assert lax.code == 1 and re.search("certificate|closed the connection|reset", lax.err), lax


@pytest.mark.parametrize("flag", ["--tls", "--tlsverify", "--tlsverify=false", ""])
@pytest.mark.parametrize("place", ["unix:///nosuch.sock", "tcp://127.0.0.1:1", ""])
def test_TLS_without_the_files_that_it_needs_is_refused_wherever_the_daemon_is(client_alone, tmp_path, flag, place):
    client, words = client_alone, ["-H", place] if place else []
    environment = {"DOCKER_CERT_PATH": str(tmp_path), "DOCKER_TLS_VERIFY": "" if flag else "1", "DOCKER_HOST": "", "APUS_HOST": ""}

    def says(*more):
        said = client(*([flag] if flag else []), *more, *words, "ps", env=environment)
        assert said.code == 1 and said.out == "", said
        return said.err.removeprefix("Failed to initialize: ")

    missing = "unable to resolve docker endpoint: open {}: no such file or directory\n"
    assert says() == missing.format(tmp_path / "ca.pem")
    assert says("--tlscacert", "/nosuch/ca") == missing.format("/nosuch/ca")
    (tmp_path / "ca.pem").write_text("")
    assert says("--tlscert", "/nosuch/cert") == missing.format("/nosuch/cert")
    assert says("--tlskey", "/nosuch/key") == missing.format("/nosuch/key")


# The command line of 20.10 ends with a trace of its stack here.
@pytest.mark.parametrize("name", sorted(name for name in CLIENTS if not name.startswith("docker-20")))
def test_TLS_without_a_place_means_a_port_of_this_machine(workspace, name):
    client = Client(name, CLIENTS[name], "", workspace)
    said = client("--tls", "--tlscacert", "", "ps", env={"DOCKER_CERT_PATH": "/nosuch", "DOCKER_HOST": "", "APUS_HOST": ""})
    assert said.code == 1 and "tcp://localhost:2376" in said.err, said


def test_a_connection_without_a_handshake_costs_the_others_nothing(far, remote):
    idle = [socket.create_connection(("127.0.0.1", remote.port)) for _ in range(50)]
    noisy = socket.create_connection(("127.0.0.1", remote.port))
    noisy.sendall(os.urandom(20_000))
    assert far("ps", "-q").ok() == ""
    for connection in [*idle, noisy]:
        connection.close()
    descriptors = f"/proc/{remote.process.pid}/fd"
    wait_until(lambda: len(os.listdir(descriptors)) < 45, "the connections are closed", seconds=30)


def test_renewed_certificates_serve_the_next_connection(remote, workspace):
    client = Client("apus", CLIENTS["apus"], remote.url, workspace)
    client.environment.update(DOCKER_TLS_VERIFY="1", DOCKER_CERT_PATH=remote.certificates)

    def serial():
        context = ssl.create_default_context(cafile=f"{remote.certificates}/ca.pem")
        context.load_cert_chain(f"{remote.certificates}/cert.pem", f"{remote.certificates}/key.pem")
        with socket.create_connection(("127.0.0.1", remote.port), timeout=20) as plain, context.wrap_socket(plain, server_hostname="localhost") as secure:
            return secure.getpeercert()["serialNumber"]

    before = serial()
    place, renewed = f"{remote.authority.folder}/server", remote.authority.vouch(f"renewed{time.monotonic_ns()}")
    for name in ("cert.pem", "key.pem"):
        shutil.copy(f"{renewed}/{name}", f"{place}/{name}")
    remote.process.send_signal(1)
    wait_until(lambda: serial() != before, "the new certificate is shown", seconds=20)
    assert client("ps", "-q").ok() == ""


# Who is not let in


def apusd(folder, *flags):
    return subprocess.run([f"{BUILD}/apusd", "--data-root", f"{folder}/d", "--exec-root", f"{folder}/r", "--config", "", *flags],
                          capture_output=True, text=True, timeout=20, check=False)


def test_attack_F03_tcp_without_proof_of_the_client_is_refused_at_the_start(tmp_path):
    said = apusd(tmp_path, "--host", "tcp://127.0.0.1:1")
    assert said.returncode == 1 and "tcp://127.0.0.1:1 is not served without TLS: whoever reaches it would be root here" in said.stderr
    said = apusd(tmp_path, "--host", "tcp://127.0.0.1:1", "--tls", "--tlscert", "/x", "--tlskey", "/y")
    assert said.returncode == 1 and "is not served without --tlsverify" in said.stderr
    for flags, reason in ((["--tlsverify"], "--tls needs --tlscert and --tlskey"),
                          (["--tlsverify", "--tlscert", "/x", "--tlskey", "/y"], "--tlsverify needs --tlscacert"),
                          (["--tlsverify", "--tlscacert", "/none", "--tlscert", "/x", "--tlskey", "/y"], "TLS of tcp://: /none: ")):
        said = apusd(tmp_path, "--host", "tcp://127.0.0.1:1", *flags)
        assert said.returncode == 1 and reason in said.stderr, said.stderr
    assert not os.path.exists(tmp_path / "r" / "apus.sock")


@pytest.fixture(scope="module")
def open_daemon(workspace):
    """A daemon that is served by tcp:// to anyone, as somebody said it shall be."""
    folder = os.path.join(workspace, "open")
    os.makedirs(folder)
    made = Daemon(folder)
    made.port = free_port()
    made.start("--host", f"tcp://127.0.0.1:{made.port}", "--insecure-tcp", "--bridge", "none")
    yield made
    assert made.stop() == 0


def ask(daemon, request):
    """The status line that raw bytes are answered with; empty for none."""
    with socket.create_connection(("127.0.0.1", daemon.port), timeout=20) as plain, contextlib.suppress(ConnectionError):
        plain.sendall(request)
        return plain.recv(4096).split(b"\r\n")[0].decode()
    # It has hung up without a word, on what it has not read.
    return ""


def test_attack_F04_a_web_page_reaches_nothing(open_daemon):
    def head(*lines, method="GET"):
        return ask(open_daemon, "\r\n".join([f"{method} /v1.41/containers/json HTTP/1.1", *lines, "", ""]).encode())

    assert "200" in head(f"Host: 127.0.0.1:{open_daemon.port}") and "200" in head("Host: localhost") and "200" in head("Host: [::1]:2375")
    assert "200" in head(f"Host: {socket.gethostname()}")
    for host in ("evil.example", "evil.example:2375", "127.0.0.1.evil.example", "localhost.evil.example"):
        assert "403" in head(f"Host: {host}"), host
    assert "403" in head("Host: localhost", "Origin: http://evil.example") and "403" in head("Host: localhost", "Origin: null")
    assert "400" in head()
    answer = ask(open_daemon, b"OPTIONS /containers/json HTTP/1.1\r\nHost: localhost\r\nOrigin: http://x\r\n\r\n")
    assert "403" in answer or "404" in answer


def test_attack_F02_requests_within_requests_and_endless_heads_are_refused(open_daemon):
    smuggled = b"GET /_ping HTTP/1.1\r\nHost: localhost\r\n\r\n"
    both = b"POST /containers/prune HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    assert "400" in ask(open_daemon, both + smuggled)
    assert "400" in ask(open_daemon, b"GET /_ping HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nabcde")
    assert ask(open_daemon, b"GET /_ping HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 300_000 + b"\r\n\r\n").split()[1:2] in ([], ["431"])
    assert ask(open_daemon, b"GET /_ping HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 5000 + b"\r\n").split()[1:2] in ([], ["431"])
    trailers = b"POST /containers/prune HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + b"X: y\r\n" * 50_000
    assert ask(open_daemon, trailers).split()[1:2] in ([], ["400"], ["431"])
    # HTTP/2 with prior knowledge is not spoken, so neither are its floods.
    assert "400" in ask(open_daemon, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n") or ask(open_daemon, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n") == ""
    assert ask(open_daemon, smuggled).endswith("200 OK")


def test_attack_F02_ten_thousand_idle_connections_cost_no_more_than_a_thousand(open_daemon):
    """Beyond the limit the daemon closes; what it holds of the others is bounded."""
    def resident():
        with open(f"/proc/{open_daemon.process.pid}/smaps_rollup", encoding="utf-8") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("Pss:"))

    def come(count):
        for _ in range(count):
            connection = socket.create_connection(("127.0.0.1", open_daemon.port), timeout=20)
            held.append(connection)
            # One that is closed at once may be gone before it says anything.
            with contextlib.suppress(ConnectionError):
                connection.sendall(b"GET /_ping HTTP/1.1\r\nHost: localhost\r\n")
            connection.setblocking(False)

    def is_closed(connection):
        try:
            return connection.recv(1) == b""
        except BlockingIOError:
            return False
        except ConnectionError:
            return True

    def closed():
        return sum(map(is_closed, held))

    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(12_000, limits[0]), max(12_000, limits[1])))
    before, held, served = resident(), [], 1024
    try:
        come(1500)
        wait_until(lambda: closed() >= 1500 - served, "those beyond the limit are closed", seconds=30)
        # A few may still be there of other tests.
        assert closed() <= 1400
        with_a_thousand = resident()
        come(8500)
        wait_until(lambda: closed() >= 10_000 - served, "those beyond the limit are closed", seconds=60)
        assert closed() <= 9_900
        assert with_a_thousand < before + 60_000 and resident() < with_a_thousand + 10_000
        assert api(open_daemon, "GET", "/_ping") == (200, "OK"), "who takes all that the port has keeps nobody from the socket"
    finally:
        for connection in held:
            connection.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)

    def is_served():
        try:
            return ask(open_daemon, b"GET /_ping HTTP/1.1\r\nHost: localhost\r\n\r\n").endswith("200 OK")
        except ConnectionError:
            return False

    wait_until(is_served, "others are served", seconds=30)


def test_a_client_that_is_gone_without_a_word_is_found_out(open_daemon):
    with socket.create_connection(("127.0.0.1", open_daemon.port), timeout=20) as client:
        client.sendall(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert client.recv(4096).startswith(b"HTTP/1.1 200 ")
        ours = f"( sport = :{open_daemon.port} and dport = :{client.getsockname()[1]} )"
        assert "timer:(keepalive" in subprocess.run(["ss", "-tnoH", "state", "established", ours], capture_output=True, text=True, check=True).stdout


def test_attack_F01_a_body_is_read_whole_or_refused(own_daemon):
    """There are no plugins that decide by a part of a body: what is not read whole is not acted on."""
    large = json.dumps({"Image": "x", "Labels": {"a": "b" * (5 << 20)}})
    assert api(own_daemon, "POST", "/containers/create", large)[0] == 413
    connection = Connection(own_daemon.socket)
    body = json.dumps({"Image": "no-such-image", "HostConfig": {"Privileged": True}}).encode()
    connection.putrequest("POST", "/containers/create")
    connection.putheader("Content-Type", "application/json")
    connection.putheader("Content-Length", "0")
    connection.endheaders(body)
    answer = connection.getresponse()
    assert answer.status == 400 and b"EOF" in answer.read()
    connection.close()
    connection = Connection(own_daemon.socket)
    connection.request("POST", "/containers/create", iter([body[:10], body[10:]]), {"Content-Type": "application/json"}, encode_chunked=True)
    answer = connection.getresponse()
    assert answer.status == 404 and b"no-such-image" in answer.read()
    connection.close()
    said = subprocess.run([f"{BUILD}/apusd", "--authorization-plugin", "x"], capture_output=True, text=True, timeout=20, check=False)
    assert said.returncode == 1 and "unknown flag: --authorization-plugin" in said.stderr


# ssh


@pytest.fixture(scope="module")
def secure_shell(workspace):
    """A real sshd of the test's own, in front of which `apus` and docker are on PATH."""
    folder = os.path.join(workspace, "sshd")
    os.makedirs(f"{folder}/bin")
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", f"{folder}/{name}"], check=True)
    port = free_port()
    os.symlink(CLIENTS["apus"], f"{folder}/bin/apus")
    shutil.copy(f"{folder}/user.pub", f"{folder}/authorized")
    with open(f"{folder}/sshd_config", "w", encoding="utf-8") as file:
        file.write(f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nAuthorizedKeysFile {folder}/authorized\nStrictModes no\nUsePAM no\n"
                   f"PermitRootLogin yes\nPasswordAuthentication no\nPidFile none\nSetEnv PATH={folder}/bin:{os.environ['PATH']}\n")
    with open(f"{folder}/ssh", "w", encoding="utf-8") as file:
        # ssh reads no home but the user's: its settings come by a program of that name that is found first.
        file.write(f'#!/bin/sh\nexec /usr/bin/ssh -F none -i {folder}/user -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile={folder}/known '
                   '-o LogLevel=ERROR "$@"\n')
    os.chmod(f"{folder}/ssh", 0o755)
    os.makedirs("/run/sshd", exist_ok=True)
    with open(f"{folder}/log", "wb") as log:
        server = subprocess.Popen(["/usr/sbin/sshd", "-D", "-e", "-f", f"{folder}/sshd_config"], stdout=log, stderr=log)
    wait_until(lambda: socket.socket().connect_ex(("127.0.0.1", port)) == 0, "sshd listens")
    yield port, folder
    stop(server)


# The command line of 20.10 knows no socket by its path on the other machine.
@pytest.mark.parametrize("name", sorted(name for name in CLIENTS if not name.startswith("docker-20")))
@pytest.mark.skipif(not os.path.exists("/usr/sbin/sshd"), reason="openssh-server is not installed")
def test_feature_A02_ssh_leads_to_a_daemon_on_another_machine(own_daemon, image, secure_shell, workspace, tmp_path, name):
    port, folder = secure_shell
    client = Client(name, CLIENTS[name], f"ssh://root@127.0.0.1:{port}{own_daemon.socket}", workspace)
    client.environment["PATH"] = f"{folder}:{os.environ['PATH']}"
    assert client("run", "--rm", "-i", image, "cat", stdin="through ssh\n").ok() == "through ssh\n"
    assert client("run", "--rm", image, "sh", "-c", "exit 3").code == 3
    client("create", "--name", "far", image).ok()
    (tmp_path / "file").write_text("carried\n")
    client("cp", str(tmp_path / "file"), "far:/file").ok()
    assert b"carried" in client("cp", "far:/file", "-").raw
    lost = client("-H", f"ssh://root@127.0.0.1:{port}{tmp_path}/none.sock", "ps")
    assert lost.code == 1 and f"Cannot connect to the {'apus' if name == 'apus' else 'Docker'} daemon" in lost.err
    for url in ("ssh://-oProxyCommand=touch%20x", "ssh://-l@host", "ssh://user:word@host", "ssh://"):
        refused = client("-H", url, "ps")
        assert refused.code == 1 and not refused.out and ("unable to parse docker host" in refused.err or name != "apus"), refused
    wait_until(lambda: not leaks.processes("dial-stdio"), "nothing is left on the other side")


@pytest.mark.parametrize("reads", ["", "head -n 1 >/dev/null; "], ids=["at-once", "after-the-request"])
def test_what_ssh_says_of_its_failure_is_told_with_the_place_and_nothing_of_sockets(workspace, tmp_path, reads):
    (tmp_path / "ssh").write_text(f"#!/bin/sh\n{reads}echo 'ssh: connect to host far port 22: Connection refused' >&2\nexit 255\n")
    (tmp_path / "ssh").chmod(0o755)
    client = Client("apus", CLIENTS["apus"], "ssh://far", workspace)
    client.environment["PATH"] = f"{tmp_path}:{os.environ['PATH']}"
    for words, code in ((["ps"], 1), (["run", "image", "true"], 125)):
        lost = client(*words)
        # `run` adds where help is.
        said = [line.removeprefix("apus: ") for line in lost.err.splitlines()[:2]]
        assert (lost.code, said) == (code, [
            "ssh: connect to host far port 22: Connection refused", "error during connect: ssh://far: ssh has ended before the daemon answered"])
        assert "errno" not in lost.err and "broke off" not in lost.err


# Contexts


@pytest.fixture
def contexts(workspace, tmp_path):
    made = Client("apus", CLIENTS["apus"], "", workspace)
    del made.environment["DOCKER_HOST"]
    made.environment["DOCKER_CONFIG"] = str(tmp_path / "config")
    return made


def test_feature_A02_a_context_is_a_daemon_by_name_with_its_certificates(remote, contexts, tmp_path):
    place = shutil.copytree(remote.certificates, tmp_path / "copy")
    words = f"host={remote.url},ca={place}/ca.pem,cert={place}/cert.pem,key={place}/key.pem"
    made = contexts("context", "create", "far", "--description", "over there", "--docker", words)
    assert made.ok() == "far\n" and made.err == 'Successfully created context "far"\n'
    shutil.rmtree(place)
    assert contexts("-c", "far", "ps", "-q").ok() == "" and contexts("ps", env={"DOCKER_CONTEXT": "far"}).code == 0
    assert contexts("context", "show").line() == "default"
    assert contexts("context", "use", "far").ok() == "far\n"
    assert contexts("context", "show").line() == "far" and contexts("version", "-f", "{{.Server.Version}}").line()
    listed = contexts("context", "ls").ok().splitlines()
    assert listed[0].split() == ["NAME", "DESCRIPTION", "DOCKER", "ENDPOINT", "ERROR"]
    assert listed[2].split() == ["far", "*", "over", "there", remote.url]
    assert contexts("context", "ls", "-q").ok() == "default\nfar\n"
    found = json.loads(contexts("context", "inspect", "far").ok())[0]
    assert found["Endpoints"]["docker"] == {"Host": remote.url, "SkipTLSVerify": False} and found["TLSMaterial"]["docker"] == ["ca.pem", "cert.pem", "key.pem"]
    assert os.stat(f"{found['Storage']['TLSPath']}/docker/key.pem").st_mode & 0o777 == 0o600
    # docker's own command line knows it, too.
    for name, path in CLIENTS.items():
        docker = Client(name, path, "", contexts.environment["HOME"])
        docker.environment = {**contexts.environment}
        assert docker("ps", "-q").ok() == "" and docker("context", "show" if name != "docker-20.10" else "ls").code == 0
    in_use = contexts("context", "rm", "far")
    assert in_use.code == 1 and "is in use, set -f flag to force remove" in in_use.err
    contexts("context", "update", "far", "--description", "still there").ok()
    assert contexts("context", "inspect", "-f", "{{.Metadata.Description}}", "far").line() == "still there"
    contexts("context", "create", "copy", "--from", "far").ok()
    assert contexts("-c", "copy", "ps", "-q").ok() == ""
    assert contexts("context", "rm", "-f", "far", "copy").ok() == "far\ncopy\n"
    assert contexts("context", "show").line() == "default" and os.listdir(tmp_path / "config" / "contexts" / "tls") == []


def test_contexts_go_from_machine_to_machine_as_dockers_do(remote, contexts, tmp_path):
    place, file = remote.certificates, tmp_path / "far.dockercontext"
    words = f"host={remote.url},ca={place}/ca.pem,cert={place}/cert.pem,key={place}/key.pem"
    contexts("context", "create", "far", "--description", "over there", "--docker", words).ok()
    assert contexts("context", "export", "far", str(file)).err == f'Written file "{file}"\n' and file.stat().st_mode & 0o777 == 0o600
    with tarfile.open(file) as archive:
        assert sorted(archive.getnames()) == ["meta.json", "tls", "tls/docker", "tls/docker/ca.pem", "tls/docker/cert.pem", "tls/docker/key.pem"]
    imported = contexts("context", "import", "near", str(file))
    assert imported.ok() == "near\n" and imported.err == 'Successfully imported context "near"\n'
    assert contexts("-c", "near", "ps", "-q").ok() == ""
    before = file.read_bytes()
    again = contexts("context", "export", "near", str(file))
    assert again.code == 1 and again.err == f"open {file}: file exists\n" and file.read_bytes() == before
    assert contexts("context", "inspect", "-f", "{{.Metadata.Description}}", "near").line() == "over there"
    # What docker writes is read here, and the other way round.
    for name, path in CLIENTS.items():
        docker = Client(name, path, "", contexts.environment["HOME"])
        docker.environment = {**contexts.environment}
        docker("context", "export", "far", str(tmp_path / name)).ok()
        assert contexts("context", "import", "theirs", str(tmp_path / name)).ok() and contexts("-c", "theirs", "ps", "-q").ok() == ""
        assert docker("context", "import", "ours", str(file)).ok() and docker("--context", "ours", "ps", "-q").ok() == ""
        contexts("context", "rm", "theirs", "ours").ok()
    assert contexts("context", "import", "again", "-", stdin=contexts("context", "export", "far", "-").raw).ok() == "again\n"
    assert contexts("context", "export", "default", "-").raw
    # What lay in the folder for temporary files meanwhile is gone, and lay nowhere else.
    passing = tmp_path / "passing"
    passing.mkdir()
    exported = contexts("context", "export", "far", "-", env={"TMPDIR": str(passing)}).raw
    assert len(exported) == file.stat().st_size and os.listdir(passing) == []
    assert not [name for name in os.listdir(tmp_path) + os.listdir("/") if "apus-context" in name]
    contexts("context", "rm", "-f", "far", "near", "again").ok()


def test_what_is_no_context_is_not_imported(contexts, tmp_path):
    def archive(name, **members):
        with tarfile.open(tmp_path / name, "w") as file:
            for member, text in members.items():
                data = text.encode()
                entry = tarfile.TarInfo(member.replace("_", "/"))
                entry.size = len(data)
                file.addfile(entry, io.BytesIO(data))
        return str(tmp_path / name)

    meta = '{"Name":"x","Metadata":{},"Endpoints":{"docker":{"Host":"unix:///x"}}}'
    (tmp_path / "zip").write_bytes(b"PK\x03\x04rest")
    (tmp_path / "huge").write_bytes(bytes(11 << 20))
    for path, reason in {
        archive("empty"): "no metadata found", archive("broken", **{"meta.json": "{"}): "meta.json",
        archive("more", **{"meta.json": meta, "other": ""}): '"other": unexpected context file',
        archive("up", **{"meta.json": meta, "tls_.._.._evil": ""}): "invalid context", str(tmp_path / "zip"): "a zip archive is not read",
        str(tmp_path / "huge"): "is larger than 10", str(tmp_path / "none"): "no such file",
    }.items():
        refused = contexts("context", "import", "bad", path)
        assert refused.code == 1 and reason in refused.err, (path, refused)
    assert contexts("context", "ls", "-q").ok() == "default\n"
    assert contexts("context", "export", "none").code == 1 and contexts("context", "import", "a/b", "-").code == 1


def test_contexts_that_cannot_be_are_refused_in_dockers_words(contexts, own_daemon):
    for words, reason in {
        "context create default": '"default" is a reserved context name', "context create a/b": "is invalid, names are validated against regexp",
        "context create xy --docker host=ftp://y": "unable to parse docker host",
        "context create xy --docker host=foo:1": "unable to parse docker host `foo:1`", "context create xy --docker hots=y": "unrecognized config key: hots",
        "context use none": 'context "none": context not found', "context inspect none": 'context "none": context not found',
        "-c none ps": 'context "none": context not found', "context rm none": 'context "none" not found',
        f"-c x -H {own_daemon.host} ps": "conflicting options: cannot specify both --host and --context", "context update none": "context not found",
    }.items():
        refused = contexts(*words.split())
        assert refused.code == 1 and reason in refused.err, (words, refused)
    contexts("context", "create", "near", "--docker", f"host={own_daemon.host}").ok()
    assert contexts("context", "create", "near").err == 'context "near" already exists\n'
    used = contexts("context", "use", "near", env={"DOCKER_HOST": own_daemon.host})
    assert "DOCKER_HOST environment variable overrides the active context" in used.err
    # A variable that names a daemon comes first.
    assert contexts("ps", "-q", env={"DOCKER_HOST": "unix:///none"}).code == 1 and contexts("ps", "-q").code == 0
    with open(os.path.join(contexts.environment["DOCKER_CONFIG"], "config.json"), encoding="utf-8") as file:
        assert json.load(file)["currentContext"] == "near"
