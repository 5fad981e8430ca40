"""Rows B01-B06, B20 and images in general, from a real registry."""

import base64
import gzip
import json
import os
import re
import shutil
import subprocess
import tarfile

import oci_images
import pytest
from engine_http import api
from oci_images import Image, Pusher, busybox_layer, entry, files, tar
from processes import Registry, password_line
from scripted_registry import ScriptedRegistry

ALIEN = "arm64" if oci_images.ARCHITECTURE == "amd64" else "amd64"


@pytest.fixture
def clean(cli, registry):
    """The client, with none of the images that these tests pull."""
    names = [f"{registry.host}/{name}" for name in ("alpha", "beta")]
    cli("rmi", "-f", *names)
    yield cli
    cli("rmi", "-f", *names)


def test_feature_B01_pull_tells_its_steps_and_the_canonical_name(clean, registry):
    name = f"{registry.host}/alpha"
    lines = clean("pull", name).ok().splitlines()
    assert lines[0] == "Using default tag: latest"
    assert lines[1] == "latest: Pulling from alpha"
    assert re.fullmatch(r"[0-9a-f]{12}: \w.*", lines[2])
    assert any(re.fullmatch(r"[0-9a-f]{12}: Pull complete", line) for line in lines)
    assert re.fullmatch(r"Digest: sha256:[0-9a-f]{64}", lines[-3])
    assert lines[-2] == f"Status: Downloaded newer image for {name}:latest"
    assert lines[-1] == f"{name}:latest"
    assert f"Status: Image is up to date for {name}:latest" in clean("pull", name).ok()
    assert clean("pull", "-q", name).line() == f"{name}:latest"


def test_feature_B02_B03_a_layer_that_is_there_is_not_fetched_again(clean, registry):
    clean("pull", f"{registry.host}/alpha").ok()
    common = json.loads(clean("inspect", f"{registry.host}/alpha").ok())[0]["RootFS"]["Layers"]
    before = len(registry.requests("GET /v2/beta/blobs/"))
    out = clean("pull", f"{registry.host}/beta").ok()
    assert out.count("Already exists") == 2
    after = registry.requests("GET /v2/beta/blobs/")
    assert len(after) - before == 2, "its own layer and its configuration"
    assert json.loads(clean("inspect", f"{registry.host}/beta").ok())[0]["RootFS"]["Layers"][:2] == common[:2]


def test_feature_B04_B05_B06_images_lists_what_is_here(clean, registry):
    name = f"{registry.host}/alpha"
    clean("pull", name).ok()
    lines = clean("images").ok().splitlines()
    assert re.fullmatch(r"REPOSITORY\s+TAG\s+IMAGE ID\s+CREATED\s+SIZE", lines[0])
    assert any(re.fullmatch(rf"{name}\s+latest\s+[0-9a-f]{{12}}\s+.* ago\s+[\d.]+[kM]B", line) for line in lines)
    short = clean("images", "-q", name).ok().split()
    whole = clean("images", "-q", "--no-trunc", name).ok().split()
    assert len(short) == 1 and re.fullmatch("[0-9a-f]{12}", short[0])
    assert whole == ["sha256:" + whole[0][7:]] and whole[0][7:19] == short[0] and len(whole[0]) == 71
    row = json.loads(clean("images", "--format", "json", name).ok()) if not clean.name.startswith("docker-20") else None
    assert row is None or (row["Repository"], row["Tag"], row["ID"]) == (name, "latest", short[0])


@pytest.fixture
def aged(cli, registry):
    """Four names of a registry, whose images are of different ages; three are pulled, in another order than that, and one stays there."""
    ages = {"middle": "2022-02-02T02:02:02Z", "oldest": "2020-02-02T02:02:02Z", "newest": "2024-02-02T02:02:02Z", "elsewhere": "2025-02-02T02:02:02Z"}
    names = {age: f"{registry.host}/{age}" for age in ages}
    for age, created in ages.items():
        Pusher(registry.host).push(age, Image([busybox_layer()], {"Labels": {"age": age}}, created=created))
    for age in ("middle", "oldest", "newest"):
        cli("pull", "-q", names[age]).ok()
    yield names
    cli("rmi", "-f", *names.values(), "middle:again", "middle:more")


def test_feature_B04_images_are_those_that_are_here_and_the_newest_come_first(cli, aged):
    ages = {name: age for age, name in aged.items()}
    listed = [ages[name] for name in cli("images", "--format", "{{.Repository}}").ok().split() if name in ages]
    assert listed == ["newest", "middle", "oldest"]
    for words in (["images"], ["image", "ls"]):
        lines = [line.split()[0] for line in cli(*words).ok().splitlines()]
        assert [ages[name] for name in lines if name in ages] == listed, words


