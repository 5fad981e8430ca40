"""What Apus does not serve is refused by its name, by every command line, and leaves nothing behind."""

import pytest
from engine_http import api

# By what is asked of `run`: a part of the answer that names it.
ASKED = [
    (["--network", "nosuch"], "network nosuch not found"),
    (["--runtime", "nosuch"], "unknown or invalid runtime name: nosuch"),
    (["--volume-driver", "nosuch", "-v", "driven:/x"], 'error looking up volume plugin nosuch: plugin "nosuch" not found'),
    (["--volume-driver", "nosuch", "-v", "/x"], 'error looking up volume plugin nosuch: plugin "nosuch" not found'),
    (["--log-driver", "fluentd"], "fluentd"),
    (["--log-driver", "awslogs"], "awslogs"),
    (["--log-driver", "syslog", "--log-opt", "syslog-address=tcp+tls://127.0.0.1:1"], "log opt syslog-address: tcp+tls is not supported yet"),
    *((["--log-driver", "syslog", "--log-opt", f"syslog-tls-{name}=x"], f"log opt syslog-tls-{name} is not supported yet")
      for name in ("ca-cert", "cert", "key", "skip-verify")),
    (["--security-opt", "writable-cgroups=true"], 'HostConfig.SecurityOpt "writable-cgroups" is not supported yet'),
    (["--isolation", "hyperv"], "isolation 'hyperv'"),
    (["--mount", "type=cluster,src=group,dst=/x"], 'HostConfig.Mounts of type "cluster" is not supported yet'),
    (["--mount", "type=npipe,src=x,dst=/x"], 'invalid mount config for type "npipe": mount type unknown'),
    (["--gpus", "all"], "gpu"),
]


@pytest.mark.parametrize("flags, named", ASKED, ids=lambda value: value if isinstance(value, str) else None)
def test_what_a_run_asks_for_that_is_not_served_is_refused_by_its_name(cli, image, own_daemon, flags, named):
    result = cli("run", *flags, image, "true")
    assert (result.code, result.out) == (125, "") and named in result.err, result
    # What is settled at the start leaves its container, as Docker's daemon does.
    assert cli("ps", "-q").ok() == "" and cli("volume", "ls", "-q").ok() == ""


# Verbs of docker's, with what names what is not there: in the daemon's words, or for `apus`, which has none of them, the verb's own.
VERBS = {
    "build -": "image builds are not implemented by this version of Apus", "plugin ls": "plugins are not implemented by this version of Apus",
    "secret ls": "secrets are not implemented by this version of Apus", "config ls": "configs are not implemented by this version of Apus",
    "swarm init": "swarms are not implemented by this version of Apus", "node ls": "swarm nodes are not implemented by this version of Apus",
    "service ls": "swarm services are not implemented by this version of Apus",
}


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_that_is_not_served_is_refused_by_its_name(cli, own_daemon, verb):
    result = cli(*verb.split(), stdin="FROM scratch\n")
    assert result.code == 1, result
    if cli.name == "apus":
        assert result.out == "" and f"apus {verb.split()[0]}" in result.err, result
    else:
        assert VERBS[verb] in result.err, result


REQUESTS = """
POST /build image builds
POST /build/cancel image builds
POST /session image builds
POST /grpc image builds
POST /containers/x/copy copies by POST
GET /containers/x/checkpoints checkpoints
POST /containers/x/checkpoints checkpoints
DELETE /containers/x/checkpoints/y checkpoints
GET /plugins plugins
POST /plugins/pull plugins
POST /swarm/init swarms
POST /swarm/join swarms
GET /swarm swarms
GET /nodes swarm nodes
GET /services swarm services
POST /services/create swarm services
GET /tasks swarm tasks
GET /secrets secrets
POST /secrets/create secrets
GET /configs configs
"""


def test_requests_that_are_not_served_are_answered_with_their_subject(own_daemon):
    for line in REQUESTS.strip().splitlines():
        method, path, subject = line.split(" ", 2)
        for version in ("", "/v1.24", "/v1.51"):
            status, answer = api(own_daemon, method, version + path)
            assert status == 501 and answer["message"].startswith(f"{subject} are not implemented by this version of Apus ({method} /"), (line, answer)
    assert api(own_daemon, "GET", "/_ping") == (200, "OK")


def test_links_of_an_endpoint_are_refused_where_there_are_no_names(own_daemon, image):
    """Docker's command line has the default network's links in another place, which is served."""
    request = {"Image": image, "NetworkingConfig": {"EndpointsConfig": {"bridge": {"Links": ["a:b"]}}}}
    assert api(own_daemon, "POST", "/containers/create", request, expect=400)[1] == {"message": "EndpointSettings.Links is not supported yet"}


@pytest.mark.parametrize("flags, named", [
    (["--driver", "overlay"], "overlay"), (["--driver", "nosuch"], 'plugin "nosuch" not found'), (["--ipam-driver", "nosuch"], "nosuch"),
    (["--scope", "swarm"], 'network scope "swarm"'), (["--ingress"], "Ingress network"),
])
def test_a_network_that_is_not_served_is_refused_by_its_name(cli, own_daemon, flags, named):
    before = cli("network", "ls", "-q").ok()
    result = cli("network", "create", *flags, "made")
    assert (result.code, result.out) == (1, "") and named in result.err, result
    assert cli("network", "ls", "-q").ok() == before
