"""Images as Docker's official ones are, made of Debian's packages, so that no registry of the internet is needed: scripts at the entrance that begin as root
and go on as somebody else, declared volumes and ports, signals to stop by, logs that are links to the output, checks of health.

Redis and Python are everywhere where the tests run; APUS_IMAGES=all adds nginx and PostgreSQL (packages nginx-light and postgresql-15)."""
# Rows: features

import functools
import gzip
import os
import re
import subprocess
import time

import pytest
from oci_images import Image, Pusher, busybox_layer, entry, files, of_packages, tar, tarfile
from processes import wait_until

PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
ENTRANCE = "usr/local/bin/docker-entrypoint.sh"
SECOND = 1_000_000_000
POSTGRES, POSTGRES_DATA = "/usr/lib/postgresql/15/bin", "/var/lib/postgresql/data"
PYTHON = os.path.basename(os.path.realpath("/usr/bin/python3"))

REDIS_ENTRANCE = """#!/bin/sh
set -e
case "$1" in -*) set -- redis-server "$@";; esac
if [ "$1" = redis-server ] && [ "$(id -u)" = 0 ]; then
    find . ! -user redis -exec chown redis {} +
    exec /usr/bin/setpriv --reuid=redis --regid=redis --clear-groups "$0" "$@"
fi
exec "$@"
"""

NGINX_ENTRANCE = """#!/bin/sh
set -e
for script in /docker-entrypoint.d/*.sh; do echo "$0: running $script"; "$script"; done
exec "$@"
"""

POSTGRES_ENTRANCE = """#!/bin/sh
set -e
case "$1" in -*) set -- postgres "$@";; esac
if [ "$1" = postgres ] && [ "$(id -u)" = 0 ]; then
    mkdir -p "$PGDATA" && chmod 700 "$PGDATA"
    find "$PGDATA" ! -user postgres -exec chown postgres {} +
    exec /usr/bin/setpriv --reuid=postgres --regid=postgres --clear-groups "$0" "$@"
fi
if [ "$1" = postgres ]; then
    if [ -s "$PGDATA/PG_VERSION" ]; then
        echo "Skipping initialization"
    else
        [ -n "$POSTGRES_PASSWORD" ] || { echo "Error: superuser password not specified" >&2; exit 1; }
        echo "$POSTGRES_PASSWORD" >/tmp/password
        initdb --username=postgres --pwfile=/tmp/password --auth=scram-sha-256 --auth-local=trust --locale=C --encoding=UTF8
        echo "host all all all scram-sha-256" >>"$PGDATA/pg_hba.conf"
        pg_ctl -w start -o "-c listen_addresses="
        for script in /docker-entrypoint-initdb.d/*.sql; do
            if [ -e "$script" ]; then psql -v ON_ERROR_STOP=1 -U postgres -f "$script"; fi
        done
        pg_ctl -w -m fast stop
    fi
fi
exec "$@"
"""


def folders(*paths):
    return tar([(entry(f"{path}/", tarfile.DIRTYPE, 0o755), None) for path in paths])


def official(name, numbers, packages, contents, config, places=(), also=(), links=()):
    """An image of some packages, with a user of its own, files and an entrance."""
    accounts = {"etc/passwd": f"root:x:0:0::/root:/bin/sh\n{name}:x:{numbers}:{numbers}::/:/bin/sh\n", "etc/group": f"root:x:0:\n{name}:x:{numbers}:\n"}
    links = [(entry(path, tarfile.SYMTYPE, 0o777, target), None) for path, target in links]
    layers = [busybox_layer(), of_packages(*packages, also=also), tar(files(accounts)), folders(*places), tar(files(contents) + links)]
    return Image(layers, config, compress=lambda data: gzip.compress(data, 1, mtime=0))