def test_feature_B05_ids_alone_are_one_a_line_and_one_a_tag(cli, aged):
    for tag in ("again", "more"):
        cli("tag", aged["middle"], f"middle:{tag}").ok()
    lines = cli("images", "-q").ok().splitlines()
    assert all(re.fullmatch("[0-9a-f]{12}", line) for line in lines) and len(lines) == len(cli("images").ok().splitlines()) - 1
    middle, newest = (cli("image", "inspect", "-f", "{{.Id}}", aged[age]).line()[7:19] for age in ("middle", "newest"))
    assert lines.count(middle) == 3 and lines.count(newest) == 1 and lines.index(newest) < lines.index(middle)


def test_feature_B10_tag_names_the_same_image_and_rmi_takes_one_name_at_a_time(clean, registry):
    name = f"{registry.host}/alpha"
    clean("pull", name).ok()
    clean("tag", name, "mine:v1").ok()
    assert clean.inspect("mine:v1", "{{.Id}}") == clean.inspect(name, "{{.Id}}")
    assert clean("rmi", "mine:v1").ok().splitlines() == ["Untagged: mine:v1"]
    clean("create", "--name", "user", name).ok()
    result = clean("rmi", name)
    assert result.code == 1 and "conflict" in result.err.lower()
    clean("rm", "user").ok()
    out = clean("rmi", name).ok()
    assert f"Untagged: {name}:latest" in out and re.search(r"Deleted: sha256:[0-9a-f]{64}", out)
    assert clean("inspect", name).code == 1
    assert "No such image" in clean("rmi", name).err
    assert clean("tag", name, "Upper:x").code == 1


def test_feature_B11_a_tag_is_of_letters_digits_and_three_signs_and_of_128_at_most(clean, registry):
    name = f"{registry.host}/alpha"
    clean("pull", "-q", name).ok()
    for tag in ("a", "_", "9", "A.b-c_D", "t" * 128):
        clean("tag", name, f"tagged:{tag}").ok()
        assert clean("images", "-q", f"tagged:{tag}").ok().split() == [clean.inspect(name, "{{.Id}}")[7:19]]
        assert clean("rmi", f"tagged:{tag}").ok() == f"Untagged: tagged:{tag}\n"
    for tag in (".a", "-a", "a b", "a+b", "a/b", "\u00e4", "t" * 129, ""):
        for words in (("tag", name, f"tagged:{tag}"), ("pull", f"{name}:{tag}"), ("push", f"tagged:{tag}"), ("create", f"tagged:{tag}")):
            refused = clean(*words)
            assert refused.code == 1 and "invalid reference format" in refused.err, (words, refused)
    clean("tag", name, "tagged").ok()
    assert clean("rmi", "tagged").ok() == "Untagged: tagged:latest\n"


def test_feature_B07_B08_rmi_by_id_takes_its_flag_behind_the_operand(clean, registry):
    name = f"{registry.host}/alpha"
    clean("pull", "-q", name).ok()
    clean("tag", name, "second:v1").ok()
    identifier = clean("images", "-q", name).line()
    clean("create", "--name", "holder", name).ok()
    refused = clean("rmi", identifier)
    assert refused.code == 1 and "must be forced" in refused.err, refused
    out = clean("rmi", identifier, "-f").ok()
    assert {f"Untagged: {name}:latest", "Untagged: second:v1"} <= set(out.splitlines()) and re.search(r"^Deleted: sha256:[0-9a-f]{64}$", out, re.M), out
    assert clean("images", "-q", name).ok() == "" and clean("inspect", "--type", "image", identifier).code == 1
    # Flags stand where they like for every verb but those whose operands are a command.
    assert clean("ps", "-a", "--filter", "name=holder", "-q").line() and clean("rm", "holder", "-f").code == 0
    assert clean("run", "--rm", f"{registry.host}/beta", "echo", "-f", "--rm").ok() == "-f --rm\n"


