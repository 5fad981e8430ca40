"""Credentials in config.json beside what docker's command lines make of the same file: the forms that it takes, whose file it is afterwards, what a
second login needs, and what a logout forgets."""
# Rows: features

import base64
import json
import os
import stat
import threading
import time

import pytest
from processes import Registry, password_line
from test_credential_helpers import keeper, login, private  # noqa: F401 (fixtures)

PAIR = base64.b64encode(b"ann:s3cret-canary").decode()
OLD = {"auth": base64.b64encode(b"ann:of-old").decode()}


def pulled(cli, private, keeper):
    """Whether the registry takes what the client has. The image goes again."""
    result = cli("pull", "-q", f"{private.host}/closed", env=keeper.environment)
    if result.code == 0:
        cli("rmi", f"{private.host}/closed").ok()
    return result


FORMS = {
    "a name and a password": lambda host: {"auths": {host: {"username": "ann", "password": "s3cret-canary"}}},
    "a pair and a name": lambda host: {"auths": {host: {"auth": PAIR, "username": "other", "password": "other"}}},
    "an address": lambda host: {"auths": {f"https://{host}": {"auth": PAIR}}},
    "an address with a path": lambda host: {"auths": {f"http://{host}/v2/": {"auth": PAIR}}},
    "the name before an address": lambda host: {"auths": {f"https://{host}": OLD, host: {"auth": PAIR}}},
    "a helper switched off": lambda host: {"auths": {host: {"auth": PAIR}}, "credHelpers": {host: ""}, "credsStore": "broken"},
    "a store switched off": lambda host: {"auths": {host: {"auth": PAIR}}, "credsStore": ""},
}


@pytest.mark.parametrize("form", FORMS)
def test_B13_each_form_of_credentials_is_taken(cli, keeper, private, form):
    keeper.write(**FORMS[form](private.host))
    result = pulled(cli, private, keeper)
    assert result.code == 0 and "WARNING" not in result.err, result


@pytest.mark.parametrize("text, warnings", [("", 0), ("{}", 0), ('{"auths": {}}', 0), ("{", 1)])
def test_B13_a_file_that_holds_nothing_is_none_and_one_that_is_malformed_is_told_once(cli, keeper, registry, text, warnings):
    (keeper.config / "config.json").write_text(text, encoding="utf-8")
    result = cli("pull", "-q", f"{registry.host}/alpha", env=keeper.environment)
    assert result.code == 0 and result.err.count("WARNING") == warnings, result
    cli("rmi", f"{registry.host}/alpha").ok()


@pytest.mark.parametrize("verb", ["login", "logout"])
def test_B13_a_file_that_is_a_link_stays_one_and_keeps_its_owner_and_mode(cli, keeper, private, tmp_path, verb):
    (tmp_path / "dot").mkdir()
    kept, link = tmp_path / "dot" / "file.json", keeper.config / "config.json"
    kept.write_text(json.dumps({"auths": {private.host: OLD, "other:1": OLD}, "psFormat": "x"}), encoding="utf-8")
    kept.chmod(0o640)
    os.chown(kept, 1000, 50)
    # Docker's of old takes a relative one as leading from where it runs.
    target = str(kept) if cli.name.startswith("docker-20") else "../dot/file.json"
    link.symlink_to(target)
    (login(cli, private.host, keeper) if verb == "login" else cli("logout", private.host, env=keeper.environment)).ok()
    assert os.readlink(link) == target and os.listdir(keeper.config) == ["config.json"] and os.listdir(tmp_path / "dot") == ["file.json"]
    document = json.loads(kept.read_text(encoding="utf-8"))
    assert document == {"auths": {"other:1": OLD, **({private.host: {"auth": PAIR}} if verb == "login" else {})}, "psFormat": "x"}
    status = kept.stat()
    assert (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid) == (0o640, 1000, 50)


def test_B13_a_link_to_nothing_yet_is_written_through_and_a_new_file_is_the_callers_alone(cli, keeper, private, tmp_path):
    (keeper.config / "config.json").symlink_to(tmp_path / "new.json")
    login(cli, private.host, keeper).ok()
    assert (keeper.config / "config.json").is_symlink()
    assert json.loads((tmp_path / "new.json").read_text(encoding="utf-8"))["auths"] == {private.host: {"auth": PAIR}}
    assert stat.S_IMODE((tmp_path / "new.json").stat().st_mode) == 0o600


def test_B13_what_a_link_leads_to_that_is_no_file_stays(apus, keeper, tmp_path):
    """As `/dev/null` is one: here a pipe, in which the client finds nothing."""
    pipe, over = tmp_path / "pipe", threading.Event()
    os.mkfifo(pipe)
    (keeper.config / "config.json").symlink_to(pipe)
    before = sorted(os.listdir(tmp_path))

    def end_what_is_read():
        while not over.is_set():
            try:
                os.close(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))
            except OSError:
                time.sleep(0.01)

    writer = threading.Thread(target=end_what_is_read)
    writer.start()
    try:
        refused = apus("context", "use", "default", env=keeper.environment)
    finally:
        over.set()
        writer.join()
    assert refused.code == 1 and "cannot write to a named pipe file" in refused.err, refused
    assert pipe.is_fifo() and (keeper.config / "config.json").is_symlink() and sorted(os.listdir(tmp_path)) == before


