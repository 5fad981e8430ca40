"""Images made of a tar that lies at an address: the daemon fetches it, from where its caller says and no further."""
# Rows: attacks

import gzip
import json
import os
import socket
import ssl
import subprocess

import oci_images
import pytest
from conftest import CLIENTS, Client, entries
from engine_http import Connection, api, stream
from oci_images import busybox_layer, files, tar
from processes import wait_until
from test_registry_attacks import alone, certificate, serve  # noqa: F401 (fixtures)

NAME = "fetched:v1"


@pytest.fixture
def tidy(cli):
    yield cli
    cli("rmi", "-f", NAME)


def serving(serve, data, path="/root.tar"):
    """A server of one file. Returns it, and where the file lies."""
    server = serve(answer=lambda handler: handler.path.split("?")[0] == path and (handler.reply(200, data) or True))
    return server, f"http://{server.host}{path}"


def test_import_from_an_address_makes_the_image_of_what_lies_there(tidy, serve):
    root = busybox_layer()
    server, address = serving(serve, gzip.compress(root))
    said = tidy("import", "-c", 'CMD ["echo", "fetched"]', f"{address}?key=canary", NAME).ok().splitlines()
    assert said == [f"Downloading from {address}", tidy.inspect(NAME, "{{.Id}}")]
    assert tidy("run", "--rm", NAME).ok() == "fetched\n"
    document = json.loads(tidy("inspect", NAME).ok())[0]
    assert document["RootFS"]["Layers"] == [oci_images.digest_of(root)] and document["Comment"] == f"Imported from {address}"
    assert [(method, path) for method, path, _ in server.asked] == [("GET", "/root.tar?key=canary")]
    assert "canary" not in json.dumps(document) + tidy("history", "--no-trunc", NAME).ok()


def test_an_address_without_a_scheme_is_of_http_and_progress_is_told(daemon, apus, serve):
    data = tar(files({"noise": os.urandom(3 << 20)}))
    _, address = serving(serve, data)
    connection = Connection(daemon.socket)
    connection.request("POST", f"/images/create?fromSrc={address.removeprefix('http://')}&repo=fetched&tag=v1")
    answer = connection.getresponse()
    lines = [json.loads(line) for line in answer.read().splitlines()]
    connection.close()
    assert answer.status == 200 and lines[0] == {"status": f"Downloading from {address}"}
    counts = [line["progressDetail"] for line in lines[1:-1]]
    assert {line["status"] for line in lines[1:-1]} == {"Importing"} and counts[-1] == {"current": len(data), "total": len(data)}
    assert lines[-1]["status"] == apus.inspect(NAME, "{{.Id}}")
    apus("rmi", NAME).ok()


def test_what_cannot_be_fetched_is_an_error_and_no_image(tidy, daemon, own_daemon, serve):
    blobs = entries(f"{own_daemon.data}/content/blobs/sha256")
    server = serve(answer=lambda handler: handler.path == "/cut" and bool(cut(handler)))
    _, address = serving(serve, b"no tar at all" * 100)
    closed = socket.create_server(("127.0.0.1", 0))
    port = closed.getsockname()[1]
    closed.close()
    for source, words in ((f"http://{server.host}/none", f"failed to GET http://{server.host}/none with status 404"),
                          (f"http://127.0.0.1:{port}/x", "connection refused"), (f"http://{server.host}/cut", "Get \"http"),
                          (address, "failed to register layer")):
        refused = tidy("import", source, NAME)
        assert refused.code == 1 and words.lower() in refused.err.lower() and tidy("inspect", NAME).code == 1, (source, refused)
    assert api(daemon, "POST", f"/images/create?fromSrc=http://{server.host}/none")[0] == 404
    for source in ("file:///etc/passwd", "ftp://127.0.0.1/x", "http://ann:canary@127.0.0.1/x", "http://", "gopher://127.0.0.1/x"):
        status, said = api(daemon, "POST", f"/images/create?fromSrc={source}")
        assert status == 400 and "canary" not in str(said) and "root:" not in str(said), (source, said)
    assert entries(f"{own_daemon.data}/content/ingests") == [] and entries(f"{own_daemon.data}/content/blobs/sha256") == blobs
    assert "canary" not in own_daemon.log()