def test_feature_B09_rmi_of_all_ids_takes_one_that_is_there_twice(clean, registry, own_daemon):
    names = [f"{registry.host}/{name}" for name in ("alpha", "beta")]
    for name in names:
        clean("pull", "-q", name).ok()
    clean("tag", names[0], "twice:v1").ok()
    clean("tag", names[0], "twice:v2").ok()
    identifiers = [line.split()[1] for line in clean("images", "--format", "{{.Repository}} {{.ID}}").ok().splitlines()
                   if line.split()[0] in (*names, "twice")]
    assert len(identifiers) == 4 and len(set(identifiers)) == 2
    # By an id that is not there any more: told, and no failure.
    done = clean("rmi", *identifiers, "-f")
    assert done.code == 0 and "No such image" in done.err, done
    assert not {*names, "twice"} & set(clean("images", "--format", "{{.Repository}}").ok().split())
    without = clean("rmi", identifiers[0])
    assert without.code == 1 and "No such image" in without.err, without


CONFIG = {
    "Env": ["PATH=/bin", "A=1"], "Cmd": ["serve", "-v"], "Entrypoint": ["/bin/start"], "ExposedPorts": {"80/tcp": {}, "53/udp": {}}, "Volumes": {"/data": {}},
    "WorkingDir": "/srv", "User": "ann", "Labels": {"a": "b"}, "StopSignal": "SIGINT", "Shell": ["/bin/ash", "-c"], "OnBuild": ["RUN true"],
    "Healthcheck": {"Test": ["CMD", "true"], "Interval": 5_000_000_000, "Retries": 2},
}


def test_feature_B15_inspect_shows_all_that_an_image_says(cli, registry, image):
    made = Image([busybox_layer(), tar(files({"x": "x"}))], CONFIG)
    Pusher(registry.host).push("said", made)
    name = f"{registry.host}/said"
    cli("pull", "-q", name).ok()
    cli("tag", name, "said:here").ok()
    try:
        found = json.loads(cli("inspect", "said:here").ok())
        assert len(found) == 1
        shown = found[0]
        assert shown["Id"] == made.id and sorted(shown["RepoTags"]) == sorted(["said:here", f"{name}:latest"])
        assert f"{name}@{made.digest}" in shown["RepoDigests"]
        assert shown["RootFS"] == {"Type": "layers", "Layers": json.loads(made.config)["rootfs"]["diff_ids"]}
        assert {key: shown["Config"].get(key) for key in CONFIG} == CONFIG
        assert (shown["Architecture"], shown["Os"], shown["Created"]) == (oci_images.ARCHITECTURE, "linux", "2026-01-02T03:04:05Z")
        both = json.loads(cli("image", "inspect", name, image).ok())
        assert [each["Id"] for each in both] == [made.id, cli.inspect(image, "{{.Id}}")]
    finally:
        cli("rmi", "-f", "said:here", name)


def test_feature_B19_what_an_image_holds_of_system_libraries_program_and_settings_runs_unmodified(cli, registry):
    """No official image comes to this machine: one is made of the same parts, from Debian's packages."""
    script = r'''my $user = (getpwuid $<)[0] // $<;
print join(" ", $ENV{GREETING}, $ARGV[0], $user, -e "/srv/app/data" ? "data" : ""), "\n";
sleep 100 if $ARGV[0] eq "wait";
'''
    config = {
        "Env": ["PATH=/usr/bin:/bin", "LD_LIBRARY_PATH=/lib64", "GREETING=hello"], "Entrypoint": ["perl", "/srv/app/main.pl"], "Cmd": ["once"],
        "WorkingDir": "/srv/app", "User": "1000:50", "ExposedPorts": {"8080/tcp": {}}, "Volumes": {"/srv/app/data": {}}}
    made = Image([busybox_layer(), oci_images.with_libraries("/usr/bin/perl"), tar(files({"srv/app/main.pl": script}))], config)
    Pusher(registry.host).push("app", made)
    name = f"{registry.host}/app"
    try:
        said = cli("run", "--rm", name).ok().split()
        assert said[:2] == ["hello", "once"] and said[-1] == "data" and said[2] in ("ann", "1000"), said
        assert cli("run", "--rm", "-e", "GREETING=bye", name, "twice").ok().split()[:2] == ["bye", "twice"]
        cli("run", "-d", "--name", "app", name, "wait").ok()
        assert cli("exec", "app", "id", "-u").ok() == "1000\n"
        assert cli.inspect("app", "{{len .Mounts}} {{.Config.WorkingDir}}") == "1 /srv/app"
        cli("rm", "-fv", "app").ok()
    finally:
        cli("rmi", "-f", name)


