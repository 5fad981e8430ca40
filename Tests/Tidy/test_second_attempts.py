"""scripts/second-attempts and scripts/count-tests: which tests of a run that failed may run once more, and how a run is counted where some did."""

import os
import subprocess
import sys

import pytest

SCRIPTS = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "scripts")
PATH = "Tests/API/test_execs.py"
ATTACKS = "Tests/Conformance/test_attacks.py"


def script(name, *words):
    return subprocess.run([sys.executable, os.path.join(SCRIPTS, name), *map(str, words)], capture_output=True, text=True, timeout=60, check=False)


def report(folder, path, **outcomes):
    """A file's JUnit document; outcomes are `passed` or an element's name."""
    folder.mkdir(exist_ok=True)
    tests = "".join(f'<testcase classname="{path}" name="{name}">{"" if outcome == "passed" else f"<{outcome}/>"}</testcase>'
                    for name, outcome in outcomes.items())
    (folder / f"{path.replace('/', '-')}.xml").write_text(f"<testsuites><testsuite>{tests}</testsuite></testsuites>")


def test_what_failed_may_run_once_more(tmp_path):
    report(tmp_path, PATH, test_one="passed", test_two="failure", test_three="error")
    (tmp_path / "ends.txt").write_text(f"1 {PATH}\n")
    told = script("second-attempts", tmp_path)
    assert (told.returncode, told.stdout) == (0, f"{PATH}::test_two\n{PATH}::test_three\n"), told


@pytest.mark.parametrize("ends, outcomes, reason", [
    (f"1 {PATH}", {f"test_{number}": "failure" for number in range(4)}, "4 failed"),
    (f"2 {PATH}", {"test_one": "failure"}, PATH),
    (f"1 {PATH}\n1 Tests/API/test_without_a_report.py", {"test_one": "failure"}, "Tests/API/test_without_a_report.py"),
], ids=["more than three", "a file that was broken off", "a file that tells of nothing"])
def test_no_second_attempt(tmp_path, ends, outcomes, reason):
    report(tmp_path, PATH, **outcomes)
    (tmp_path / "ends.txt").write_text(ends + "\n")
    told = script("second-attempts", tmp_path)
    assert (told.returncode, told.stdout, told.stderr) == (1, "", f"no second attempt: {reason}\n"), told


def test_an_attack_gets_no_second_attempt(tmp_path):
    report(tmp_path, ATTACKS, test_A08_a_made_up_one="failure")
    (tmp_path / "ends.txt").write_text(f"1 {ATTACKS}\n")
    told = script("second-attempts", tmp_path)
    assert (told.returncode, told.stdout, told.stderr) == (1, "", f"no second attempt: {ATTACKS}::test_A08_a_made_up_one\n"), told


def test_what_passed_only_then_is_counted_and_named(tmp_path):
    report(tmp_path, PATH, test_one="passed", test_two="failure", test_three="error")
    report(tmp_path / "again", PATH, test_two="passed", test_three="failure")
    (tmp_path / "skips.txt").write_text("")
    told = script("count-tests", tmp_path, tmp_path / "skips.txt")
    assert told.stdout == f"passed at the second attempt only: {PATH} test_two\n2 passed, 1 failed, 0 skipped\n" and told.returncode == 1, told
    report(tmp_path / "again", PATH, test_two="passed", test_three="passed")
    told = script("count-tests", tmp_path, tmp_path / "skips.txt")
    assert told.stdout.splitlines()[-1] == "3 passed, 0 failed, 0 skipped" and told.returncode == 0, told
