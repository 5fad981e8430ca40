"""The command line of the benchmarks; what they measure is run by `make bench`."""

import os
import subprocess

import pytest
from conftest import BUILD, ROOT


def benchmarks(*words, **variables):
    return subprocess.run([os.path.join(ROOT, "Benchmarks", "run"), *words], capture_output=True, text=True, timeout=60, check=False,
                          env={**os.environ, **variables})


def test_help_tells_the_comparisons_and_starts_none():
    told = benchmarks("--help")
    assert told.returncode == 0 and told.stderr == ""
    for word in ("runtime", "cycle", "exec", "peak", "limit", "growth", "calls", "engine",
                 "memory", "docker-exec", "parallel", "starts", "idle", "images", "network", "throughput",
                 "ports", "pulls", "logs", "life", "lists", "begin", "--rounds", "exit status"):
        assert word in told.stdout


@pytest.mark.parametrize("words", [["nosuch"], ["--nosuch"], ["--rounds"], ["--rounds", "x"], ["--rounds", "0"]])
def test_a_wrong_command_line_is_told_in_a_line_with_the_usage(words):
    told = benchmarks(*words)
    assert told.returncode == 2
    assert told.stderr.startswith("usage: ") and "Traceback" not in told.stderr


def test_a_comparison_that_fails_is_told_in_a_line_and_the_next_one_begins(tmp_path):
    told = benchmarks("--rounds", "2", "memory", "starts", APUS_BUILD=str(tmp_path))
    assert told.returncode == 1, told
    failures = [line for line in told.stdout.splitlines() if "FAILED" in line]
    assert [line.partition(":")[0] for line in failures] == ["memory FAILED", "starts FAILED"]
    assert all("apusd" in line for line in failures), failures
    assert told.stderr == "\nnot compared: memory, starts\n"
    assert "Traceback" not in told.stdout


def test_the_swift_library_cut_into_functions_links_to_the_same_program():
    told = subprocess.run([os.path.join(ROOT, "scripts", "split-swift-core"), "--verify"], capture_output=True, text=True, timeout=300, check=False)
    assert told.returncode == 0, told.stderr
    assert told.stdout == "split-swift-core: the programs are the same to the byte\n"


def test_the_runtime_has_its_nameless_functions_in_one_place_and_no_library_of_regular_expressions():
    """Either had cost every verb hundreds of kilobytes of memory."""
    program = os.path.join(BUILD, "apus-runtime")
    sections = subprocess.run(["readelf", "-SW", program], check=True, capture_output=True, text=True).stdout
    assert " .text.nameless " in sections
    names = subprocess.run(["nm", "--defined-only", program], check=True, capture_output=True, text=True).stdout
    assert "_StringProcessing" not in names and "_RegexParser" not in names