def test_feature_B14_what_is_public_is_pulled_by_a_token_without_a_password(cli):
    """Nobody shows anything before the registry asks for it; of whom it asks is told there, and no more than that."""
    image = Image([busybox_layer()], {"Labels": {"of": cli.name}})
    public = ScriptedRegistry(image, token=True)
    try:
        cli("pull", "-q", public.name).ok()
        assert cli.inspect(public.name, "{{.Id}}") == image.id
        first = public.requests[0]
        assert first["status"] == 401 and "Authorization" not in first["headers"]
        [asked] = public.of("token")
        assert "Authorization" not in asked["headers"] and "scope=repository%3Aone%3Apull" in asked["path"] and "account" not in asked["path"]
        assert all(request["headers"].get("Authorization") == f"Bearer {public.token}" for request in public.of("config") + public.of("blob"))
        cli("rmi", public.name).ok()
    finally:
        public.stop()


def test_what_a_registry_does_not_have_is_said(cli, registry, daemon):
    result = cli("pull", f"{registry.host}/nosuch")
    assert result.code == 1 and "nosuch" in result.err and ("not found" in result.err or "does not exist" in result.err), result
    result = cli("pull", f"{registry.host}/alpha:nosuch")
    assert result.code == 1 and "nosuch" in result.err and "manifest unknown" in result.err, result
    result = cli("pull", "127.0.0.1:1/x")
    assert result.code == 1 and "connection refused" in result.err.lower(), result
    assert cli("pull", "127.0.0.1:1/UPPER").code == 1


def test_an_image_of_another_system_is_refused_wherever_it_comes_from(cli, registry, tmp_path):
    """In dockerd's words: by a registry, in an archive, and for a tar that is said to be of one."""
    image = Image([tar(files({"which": "theirs"}))], system="windows")
    Pusher(registry.host).push("windows", image)
    name = f"{registry.host}/windows"
    for flags in ((), ("--platform", f"windows/{oci_images.ARCHITECTURE}")):
        result = cli("pull", *flags, name)
        sentence = 'image operating system "windows" cannot be used on this platform: operating system is not supported'
        assert result.code == 1 and sentence in result.err, result
    image.write_layout(str(tmp_path / "layout"))
    packed = subprocess.run(["tar", "-C", tmp_path / "layout", "-c", "."], capture_output=True, check=True).stdout
    result = cli("load", stdin=packed)
    assert result.code == 1 and "cannot load windows image on linux" in result.err, result
    result = cli("import", "--platform", "windows/amd64", "-", "taken:windows", stdin=tar(files({"a": "b"})))
    assert result.code == 1 and "operating system is not supported" in result.err, result
    assert cli("images", "-q", "--no-trunc", "--filter", "reference=*windows*").ok() == "" and image.id not in cli("images", "-aq", "--no-trunc").ok()


def test_scratch_is_no_image(cli, own_daemon):
    for words in (("pull", "scratch"), ("pull", "docker.io/library/scratch:latest"), ("run", "--rm", "scratch", "true")):
        result = cli(*words)
        assert result.code == (125 if "run" in words else 1) and "'scratch' is a reserved name" in result.err, result
    assert api(own_daemon, "POST", "/images/create?fromImage=scratch&tag=latest") == (403, {"message": "'scratch' is a reserved name"})
    assert api(own_daemon, "GET", "/distribution/scratch/json") == (400, {"message": "'scratch' is a reserved name"})


def test_a_command_may_be_one_word_in_an_images_configuration(cli, registry):
    """As Docker takes it, for which a list of one word is the same."""
    Pusher(registry.host).push("worded", Image([busybox_layer()], {"Entrypoint": "/bin/echo", "Cmd": "hello", "Shell": "/bin/sh"}))
    name = f"{registry.host}/worded"
    assert cli("run", "--rm", name).ok() == "hello\n"
    assert json.loads(cli("image", "inspect", "-f", "{{json .Config}}", name).ok())["Entrypoint"] == ["/bin/echo"]
    cli("rmi", name).ok()


def test_rmi_by_id_takes_names_away_in_dockerds_order(cli, registry):
    """Repository by repository, its tags before its digests; then the image, and its layers from the top down."""
    image = Image([busybox_layer(), tar(files({"lower": os.urandom(9)})), tar(files({"upper": os.urandom(9)}))])
    for repository in ("order-b", "order-a"):
        Pusher(registry.host).push(repository, image)
        cli("pull", "-q", f"{registry.host}/{repository}").ok()
        cli("tag", f"{registry.host}/{repository}", f"{registry.host}/{repository}:1").ok()
    cli("tag", image.id, "aaa:z").ok()
    lines = cli("rmi", "-f", image.id).ok().splitlines()
    names = [f"{registry.host}/{repository}{suffix}" for repository in ("order-a", "order-b") for suffix in (":1", ":latest", f"@{image.digest}")]
    # That of aaa:z is docker.io/library/aaa:z.
    assert [line.removeprefix("Untagged: ") for line in lines[:7]] == [*names, "aaa:z"]
    assert lines[7] == f"Deleted: {image.id}" and len(lines) >= 10 and all(line.startswith("Deleted: sha256:") for line in lines[8:])


