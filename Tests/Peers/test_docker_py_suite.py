"""docker-py's own integration tests of networks and volumes, against dockerd and against apusd: at least what passes there passes here."""

import pytest

import docker_py_suite


def test_docker_pys_tests_of_networks_and_volumes_end_as_with_dockerd():
    try:
        theirs, ours = docker_py_suite.compare(docker_py_suite.NETWORKS_AND_VOLUMES)
    except docker_py_suite.Missing as missing:
        pytest.skip(str(missing))
    assert sum(outcome == "passed" for outcome, _ in theirs.values()) > 20, theirs
    worse, known = docker_py_suite.worse(theirs, ours), docker_py_suite.known()
    assert not {name: found for name, found in worse.items() if name not in known}
    # What is known to fail and passes is taken off the list.
    assert not {name for name in known if name in theirs and name not in worse}