def redis():
    return official("redis", 999, ["redis-tools", "redis-server"], {ENTRANCE: REDIS_ENTRANCE}, {
        "Env": [PATH], "Entrypoint": ["docker-entrypoint.sh"], "Cmd": ["redis-server"], "WorkingDir": "/data", "Volumes": {"/data": {}},
        "ExposedPorts": {"6379/tcp": {}},
        "Healthcheck": {"Test": ["CMD-SHELL", "redis-cli ping | grep -q PONG"], "Interval": SECOND // 2, "Timeout": 20 * SECOND, "Retries": 20}},
        places=["data"], also=["/usr/bin/setpriv"])


def check_redis(cli, name, _):
    assert cli("run", "--rm", name, "redis-cli", "--version").ok().startswith("redis-cli 7")
    cli("run", "-d", "--name", "cache", name, "--appendonly", "yes").ok()
    wait_until(lambda: cli.inspect("cache", "{{.State.Health.Status}}") == "healthy", "the image's check finds it healthy", seconds=60)
    # What began as root went on as its user, and owns its volume.
    assert cli("exec", "cache", "stat", "-c", "%u", "/proc/1", "/data").ok().split() == ["999", "999"]
    assert cli("exec", "cache", "redis-cli", "set", "kept", "here").line() == "OK"
    assert cli.inspect("cache", '{{(index .Mounts 0).Type}} {{(index .Mounts 0).Destination}} {{len .Config.ExposedPorts}}') == "volume /data 1"
    cli("stop", "-t", "50", "cache").ok()
    assert cli.inspect("cache", "{{.State.ExitCode}}") == "0"
    cli("start", "cache").ok()
    wait_until(lambda: cli("exec", "cache", "redis-cli", "get", "kept").out.strip() == "here", "its volume has what was kept", seconds=60)
    cli("rm", "-fv", "cache").ok()


def python():
    version = PYTHON.removeprefix("python")
    packages = [PYTHON, f"{PYTHON}-minimal", f"lib{PYTHON}-minimal", f"lib{PYTHON}-stdlib"]
    return official("app", 1000, packages, {}, {
        "Env": ["PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8", f"PYTHON_VERSION={version}"], "Cmd": ["python3"]},
        links=[("usr/bin/python3", PYTHON), ("usr/bin/python", PYTHON)])


PYTHON_PROGRAM = """
import concurrent.futures, hashlib, json, multiprocessing, os, sqlite3, ssl, subprocess, sys, tempfile
with multiprocessing.Pool(2) as pool, concurrent.futures.ThreadPoolExecutor(4) as threads:
    squares = pool.map(abs, [-1, -2]) + list(threads.map(len, ["abc"]))
with tempfile.TemporaryDirectory() as folder, sqlite3.connect(folder + "/db") as base:
    base.execute("create table t (n)"), base.executemany("insert into t values (?)", [(n,) for n in squares])
    total = base.execute("select sum(n) from t").fetchone()[0]
said = subprocess.run(["echo", "ä"], capture_output=True, check=True).stdout.decode().strip()
version = os.environ["PYTHON_VERSION"]
print(json.dumps({"total": total, "said": said, "tls": ssl.OPENSSL_VERSION[:7], "version": version, "id": os.getuid(), "argument": sys.argv[1:]}))
"""


def check_python(cli, name, folder):
    version = PYTHON.removeprefix("python")
    assert cli("run", "--rm", name, "python", "--version").ok().startswith(f"Python {version}.")
    # Without a command it is what reads programs from its input.
    assert cli("run", "--rm", "-i", name, stdin="print(sum(range(10)))").ok() == "45\n"
    (folder / "app.py").write_text(PYTHON_PROGRAM, encoding="utf-8")
    mounted = ["-v", f"{folder}:/usr/src/app:ro", "-w", "/usr/src/app"]
    out = cli("run", "--rm", "-u", "app", *mounted, name, "python", "app.py", "one").ok()
    assert out == f'{{"total": 6, "said": "\\u00e4", "tls": "OpenSSL", "version": "{version}", "id": 1000, "argument": ["one"]}}\n'
    failed = cli("run", "--rm", name, "python", "-c", "import sys; sys.exit('no good')")
    assert (failed.code, failed.err.strip()) == (1, "no good")


def nginx():
    site = "server { listen 80; root /usr/share/nginx/html; }\n"
    return official("www-data", 33, ["nginx", "nginx-common"], {
        ENTRANCE: NGINX_ENTRANCE, "docker-entrypoint.d/10-hello.sh": '#!/bin/sh\necho "<p>of $GREETING</p>" >/usr/share/nginx/html/hello.html\n',
        "etc/nginx/conf.d/default.conf": site}, {
        "Env": [PATH, "GREETING=nobody"], "Entrypoint": ["/docker-entrypoint.sh"], "Cmd": ["nginx", "-g", "daemon off;"], "StopSignal": "SIGQUIT",
        "ExposedPorts": {"80/tcp": {}}},
        places=["run", "var/lib", "var/lib/nginx", "var/log", "var/log/nginx"],
        links=[("docker-entrypoint.sh", f"/{ENTRANCE}"), ("var/log/nginx/access.log", "/dev/stdout"), ("var/log/nginx/error.log", "/dev/stderr")])


def check_nginx(cli, name, _):
    cli("run", "-d", "--name", "web", "-P", "-e", "GREETING=Ann", name).ok()
    port = re.search(r":(\d+)$", cli("port", "web", "80").ok().splitlines()[0])[1]
    get = lambda path: subprocess.run(["curl", "-s", "-m", "5", "-w", " %{http_code}", f"127.0.0.1:{port}/{path}"], capture_output=True, text=True, check=False)
    wait_until(lambda: get("hello.html").stdout == "<p>of Ann</p>\n 200", "it serves", seconds=60)
    assert get("nowhere").stdout.endswith(" 404")
    # Its files of logs are links to its output; the workers are its user's.
    logs = cli("logs", "web")
    assert '"GET /hello.html HTTP/1.1" 200' in logs.ok() and '"GET /nowhere HTTP/1.1" 404' in logs.out
    assert "running /docker-entrypoint.d/10-hello.sh" in logs.out
    assert 'open() "/usr/share/nginx/html/nowhere" failed' in logs.err
    users = cli("exec", "web", "sh", "-c", "for p in /proc/[0-9]*; do [ $(cat $p/comm) = nginx ] && stat -c %u $p; done; true").ok().split()
    assert users[0] == "0" and set(users[1:]) == {"33"}
    cli("stop", "-t", "50", "web").ok()
    assert cli.inspect("web", "{{.State.ExitCode}} {{.Config.StopSignal}}") == "0 SIGQUIT"
    cli("rm", "-v", "web").ok()


def postgres():
    return official("postgres", 999, ["postgresql-15", "postgresql-client-15"], {ENTRANCE: POSTGRES_ENTRANCE}, {
        "Env": [PATH + f":{POSTGRES}", f"PGDATA={POSTGRES_DATA}", "LANG=C.UTF-8"], "Entrypoint": ["docker-entrypoint.sh"], "Cmd": ["postgres"],
        "StopSignal": "SIGINT", "Volumes": {POSTGRES_DATA: {}}, "ExposedPorts": {"5432/tcp": {}}},
        places=["var/lib", "var/lib/postgresql", POSTGRES_DATA[1:], "docker-entrypoint-initdb.d"],
        # Its place for sockets is everybody's: the server runs as its user.
        also=["/usr/bin/setpriv"], links=[("var/run", "/tmp"), ("tmp/postgresql", ".")])


def check_postgres(cli, name, folder):
    refused = cli("run", "--rm", name)
    assert refused.code == 1 and "superuser password not specified" in refused.err, refused
    (folder / "first.sql").write_text("create table kept (what text); insert into kept values ('first');", encoding="utf-8")
    flags = ["-d", "--name", "base", "-e", "POSTGRES_PASSWORD=secret", "-v", f"base-data:{POSTGRES_DATA}", "--shm-size", "128m"]
    ask = lambda text: cli("exec", "-e", "PGPASSWORD=secret", "base", "psql", "-h", "127.0.0.1", "-U", "postgres", "-tAc", text)
    try:
        cli("run", *flags, "-v", f"{folder}:/docker-entrypoint-initdb.d:ro", name, "-c", "max_connections=20").ok()
        wait_until(lambda: ask("select what from kept").out.strip() == "first", "it is made and answers", seconds=120)
        assert ask("show max_connections").line() == "20"
        ask("insert into kept values ('second')").ok()
        # SIGINT is its fast end.
        begun = time.monotonic()
        cli("stop", "-t", "50", "base").ok()
        assert time.monotonic() - begun < 45 and cli.inspect("base", "{{.State.ExitCode}}") == "0"
        cli("rm", "base").ok()
        cli("run", *flags, name).ok()
        wait_until(lambda: ask("select count(*) from kept").out.strip() == "2", "the next one has its data", seconds=120)
        assert "Skipping initialization" in cli("logs", "base").ok()
        assert cli("exec", "base", "stat", "-c", "%u %a", POSTGRES_DATA).line() == "999 700"
    finally:
        cli("rm", "-fv", "base")
        cli("volume", "rm", "-f", "base-data").ok()


SHAPES = {"redis": (redis, check_redis), "python": (python, check_python)}
if os.environ.get("APUS_IMAGES") == "all":
    SHAPES.update({"nginx": (nginx, check_nginx), "postgres": (postgres, check_postgres)})


@pytest.fixture(scope="module")
def pushed(registry):
    """Pushes an image of a shape once."""
    @functools.cache
    def push(kind):
        Pusher(registry.host).push(f"library/{kind}", SHAPES[kind][0]())
        return f"{registry.host}/library/{kind}"
    return push


@pytest.mark.parametrize("kind", SHAPES)
def test_B19_an_image_of_the_shape_of_an_official_one_runs_unmodified(kind, apus, pushed, tmp_path):
    name = pushed(kind)
    tmp_path.chmod(0o755)
    apus("pull", "-q", name).ok()
    try:
        SHAPES[kind][1](apus, name, tmp_path)
    finally:
        apus("rm", "-fv", "cache", "web", "base")
        apus("rmi", "-f", name)