def test_an_index_gives_the_image_of_this_machine(cli, registry, image):
    ours = Image([busybox_layer(), tar(files({"which": "ours"}))])
    theirs = Image([tar(files({"which": "theirs"}))])
    Pusher(registry.host).push_index(
        "multi", [({"os": "linux", "architecture": ALIEN}, theirs), ({"os": "linux", "architecture": oci_images.ARCHITECTURE}, ours)])
    name = f"{registry.host}/multi"
    assert cli("run", "--rm", name, "cat", "/which").ok() == "ours"
    assert cli.inspect(name, "{{.Id}}") == ours.id
    cli("rmi", name).ok()
    result = cli("pull", "--platform", "linux/s390x", name)
    assert result.code == 1 and "linux/s390x" in result.err, result


def test_credentials_open_a_registry_that_wants_them(cli, daemon, tmp_path):
    private = Registry(str(tmp_path / "private"), htpasswd=password_line("ann", "secret"))
    try:
        Pusher(private.host, "Basic YW5uOnNlY3JldA==").push("closed", oci_images.busybox())
        name = f"{private.host}/closed"
        refused = cli("pull", name)
        assert refused.code == 1 and ("denied" in refused.err or "unauthorized" in refused.err or "no basic auth" in refused.err), refused
        config = tmp_path / "config"
        config.mkdir()
        (config / "config.json").write_text(json.dumps({"auths": {private.host: {"auth": "YW5uOnNlY3JldA=="}}}))
        assert cli("pull", name, env={"DOCKER_CONFIG": str(config)}).code == 0
        assert cli("run", "--rm", name, "echo", "in").ok() == "in\n"
        cli("rmi", name).ok()
    finally:
        private.stop()


def test_layers_come_back_exactly(cli, registry, image):
    """Several gzip members, a whiteout, an opaque directory, links, owners, modes, times, an extended attribute."""
    low = tar([
        *files({"d/old": "old", "d/gone": "gone", "opaque/hidden": "hidden", "keep/k": "k"}),
        (entry("suid", mode=0o4755, uid=1000, gid=50), b"#!/bin/sh\n"),
        (entry("hard", tarfile.LNKTYPE, 0o4755, "suid", 1000, 50), None), (entry("soft", tarfile.SYMTYPE, 0o777, "keep/k"), None),
        (entry("pipe", tarfile.FIFOTYPE, 0o600), None),
        (entry("noted", headers={"SCHILY.xattr.user.note": "kept"}), b"noted"),
    ])
    high = tar([(entry("d/.wh.gone"), b""), (entry("opaque/", tarfile.DIRTYPE, 0o755), None), (entry("opaque/.wh..wh..opq"), b""),
                (entry("opaque/shown"), b"shown"), (entry("d/old"), b"new")])

    def members(data):
        return gzip.compress(data[:1000], mtime=0) + gzip.compress(data[1000:], mtime=0)

    Pusher(registry.host).push("exact", Image([busybox_layer(), low, high], compress=members))
    script = ("ls d opaque; cat d/old soft; stat -c '%a %u %g %h %Y' suid; stat -c %F pipe; [ suid -ef hard ] && echo same; "
              "readlink soft")
    out = cli("run", "--rm", "-w", "/", f"{registry.host}/exact", "sh", "-c", script).ok()
    assert out.split() == ["d:", "old", "opaque:", "shown", "newk4755", "1000", "50", "2", "1700000000", "fifo", "same", "keep/k"]
    cli("rmi", f"{registry.host}/exact").ok()


CANARY = f"/tmp/apus-canary-{os.getpid()}"

# More than the daemon's folders are deep.
UP = "../" * 20