def cut(handler):
    """Half of what is announced."""
    handler.send_response(200)
    handler.send_header("Content-Length", "100000")
    handler.end_headers()
    handler.wfile.write(b"x" * 50_000)
    handler.wfile.flush()
    handler.close_connection = True
    return True


def test_E03_an_import_follows_redirects_but_not_to_where_only_this_machine_may_ask(apus, serve):
    _, address = serving(serve, busybox_layer())
    server = serve(answer=lambda handler: handler.reply(302, headers={"Location": target if handler.path == "/" else "/"}) or True)
    target = address
    apus("import", f"http://{server.host}/first", NAME).ok()
    assert [path for _, path, _ in server.asked] == ["/first", "/"]
    assert apus("run", "--rm", NAME, "echo", "in").ok() == "in\n"
    apus("rmi", NAME).ok()
    subprocess.run(["ip", "addr", "add", "169.254.169.254/32", "dev", "lo"], check=True)
    listener = socket.create_server(("169.254.169.254", 0))
    listener.settimeout(0.1)
    try:
        for target in ("file:///etc/passwd", "/", f"http://169.254.169.254:{listener.getsockname()[1]}/latest",
                       f"http://[::ffff:a9fe:a9fe]:{listener.getsockname()[1]}/latest"):
            refused = apus("import", f"http://{server.host}/", NAME)
            assert refused.code == 1 and apus("inspect", NAME).code == 1, (target, refused)
            with pytest.raises(TimeoutError):
                listener.accept()
    finally:
        listener.close()
        subprocess.run(["ip", "addr", "del", "169.254.169.254/32", "dev", "lo"], check=True)


def test_E08_an_import_over_tls_needs_a_server_that_proves_itself_and_never_falls_back(alone, serve, tmp_path):
    crt, key = certificate(tmp_path, "IP:127.0.0.1", False)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(crt, key)
    plain, address = serving(serve, busybox_layer())
    script = lambda handler: (handler.reply(302, headers={"Location": address}) if handler.path == "/plain" else handler.reply(200, busybox_layer())) or True
    server = serve(answer=script, tls=context)
    certs = tmp_path / "certs.d"
    cli = Client("apus", CLIENTS["apus"], alone.host, str(tmp_path / "client"))
    for is_trusted in (False, True):
        if is_trusted:
            (certs / server.host).mkdir(parents=True)
            (certs / server.host / "ca.crt").write_bytes(open(crt, "rb").read())
        alone.start("--registry-certs", str(certs), "--insecure-registry", server.host)
        fetched = cli("import", f"https://{server.host}/root.tar", NAME)
        assert (fetched.code == 0) == is_trusted and (is_trusted or "tls" in fetched.err), fetched
        if is_trusted:
            refused = cli("import", f"https://{server.host}/plain", NAME)
            assert refused.code == 1 and "redirected from https to" in refused.err and plain.asked == [], refused
        assert alone.stop() == 0, alone.log()


def test_D09_an_import_from_an_address_is_held_to_the_limits_and_ends_with_its_caller(alone, serve, tmp_path):
    def script(handler):
        handler.send_response(200)
        if handler.path == "/announced":
            handler.send_header("Content-Length", str(1 << 50))
        else:
            handler.send_header("Connection", "close")
        handler.end_headers()
        sent = 0
        while handler.path != "/slow" or sent < 65536:
            handler.wfile.write(bytes(65536))
            sent += 65536
        handler.wfile.flush()
        ended.append(handler.connection.recv(1))
        return True

    ended = []
    server = serve(answer=script)
    alone.start("--layer-limit", "size=2000000")
    cli = Client("apus", CLIENTS["apus"], alone.host, str(tmp_path / "client"))
    for path, words in (("announced", "must stay free"), ("endless", "more than 2000000 bytes")):
        refused = cli("import", f"http://{server.host}/{path}", NAME)
        assert refused.code == 1 and words in refused.err and entries(f"{alone.data}/content/ingests") == [], refused
    with stream(alone.socket) as caller:
        caller.sendall(f"POST /images/create?fromSrc=http://{server.host}/slow HTTP/1.1\r\nHost: d\r\nContent-Length: 0\r\n\r\n".encode())
        wait_until(lambda: entries(f"{alone.data}/content/ingests"), "it has begun")
    wait_until(lambda: ended == [b""] and entries(f"{alone.data}/content/ingests") == [], "it has ended with its caller")
    assert cli("images", "-q").ok() == ""


