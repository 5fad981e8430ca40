"""scripts/second-attempts and scripts/count-tests: which files of a run may run once more, and how a run is counted where some did."""

import os
import subprocess
import sys

import pytest

SCRIPTS = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "scripts")
PATH = "Tests/API/test_execs.py"
OTHER = "Tests/API/test_without_a_report.py"


def script(name, *words):
    return subprocess.run([sys.executable, os.path.join(SCRIPTS, name), *map(str, words)], capture_output=True, text=True, timeout=60, check=False)


def report(folder, path, **outcomes):
    """A file's JUnit document; outcomes are `passed` or an element's name."""
    folder.mkdir(exist_ok=True)
    tests = "".join(f'<testcase classname="{path}" name="{name}">{"" if outcome == "passed" else f"<{outcome}/>"}</testcase>'
                    for name, outcome in outcomes.items())
    (folder / f"{path.replace('/', '-')}.xml").write_text(f"<testsuites><testsuite>{tests}</testsuite></testsuites>")


def run_of(folder, ends, *files):
    """What else a run leaves: which of its files failed, and which there are."""
    (folder / "ends.txt").write_text(ends + "\n")
    (folder / "files.txt").write_text("".join(f"{path}\n" for path in files))


def test_the_files_of_what_failed_may_run_once_more(tmp_path):
    report(tmp_path, PATH, test_one="passed", test_two="failure", test_three="error")
    run_of(tmp_path, f"1 {PATH}", PATH)
    told = script("second-attempts", tmp_path)
    assert (told.returncode, told.stdout) == (0, f"{PATH}\n"), told


@pytest.mark.parametrize("ends, files, outcomes, reason", [
    (f"1 {PATH}", [PATH], {f"test_{number}": "failure" for number in range(4)}, "4 failed"),
    (f"2 {PATH}", [PATH], {"test_one": "failure"}, PATH),
    (f"1 {PATH}\n1 {OTHER}", [PATH, OTHER], {"test_one": "failure"}, OTHER),
    (f"1 {PATH}", [PATH, OTHER], {"test_one": "failure"}, OTHER),
], ids=["more than three", "a file that was broken off", "a file that tells of nothing", "a file that did not run"])
def test_no_second_attempt(tmp_path, ends, files, outcomes, reason):
    report(tmp_path, PATH, **outcomes)
    run_of(tmp_path, ends, *files)
    told = script("second-attempts", tmp_path)
    assert (told.returncode, told.stdout, told.stderr) == (1, "", f"no second attempt: {reason}\n"), told


@pytest.mark.parametrize("path, name", [
    ("Tests/Conformance/test_attacks.py", "test_A08_a_made_up_one"),
    ("Tests/API/test_images.py", "test_a_hostile_layer_touches_nothing_outside[attack_D01_parent]"),
    ("Tests/API/test_conversations.py", "test_attack_F16_a_made_up_one"),
])
def test_an_attack_gets_no_second_attempt(tmp_path, path, name):
    report(tmp_path, path, **{name: "failure"})
    run_of(tmp_path, f"1 {path}", path)
    told = script("second-attempts", tmp_path)
    assert (told.returncode, told.stdout, told.stderr) == (1, "", f"no second attempt: {path}::{name}\n"), told


def test_what_passed_only_then_is_counted_and_named(tmp_path):
    report(tmp_path, PATH, test_one="passed", test_two="failure", test_three="error", test_four="passed", test_five="failure")
    (tmp_path / "skips.txt").write_text("test_five\n")
    report(tmp_path / "again", PATH, test_one="passed", test_two="passed", test_three="failure", test_four="failure", test_five="skipped")
    told = script("count-tests", tmp_path, tmp_path / "skips.txt")
    assert told.stdout == f"passed at the second attempt only: {PATH} test_two\n2 passed, 3 failed, 0 skipped\n" and told.returncode == 1, told
    report(tmp_path / "again", PATH, test_one="passed", test_two="passed", test_three="passed", test_four="passed", test_five="passed")
    told = script("count-tests", tmp_path, tmp_path / "skips.txt")
    assert told.stdout.splitlines()[-1] == "5 passed, 0 failed, 0 skipped" and told.returncode == 0, told
