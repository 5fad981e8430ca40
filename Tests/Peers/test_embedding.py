"""Another package depends on this one by its path, builds, and uses what is meant for it: OCISpec, and EngineClient with what that shows."""

import os
import re
import shutil
import subprocess
import sys

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "Tests", "Fixtures"))
import own_network
from docker_py_suite import BUILD, start
from processes import stop

MANIFEST = """// swift-tools-version: 6.2
import PackageDescription

let package = Package(
    name: "embedder",
    dependencies: [.package(path: "%(root)s")],
    targets: [
        .executableTarget(
            name: "embedder",
            dependencies: [.product(name: "OCISpec", package: "%(package)s"), .product(name: "EngineClient", package: "%(package)s")])
    ])
"""
PROGRAM = """
import CoreTypes
import EngineAPI
import EngineClient
import OCISpec

let index = ImageIndex(manifests: [])
guard case .index(index)? = try? ImageDocument.decode(index.encode()) else { throw CancellationError() }
let client = Client(endpoint: EngineEndpoint(socketPath: CommandLine.arguments[1]))
let version = try await client.serverVersion()
print("api", version.apiVersion, "newest", APIVersion.newest)
print("containers", try await client.containers(all: true, limit: nil, withSizes: false, filters: Filters()).count)
do { _ = try await client.container("nosuch") } catch { print("refused", error) }
"""


@pytest.fixture(scope="module")
def embedder(tmp_path_factory):
    """The package, built. What it depends on is that which this build has, so that nothing is fetched again."""
    folder, built = tmp_path_factory.mktemp("embedder"), os.path.join(ROOT, ".build")
    (folder / "Sources/embedder").mkdir(parents=True)
    (folder / "Package.swift").write_text(MANIFEST % {"root": ROOT, "package": os.path.basename(ROOT).lower()}, encoding="utf-8")
    (folder / "Sources/embedder/main.swift").write_text(PROGRAM, encoding="utf-8")
    shutil.copy(os.path.join(ROOT, "Package.resolved"), folder)
    for name in ("repositories", "checkouts"):
        shutil.copytree(os.path.join(built, name), folder / ".build" / name, symlinks=True)
    # Not as our own programs are built: who embeds the modules links the toolchain's library.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("APUS_")}
    done = subprocess.run([os.environ.get("SWIFT", "swift"), "build", "--package-path", folder], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    yield folder / ".build/debug/embedder"
    shutil.rmtree(folder)


@pytest.fixture
def daemon(tmp_path):
    own_network.enter()
    folder = str(tmp_path)
    socket = os.path.join(folder, "apus.sock")
    process = start([os.path.join(BUILD, "apusd"), "--host", f"unix://{socket}", "--data-root", f"{folder}/data", "--exec-root", f"{folder}/run",
                     "--pidfile", f"{folder}/pid"], socket, f"{folder}/log")
    yield socket
    assert stop(process) == 0


def test_another_package_embeds_the_client_and_the_documents(embedder, daemon):
    done = subprocess.run([embedder, daemon], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    api, containers, refused = done.stdout.splitlines()
    told = re.fullmatch(r"api (\S+) newest (\S+)", api)
    assert told and told[1] == told[2]
    assert containers == "containers 0" and refused.startswith("refused ") and "No such container: nosuch" in refused
