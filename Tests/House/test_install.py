"""`make install` and `make uninstall`, and what the installed files need of a machine."""

import os
import re
import subprocess

import pytest
from conftest import PROGRAMS, ROOT

LINK = "containerd-shim-apus-v2"
GLIBC = re.compile(r"(ld-linux.*|libc|libm|libdl|librt|libpthread)\.so\.\d+")


def make(goal, folder):
    """The goal with what it is built from taken as it is, and where its files go."""
    subprocess.run(["make", "-s", "-o", "build", goal, f"DESTDIR={folder}", "PREFIX=/opt/apus"], cwd=ROOT, check=True, capture_output=True)
    return os.path.join(folder, "opt", "apus", "bin")


@pytest.fixture
def installed(folder):
    return make("install", folder)


def kind(path):
    return subprocess.run(["file", "-b", path], capture_output=True, text=True, check=True).stdout


def needed(path):
    """The shared libraries that an executable names, without the C library's."""
    said = subprocess.run(["readelf", "-d", path], capture_output=True, text=True, check=True).stdout
    return {name for name in re.findall(r"\(NEEDED\).*\[(.+)\]", said) if not GLIBC.fullmatch(name)}


def libraries_of_the_readme():
    with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as file:
        return {name for name in re.findall(r"`(lib[\w+-]+\.so\.[\d.]+)`", file.read())}


def test_install_puts_every_program_and_the_shims_link_into_bin_and_uninstall_takes_them_away(installed, folder):
    assert sorted(os.listdir(installed)) == sorted([*PROGRAMS, LINK])
    assert os.readlink(os.path.join(installed, LINK)) == "apus-shim"
    for program in PROGRAMS:
        assert os.stat(os.path.join(installed, program)).st_mode & 0o7777 == 0o755
        assert "not stripped" not in kind(os.path.join(installed, program))
    units = os.path.join(folder, "opt", "apus", "lib", "systemd", "system")
    assert sorted(os.listdir(units)) == ["apus-shutdown.service", "apusd.service", "apusd.socket"]
    with open(os.path.join(units, "apusd.service"), encoding="utf-8") as file:
        assert "ExecStart=/opt/apus/bin/apusd --host fd://" in file.read()
    with open(os.path.join(units, "..", "user", "apusd-rootless.service"), encoding="utf-8") as file:
        assert "ExecStart=/opt/apus/bin/apusd --rootless" in file.read()
    assert os.path.exists(os.path.join(folder, "opt", "apus", "lib", "sysusers.d", "apus.conf"))
    share = os.path.join(folder, "opt", "apus", "share")
    for completion in ("bash-completion/completions/apus", "zsh/site-functions/_apus", "fish/vendor_completions.d/apus.fish"):
        assert os.path.getsize(os.path.join(share, completion)) > 10_000, completion
    assert {"apus.1", "apus-run.1", "apus-network-create.1"} <= set(os.listdir(os.path.join(share, "man", "man1")))
    make("uninstall", folder)
    assert [name for _, _, names in os.walk(folder) for name in names] == []


@pytest.mark.parametrize("program", ["apus-runtime", "apus-shim", "apus-net", "apus-init"])
def test_what_runs_beside_containers_is_static(installed, program):
    assert "statically linked" in kind(os.path.join(installed, program))
    assert needed(os.path.join(installed, program)) == set()


@pytest.mark.parametrize("program", ["apus", "apusd"])
def test_daemon_and_client_need_no_swift_and_only_what_the_readme_names(installed, program):
    libraries = needed(os.path.join(installed, program))
    assert not [name for name in libraries if "swift" in name.lower() or "Foundation" in name]
    assert libraries <= libraries_of_the_readme()
    if program == "apusd":
        assert libraries == libraries_of_the_readme()


@pytest.mark.parametrize("program", ["apus", "apusd", "apus-runtime", "apus-shim", "apus-net"])
def test_an_installed_program_tells_its_version(installed, program):
    said = subprocess.run([os.path.join(installed, program), "--version"], capture_output=True, text=True, check=True, env={}).stdout
    assert re.search(r"\b\d+\.\d+\.\d+\b", said)