# By attack: images of the one or several layers that each list has.
HOSTILE = {
    "attack_D01_parent": [[[(entry(f"{UP}{CANARY[1:]}.d/x"), b"x")]], [[(entry(f"{CANARY}.d/abs"), b"x")]],
                          [[(entry(f"a/{UP}{CANARY[1:]}.d/dots"), b"x")]]],
    "attack_D02_link_parent": [
        [[(entry("etc2", tarfile.SYMTYPE, 0o777, f"{CANARY}.d"), None), (entry("etc2/x"), b"x")]],
        [[(entry("etc2", tarfile.SYMTYPE, 0o777, f"{CANARY}.d"), None), (entry("etc2/.wh.kept"), b"")]],
        [[(entry("etc2", tarfile.SYMTYPE, 0o777, f"{UP}{CANARY[1:]}.d"), None), (entry("etc2/sub/", tarfile.DIRTYPE, 0o777), None)]],
        [[(entry("etc2", tarfile.SYMTYPE, 0o777, f"{CANARY}.d"), None)],
         [(entry("etc2/x"), b"x"), (entry("etc2/.wh.kept"), b""), (entry("etc2/sub/", tarfile.DIRTYPE, 0o777), None),
          (entry("etc2/.wh..wh..opq"), b"")]]],
    "attack_D03_hard_link": [[[(entry("h", tarfile.LNKTYPE, link=CANARY), None)]],
                             [[(entry("h2", tarfile.LNKTYPE, link=f"{UP}{CANARY[1:]}"), None)]]],
    "attack_D04_mode": [[[(entry("l", tarfile.SYMTYPE, 0o777, CANARY), None), (entry("l", mode=0o777), b"changed")]]],
    "attack_D06_whiteouts": [[[(entry(".wh..."), b"")]], [[(entry(".wh.."), b"")]],
                             [[(entry("a/.wh..wh..opq"), b""), (entry(".wh..wh..opq"), b"")]], [[(entry("x/.wh...."), b"")]]],
}


@pytest.fixture
def canary():
    os.makedirs(f"{CANARY}.d", exist_ok=True)
    for path in (CANARY, f"{CANARY}.d/kept"):
        with open(path, "w", encoding="utf-8") as file:
            file.write("untouched")
        os.chmod(path, 0o640)

    def state():
        found = {}
        for path in [CANARY, *(os.path.join(f"{CANARY}.d", name) for name in sorted(os.listdir(f"{CANARY}.d")))]:
            status = os.stat(path)
            found[path] = (status.st_mode, status.st_nlink, status.st_mtime_ns, status.st_ino,
                           "" if os.path.isdir(path) else open(path, encoding="utf-8").read())
        return found

    yield state
    os.remove(CANARY)
    shutil.rmtree(f"{CANARY}.d")


@pytest.mark.parametrize("attack", sorted(HOSTILE))
def test_a_hostile_layer_touches_nothing_outside(apus, registry, image, canary, attack):
    before = canary()
    for number, layers in enumerate(HOSTILE[attack]):
        name = f"hostile{number}"
        Pusher(registry.host).push(name, Image([busybox_layer(), *map(tar, layers)]))
        result = apus("run", "--rm", f"{registry.host}/{name}", "true")
        # An opaque mark at the root hides the whole image below it, which then has no program to run.
        assert result.code in ((0, 125, 127) if attack == "attack_D06_whiteouts" else (0, 125)), result
        assert canary() == before
        if attack == "attack_D06_whiteouts" and number in (0, 1):
            assert "the whiteout of no name" in result.err, result
        apus("rmi", "-f", f"{registry.host}/{name}")
    assert apus("run", "--rm", image, "echo", "alive").ok() == "alive\n"


@pytest.mark.parametrize("damage", ["flipped", "short", "long", "diff_id"])
def test_attack_D11_a_layer_that_is_not_what_its_digest_says_never_becomes_visible(apus, registry, own_daemon, image, damage):
    good = Image([busybox_layer(), tar(files({"odd": os.urandom(3000)}))])
    Pusher(registry.host).push("damaged", good)
    layer = good.layers[1]["digest"]
    name = f"{registry.host}/damaged"
    path = f"{registry.folder}/data/docker/registry/v2/blobs/sha256/{layer[7:9]}/{layer[7:]}/data"
    if damage == "diff_id":
        config = json.loads(good.config)
        config["rootfs"]["diff_ids"][1] = "sha256:" + "0" * 64
        bad = Image([busybox_layer()])
        descriptor = bad.add(oci_images.CONFIG, json.dumps(config).encode())
        bad.blobs.update(good.blobs)
        bad.manifest = json.dumps({"schemaVersion": 2, "mediaType": oci_images.MANIFEST, "config": descriptor, "layers": good.layers}).encode()
        Pusher(registry.host).push("damaged", bad)
    else:
        data = good.blobs[layer]
        changed = {"flipped": data[:50] + bytes([data[50] ^ 1]) + data[51:], "short": data[:-10], "long": data + b"more"}[damage]
        with open(path, "wb") as file:
            file.write(changed)
    result = apus("pull", name)
    assert result.code == 1, result
    assert apus("inspect", name).code == 1
    assert not os.path.exists(f"{own_daemon.data}/content/blobs/sha256/{layer[7:]}") or damage == "diff_id"
    if damage != "diff_id":
        with open(path, "wb") as file:
            file.write(good.blobs[layer])
        assert apus("pull", name).code == 0, "the good layer is taken afterwards"
        apus("rmi", name).ok()


