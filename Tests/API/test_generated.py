"""What `apus` prints of its table of verbs for shells and for man(1)."""

import os
import re
import subprocess

import pytest

APUS = os.path.join(os.environ.get("APUS_BUILD", os.path.join(os.path.dirname(__file__), "..", "..", ".build", "release")), "apus")


def generated(kind):
    return subprocess.run([APUS, "__generate", kind], capture_output=True, text=True, check=True).stdout


def completed(*words):
    """What bash offers for the last of the words."""
    script = generated("bash") + f"""
        apus() {{ [[ $1 == ps ]] && printf 'alpha\\nbeta\\n'; [[ $1 == images ]] && echo busybox:latest; true; }}
        COMP_WORDS=(apus {' '.join(repr(word) for word in words)}); COMP_CWORD={len(words)}
        _apus; printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    return subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True).stdout.split()


@pytest.mark.parametrize("shell", ["bash", "fish", "powershell", "zsh"])
def test_a_verb_prints_the_completion_that_is_installed(shell):
    assert subprocess.run([APUS, "completion", shell], capture_output=True, text=True, check=True).stdout == generated(shell) != ""


@pytest.mark.parametrize("words, offered", [
    (["ren"], ["rename"]), (["container", "unp"], ["unpause"]), (["run", "--memory-sw"], ["--memory-swap", "--memory-swappiness"]),
    (["container", "run", "--cidf"], ["--cidfile"]), (["stop", ""], ["alpha", "beta"]), (["run", "busy"], ["busybox:latest"]),
    (["-H", "unix:///x", "stop", "al"], ["alpha"]), (["--log-l"], ["--log-level"]),
])
def test_bash_offers_verbs_flags_and_names(words, offered):
    assert completed(*words) == offered


def test_every_verb_and_flag_is_in_every_shells_completion():
    help_page = subprocess.run([APUS, "--help"], capture_output=True, text=True, check=True).stdout
    verbs = re.findall(r"^  ([a-z]+) ", help_page.split("\nCommands:\n")[1].split("\n\n")[0], re.M)
    flags = re.findall(r"--([a-z0-9-]+)", subprocess.run([APUS, "run", "--help"], capture_output=True, text=True, check=True).stdout)
    assert len(verbs) > 30 and len(flags) > 80
    for shell in ("bash", "zsh", "fish", "powershell"):
        text = generated(shell)
        missing = [word for word in verbs + flags if not re.search(rf"(?<!\w){re.escape(word)}(?![\w-])", text)]
        assert missing == [], shell


def test_powershell_can_read_its_tables():
    """Its keys know no case and stand once, what is said of a word has no quote that ends it, and brackets are in pairs."""
    script = generated("powershell")
    for table in re.findall(r"^    \$(?:words|flags|kinds) = @\{\n(.*?)^    \}$", script, re.M | re.S):
        row = r"        '([a-z _-]*)' = (?:@\(((?:'(?:[^']|'')*'(?:, )?)*)\)|'(?:containers|images|files)')"
        rows = [re.fullmatch(row, line) for line in table.splitlines()]
        assert all(rows) and len({row[1].lower() for row in rows}) == len(rows) > 5
    bare = re.sub(r"'(?:[^']|'')*'|\"[^\"]*\"|^#.*$", "", script, flags=re.M)
    assert all(bare.count(left) == bare.count(right) for left, right in ("()", "[]", "{}"))
    assert "'--memory-swap Swap limit" in script and "'-H Daemon socket" in script and "'prune " in script


def listed(*words):
    """The verbs of a help page, and its groups of verbs."""
    page = subprocess.run([APUS, *words, "--help"], capture_output=True, text=True, check=True).stdout
    return [verb for part in re.split(r"Commands:\n", page)[1:] for verb in re.findall(r"^  ([a-z][\w-]*) ", part.split("\n\n")[0], re.M)]


def verbs_with_their_groups():
    return [word for verb in listed() for word in ([f"{verb} {each}" for each in listed(verb)] or [verb])]


def test_each_verb_has_a_page_of_the_manual_that_man_can_read(tmp_path):
    subprocess.run([APUS, "__generate", "man", str(tmp_path)], check=True)
    pages = sorted(os.listdir(tmp_path))
    assert "apus.1" in pages and "apus-run.1" in pages and len(pages) > 30
    text = (tmp_path / "apus-run.1").read_text(encoding="utf-8")
    assert text.startswith(".TH APUS-RUN 1") and "\\fB\\-\\-memory\\fR" in text and "\n.SH SEE ALSO\n" in text
    for page in pages:
        lines = (tmp_path / page).read_text(encoding="utf-8").splitlines()
        known = {"TH", "SH", "B", "BR", "TP", "br"}
        assert all(line[1:].split(" ")[0] in known for line in lines if line.startswith(".")), page
    synopses = {}
    for page in pages:
        text = (tmp_path / page).read_text(encoding="utf-8").replace("\\-", "-").replace("\\fB", "").replace("\\fR", "")
        synopses.update(dict.fromkeys(re.findall(r"^(?:\.B )?(apus(?: [a-z-]+)+)", text.split(".SH SYNOPSIS")[1].split(".SH")[0], re.M), text))
    verbs = verbs_with_their_groups()
    assert len(verbs) > 90 and {"run", "container ls", "completion fish", "volume clone"} <= set(verbs)
    for verb in verbs:
        text = synopses[f"apus {verb}"]
        said = subprocess.run([APUS, *verb.split(), "--help"], capture_output=True, text=True, check=True).stdout
        flags = set(re.findall(r"^ +(?:-\w, )?(--[\w-]+)", said, re.M))
        assert flags <= set(re.findall(r"--[\w-]+", text)), verb
        assert said.strip().split("\n\n")[1] in " ".join(text.split()), verb
    assert subprocess.run([APUS, "__generate", "man", "/nosuch"], capture_output=True, check=False).returncode == 1
    assert subprocess.run([APUS, "__generate", "tcsh"], capture_output=True, check=False).returncode == 1