@pytest.mark.parametrize("form", ["{}", "http://{}", "https://{}"])
@pytest.mark.parametrize("said", ["{}", "https://{}", "http://{}/v2/"])
def test_B13_logout_forgets_a_registry_under_each_of_its_names(cli, keeper, private, form, said):
    keeper.write(auths={form.format(private.host): {"auth": PAIR}, "other:1": OLD})
    assert pulled(cli, private, keeper).code == 0
    assert f"Removing login credentials for {private.host}" in cli("logout", said.format(private.host), env=keeper.environment).ok()
    assert keeper.read()["auths"] == {"other:1": OLD}
    refused = pulled(cli, private, keeper)
    assert refused.code == 1 and "no basic auth credentials" in refused.err, refused


def test_B13_nothing_that_apus_would_use_outlives_a_logout(apus, keeper, private):
    """Docker's leaves an address with a path, and goes on using it."""
    keeper.write(auths={f"http://{private.host}/v2/": {"auth": PAIR}})
    assert pulled(apus, private, keeper).code == 0
    apus("logout", private.host, env=keeper.environment).ok()
    assert keeper.read()["auths"] == {} and pulled(apus, private, keeper).code == 1


def test_B13_a_helper_is_told_each_name_at_a_logout(cli, keeper, private):
    keeper.write(credsStore="one")
    cli("logout", private.host, env=keeper.environment).ok()
    calls = [json.loads(line) for line in (keeper.folder / "calls").read_text(encoding="utf-8").splitlines()]
    assert {what for name, words, what in calls if words == ["erase"]} == {private.host, f"http://{private.host}", f"https://{private.host}"}
    assert not (keeper.config / "config.json").read_text(encoding="utf-8").count("auth\"")


FORGETTING = {
    "the registry's own": ({"credHelpers": {"a.example": "broken"}}, "exit status 3, out: `it burns`"),
    "one that knows addresses": ({"credsStore": "picky"}, "exit status 4, out: `not this one`"),
    "one that knows the name": ({"credsStore": "plain"}, ""),
    "one that has nothing": ({"credsStore": "empty"}, ""),
}


@pytest.mark.parametrize("helper", FORGETTING)
def test_B13_a_helper_that_fails_to_forget_a_registry_is_told_of(apus, keeper, helper):
    """Of the registry's addresses it need not know any, as docker's helpers may fail for what they do not have."""
    for name, script in {
        "picky": "read -r server; case $server in http*) exit 0;; esac; echo not this one; exit 4",
        "plain": "read -r server; case $server in http*) echo not this one; exit 4;; esac",
        "empty": "echo credentials not found in native keychain; exit 1",
    }.items():
        program = keeper.programs / f"docker-credential-{name}"
        program.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        program.chmod(0o755)
    document, said = FORGETTING[helper]
    keeper.write(auths={"a.example": {}, "other:1": OLD}, **document)
    result = apus("logout", "a.example", env=keeper.environment)
    assert (result.code, said in result.err) == (1 if said else 0, True), result
    assert keeper.read()["auths"] == {"other:1": OLD}


@pytest.mark.parametrize("how", ["file", "helper"])
def test_B13_a_second_login_takes_what_is_kept(cli, keeper, private, how):
    keeper.write(**({} if how == "file" else {"credsStore": "one"}))
    login(cli, private.host, keeper).ok()
    before = (keeper.config / "config.json").read_text(encoding="utf-8")
    again = cli("login", private.host, env=keeper.environment)
    assert again.code == 0 and "Login Succeeded" in again.out, again
    said = "Authenticating with existing credentials..." + ("" if cli.name.startswith("docker-20") else " [Username: ann]")
    assert said in again.out + again.err
    assert json.loads(before) == keeper.read() and pulled(cli, private, keeper).code == 0


def test_B13_credentials_that_the_registry_refuses_are_told_and_others_asked_for(cli, keeper, private):
    keeper.write(auths={private.host: OLD})
    refused = cli("login", private.host, env=keeper.environment)
    assert refused.code == 1 and "Cannot perform an interactive login from a non TTY device" in refused.err, refused
    assert "Stored credentials invalid or expired" in refused.err or "Login did not succeed, error: " in refused.err, refused
    assert keeper.read()["auths"] == {private.host: OLD}


@pytest.mark.parametrize("given", ["s3cret-canary\n\n", "s3cret-canary\r\n\n\r\n", "\ns3cret-canary\n"])
def test_B13_line_ends_around_a_password_are_none_of_it(cli, keeper, private, given):
    result = login(cli, private.host, keeper, given)
    if cli.name.startswith("docker-20"):
        assert result.code == 1, "docker's of then took one away"
        return
    assert "Login Succeeded" in result.ok() and keeper.read()["auths"] == {private.host: {"auth": PAIR}}


def test_B13_spaces_of_a_password_are_its_own(apus, keeper, tmp_path):
    spaced = Registry(str(tmp_path / "spaced"), htpasswd=password_line("ann", " a word "))
    try:
        assert "Login Succeeded" in login(apus, spaced.host, keeper, " a word \n").ok()
    finally:
        spaced.stop()


NUMBERS = (
    9223372036854775807, 9223372036854775808, 12345678901234567890, 18446744073709551615, 18446744073709551616, -9223372036854775809,
    12345678901234567890123456789012345678, 0.5, -1.25, 1e100, 1000, 0)


def test_B13_numbers_that_stand_in_the_file_stay_as_they_are(apus, keeper, private):
    keeper.write(numbers=list(NUMBERS), nested={"large": 12345678901234567890})
    login(apus, private.host, keeper).ok()
    kept = keeper.read()
    assert kept["numbers"] == list(NUMBERS) and [type(number) for number in kept["numbers"]] == [type(number) for number in NUMBERS]
    assert kept["nested"] == {"large": 12345678901234567890}
    apus("logout", private.host, env=keeper.environment).ok()
    assert keeper.read() == {"auths": {}, "numbers": list(NUMBERS), "nested": {"large": 12345678901234567890}}