def test_two_images_of_one_digest_share_an_id(cli, registry, image):
    Pusher(registry.host).push("again", oci_images.busybox())
    cli("pull", f"{registry.host}/again").ok()
    assert cli.inspect(f"{registry.host}/again", "{{.Id}}") == cli.inspect(image, "{{.Id}}")
    assert oci_images.busybox().id == cli.inspect(image, "{{.Id}}")
    cli("rmi", f"{registry.host}/again").ok()


def test_feature_B18_history_has_a_line_an_instruction(cli, registry, image):
    layers = [busybox_layer(), tar(files({"a": "a" * 5000})), tar(files({"b": "b"}))]
    told = Image(layers)
    config = json.loads(told.config)
    config["history"] = [
        {"created": "2026-01-02T03:04:05Z", "created_by": "ADD rootfs /"}, {"created_by": "ENV A=1", "empty_layer": True},
        {"created": "2026-02-02T03:04:05Z", "created_by": "COPY\ta /" + "x" * 60, "comment": "of a"}, {"created_by": "COPY b /"}]
    told.config = json.dumps(config).encode()
    told.id = oci_images.digest_of(told.config)
    descriptor = told.add(oci_images.CONFIG, told.config)
    told.manifest = json.dumps({"schemaVersion": 2, "mediaType": oci_images.MANIFEST, "config": descriptor, "layers": told.layers}).encode()
    name = f"{registry.host}/told"
    Pusher(registry.host).push("told", told)
    cli("pull", "-q", name).ok()
    try:
        lines = cli("history", name).ok().splitlines()
        assert re.fullmatch(r"IMAGE\s+CREATED\s+CREATED BY\s+SIZE\s+COMMENT", lines[0].rstrip())
        assert lines[1].startswith(told.id[7:19]) and len(lines) == 5 and all(line.startswith("<missing>") for line in lines[2:])
        assert re.search(r" ago\s+COPY a /x+…\s+[\d.]+kB\s+of a", lines[2]), lines[2]
        assert re.search(r"ENV A=1\s+0B", lines[3]), lines[3]
        whole = cli("history", "--no-trunc", "--format", "{{.ID}} {{.CreatedBy}} {{.CreatedAt}}", name).ok().splitlines()
        assert whole[0].startswith(f"{told.id} COPY b /") and "x" * 60 in whole[1] and whole[3].endswith("2026-01-02T03:04:05Z")
        assert cli("history", "-q", name).ok().splitlines()[0] == told.id[7:19]
        assert "No such image" in cli("history", "nosuch").err
    finally:
        cli("rmi", name).ok()


def test_image_prune_takes_what_has_no_name_and_with_all_what_has_no_container(cli, registry, own_daemon, image):
    names = [f"{registry.host}/p{number}" for number in range(3)]
    for number, name in enumerate(names):
        Pusher(registry.host).push(f"p{number}", Image([busybox_layer(), tar(files({f"p{number}": os.urandom(200_000)}))]))
        cli("pull", "-q", name).ok()
    ids = [cli.inspect(name, "{{.Id}}") for name in names]
    # The name of the first goes to the second: the first has none left.
    cli("tag", names[1], names[0]).ok()
    cli("create", "--name", "holder", names[2]).ok()
    out = cli("image", "prune", "-f").ok()
    assert f"deleted: {ids[0]}" in out and ids[1] not in out and re.search(r"Total reclaimed space: [\d.]+kB", out), out
    assert cli("image", "prune", "-f").ok() == "Total reclaimed space: 0B\n"
    out = cli("image", "prune", "-a", "-f", "--filter", "until=2020-01-01T00:00:00Z").ok()
    assert "Deleted" not in out, out
    out = cli("image", "prune", "-a", "-f").ok()
    assert f"deleted: {ids[1]}" in out and f"untagged: {names[0]}:latest" in out and ids[2] not in out
    left = {line.split()[1] for line in cli("images", "--format", "x {{.ID}}", "--no-trunc").ok().splitlines()}
    assert ids[2] in left and ids[1] not in left
    assert "WARNING! This will remove all dangling images." in cli("image", "prune", stdin="n\n").out
    cli("rm", "holder").ok()
    cli("rmi", names[2]).ok()
    cli("pull", "-q", image).ok()