# What instructions make of a configuration, and what they are refused for, as docker has it: seen with dockerd 20.10 by `--host`.
CHANGES = {
    "a backslash in double quotes": ([r'LABEL a="x\ny" b="\"\$\\" c=x\ny'], {"Labels": {"a": r"x\ny", "b": "\"$\\", "c": "xny"}}),
    "quotes of old": (['ENV A "b c"', 'LABEL a b "c"', "LABEL d 'e f' g"], {"Env": ["A=b c"], "Labels": {"a": "b c", "d": "e f g"}}),
    "a variable of old": (["ENV A b  c", "LABEL a $A  d"], {"Env": ["A=b  c"], "Labels": {"a": "b  c  d"}}),
    "a name in quotes": (['LABEL "a b"=c'], {"Labels": {"a b": "c"}}),
    "folders below one another": (["WORKDIR /a/../b/", "WORKDIR c"], {"WorkingDir": "/b/c"}),
    "an absolute folder": (["WORKDIR /a/../b/"], {"WorkingDir": "/a/../b/"}),
    "a folder with spaces": (["WORKDIR a b", "USER c d"], {"WorkingDir": "/a b", "User": "c d"}),
    "ports of a host": (["EXPOSE 8080:80 127.0.0.1:1:53/udp 127.0.0.1::82"], {"ExposedPorts": {"80/tcp": {}, "53/udp": {}, "82/tcp": {}}}),
    "several ports of a variable": (["ENV P=80\\ 81", "EXPOSE $P"], {"ExposedPorts": {"80/tcp": {}, "81/tcp": {}}}),
    "no list but a line": (['CMD ["a",'], {"Cmd": ["/bin/sh", "-c", '["a",']}),
    "volumes of a variable": (["ENV V=/v", 'VOLUME ["$V","/w"]', "VOLUME $V/x /y"], {"Volumes": {"/v": {}, "/w": {}, "/v/x": {}, "/y": {}}}),
}
REFUSED_CHANGES = {
    'CMD ["a",1]': "when using JSON array syntax, arrays must be comprised of strings only",
    'ENTRYPOINT ["a",null]': "when using JSON array syntax, arrays must be comprised of strings only",
    'VOLUME ["/a",["b"]]': "when using JSON array syntax, arrays must be comprised of strings only",
    'HEALTHCHECK CMD ["a",{}]': "when using JSON array syntax, arrays must be comprised of strings only",
    'VOLUME [""]': "VOLUME specified can not be an empty string",
    "HEALTHCHECK NONE x": "HEALTHCHECK NONE takes no arguments",
    "HEALTHCHECK CMD": "Missing command after HEALTHCHECK CMD",
    "EXPOSE 8080-8081:80-82": "nvalid ranges specified for container and host",
    "EXPOSE x:80": "nvalid hostPort",
    'LABEL a="b': "unexpected end of statement while looking for matching double-quote",
    "LABEL a='b": "unexpected end of statement while looking for matching single-quote",
    "LABEL =b": "LABEL names can not be blank",
    "LABEL a=${}": "bad substitution",
}


@pytest.mark.parametrize("kind", CHANGES)
def test_changes_are_read_as_docker_reads_a_dockerfile(tidy, kind):
    changes, expected = CHANGES[kind]
    tidy("import", *[word for change in changes for word in ("-c", change)], "-", NAME, stdin=tar(files({"some": "thing"}))).ok()
    found = json.loads(tidy("inspect", NAME).ok())[0]["Config"]
    assert {key: found.get(key) for key in expected} == expected


@pytest.mark.parametrize("change", REFUSED_CHANGES)
def test_changes_that_no_dockerfile_may_have_are_refused(tidy, change):
    refused = tidy("import", "-c", change, "-", NAME, stdin=tar(files({"some": "thing"})))
    assert refused.code == 1 and REFUSED_CHANGES[change] in refused.err, refused
    assert tidy("inspect", NAME).code == 1