def test_feature_B13_login_asks_the_registry_and_keeps_what_it_took(cli, daemon, tmp_path):
    document = "{\n  two: lines\n}"
    private = Registry(str(tmp_path / "private"), htpasswd=password_line("ann", "secret") + password_line("many", document))
    config = tmp_path / "config"
    config.mkdir()
    (config / "config.json").write_text('{"psFormat": "table {{.ID}}"}', encoding="utf-8")
    os.chmod(config / "config.json", 0o600)
    own = {"DOCKER_CONFIG": str(config)}
    try:
        Pusher(private.host, "Basic YW5uOnNlY3JldA==").push("closed", oci_images.busybox())
        wrong = cli("login", "-u", "ann", "--password-stdin", private.host, stdin="wr0ng", env=own)
        assert wrong.code == 1 and "unauthorized" in wrong.err and "wr0ng" not in wrong.out + wrong.err, wrong
        assert "auths" not in json.loads((config / "config.json").read_text(encoding="utf-8"))
        assert "Login Succeeded" in cli("login", "-u", "ann", "--password-stdin", private.host, stdin="secret\n", env=own).ok()
        stored = json.loads((config / "config.json").read_text(encoding="utf-8"))
        assert stored["auths"][private.host]["auth"] == "YW5uOnNlY3JldA==" and stored["psFormat"] == "table {{.ID}}"
        assert os.stat(config / "config.json").st_mode & 0o077 == 0
        cli("pull", "-q", f"{private.host}/closed", env=own).ok()
        # All of standard input is the password, but the last line's end: some clouds' have several lines.
        for user, given, password in (("ann", "secret\r\n", "secret"), ("many", f"{document}\n", document)):
            assert "Login Succeeded" in cli("login", "-u", user, "--password-stdin", private.host, stdin=given, env=own).ok()
            stored = json.loads((config / "config.json").read_text(encoding="utf-8"))
            assert base64.b64decode(stored["auths"][private.host]["auth"]).decode() == f"{user}:{password}"
        assert "Removing login credentials" in cli("logout", private.host, env=own).ok()
        assert not json.loads((config / "config.json").read_text(encoding="utf-8")).get("auths")
        cli("rmi", f"{private.host}/closed").ok()
    finally:
        private.stop()


def test_layers_may_be_zstd_or_not_compressed_at_all(cli, registry, image):
    def zstd(data):
        return subprocess.run(["zstd", "-q", "-c"], input=data, capture_output=True, check=True).stdout

    for kind, pack in (("tar+zstd", zstd), ("tar", lambda data: data)):
        packed = Image([busybox_layer(), tar(files({"kind": kind}))], compress=pack, media_type=f"{oci_images.OCI}.layer.v1.{kind}")
        Pusher(registry.host).push("packed", packed)
        name = f"{registry.host}/packed"
        assert cli("run", "--rm", name, "cat", "/kind").ok() == kind
        cli("rmi", name).ok()

def test_images_as_a_tree_show_names_and_the_manifest_below(cli, registry, image):
    name = f"{registry.host}/alpha"
    cli("pull", "-q", name).ok()
    cli("tag", name, "tree:v1").ok()
    cli("create", "--name", "user", name).ok()
    try:
        if cli.name.startswith("docker-20"):
            return
        lines = [line.rstrip() for line in re.sub("\x1b\\[[0-9;]*m", "", cli("images", "--tree").ok()).splitlines()]
        place = lines.index(f"{name}:latest")
        short = cli("images", "-q", name).line()
        assert re.fullmatch(rf"tree:v1 +{short} +[\d.]+[kM]B +[\d.]+[kM]B +U *", lines[place + 1]), lines
        digest = cli.inspect(name, "{{index .RepoDigests 0}}").split("sha256:")[1][:12]
        assert re.fullmatch(rf"└─ linux/{oci_images.ARCHITECTURE} +{digest} +[\d.]+[kM]B +[\d.]+[kM]B( +U)? *", lines[place + 2]), lines
        assert "IMAGE" in "\n".join(lines[:place]) and "CONTENT SIZE" in "\n".join(lines[:place])
        refused = cli("images", "--tree", "-q")
        assert refused.code != 0 and "--quiet is not yet supported with --tree" in refused.err, refused
    finally:
        cli("rm", "user").ok()
        cli("rmi", "tree:v1", name).ok()
