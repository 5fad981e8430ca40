"""Each rule of tidy.py is shown to fail on a bad sample and to pass on the good one beside it."""

import os
import shutil
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tidy

MANIFEST = '''
let nioCore: Target.Dependency = .product(name: "NIOCore", package: "swift-nio")
    module("CoreTypes", in: "Base"),
    module("LinuxSyscalls", in: "Linux", uses: ["CLinux"]),
    module("Rootfs", in: "Runtime", uses: ["LinuxSyscalls", "CoreTypes"]),
    module("EngineAPI", in: "Base", uses: ["CoreTypes"]),
    module("Networking", in: "Engine", uses: ["LinuxSyscalls", "CoreTypes"]),
    module("Archive", in: "Storage", uses: ["LinuxSyscalls", "CoreTypes", "CArchive"]),
    module("APIServer", in: "Engine", uses: ["EngineAPI", nioCore]),
    executable("apus-runtime", in: "Runtime", uses: ["Rootfs"], linking: fullyStatic),
'''
TABLE = tidy.layer_table(MANIFEST)
PAGE = """
| 1 | `CoreTypes` | Words | none |
| 1 | `LinuxSyscalls` | Calls | CLinux, libc |
| 2 | `Rootfs` | Mounts | LinuxSyscalls, CoreTypes |
| 2 | `EngineAPI` | Documents | CoreTypes, FoundationEssentials |
| 3 | `Networking` | Bridges | LinuxSyscalls, CoreTypes, Dispatch |
| 3 | `Archive` | tar | LinuxSyscalls, CoreTypes |
| 6 | `APIServer` | Routes | EngineAPI, Builder, NIOCore |
| 7 | `apus-runtime`, `apusd` | Read the command line | their top module |
"""
IMPORTABLE = tidy.with_toolchain(TABLE, PAGE)


def findings(rule, text, path="Sources/Runtime/Rootfs/Mounts.swift"):
    return [finding.text for finding in rule(tidy.Source(path, text.splitlines()), IMPORTABLE)]


def test_the_layer_table_is_read_from_the_manifest():
    assert TABLE["Rootfs"] == {"LinuxSyscalls", "CoreTypes"}
    assert TABLE["CoreTypes"] == set()
    assert tidy.reach(TABLE, "apus-runtime") == {"Rootfs", "LinuxSyscalls", "CLinux", "CoreTypes"}
    assert "NIOCore" in TABLE["APIServer"]


@pytest.mark.parametrize("line, path", [
    ("import APIServer", "Sources/Runtime/Rootfs/A.swift"),
    ("package import NIOCore", "Sources/Runtime/Rootfs/A.swift"),
    ("internal import CLinux", "Sources/Runtime/Rootfs/A.swift"),
    ("import Foundation", "Sources/Runtime/Rootfs/A.swift"),
    ("import Foundation", "Sources/Base/EngineAPI/A.swift"),
    ("import Glibc", "Sources/Base/CoreTypes/A.swift"),
    ("import Glibc", "Sources/Base/EngineAPI/A.swift"),
    ("import Foundation", "Sources/Engine/Networking/A.swift"),
    ("import FoundationEssentials", "Sources/Storage/Archive/A.swift"),
    ("import Dispatch", "Sources/Storage/Archive/A.swift"),
    ("internal import CArchive", "Sources/Storage/Archive/A.swift"),
])
def test_an_import_that_the_table_does_not_list_is_found(line, path):
    assert findings(tidy.imports, line, path)


@pytest.mark.parametrize("line, path", [
    ("package import LinuxSyscalls", "Sources/Runtime/Rootfs/A.swift"),
    ("internal import CLinux", "Sources/Linux/LinuxSyscalls/A.swift"),
    ("import FoundationEssentials", "Sources/Base/EngineAPI/A.swift"),
    ("internal import NIOCore", "Sources/Engine/APIServer/A.swift"),
    ("import FoundationEssentials", "Sources/Engine/APIServer/A.swift"),
    ("internal import Glibc", "Sources/Runtime/Rootfs/A.swift"),
    ("import Dispatch", "Sources/Engine/Networking/A.swift"),
    ("internal import CArchive", "Sources/Storage/Archive/LibArchive.swift"),
    ("import Synchronization", "Sources/Base/CoreTypes/A.swift"),
])
def test_an_import_that_the_table_reaches_passes(line, path):
    assert not findings(tidy.imports, line, path)


@pytest.mark.parametrize("row, other, finding", [
    ("LinuxSyscalls, CoreTypes |", "LinuxSyscalls |", "Rootfs may not import CoreTypes by its row, and does by Package.swift"),
    ("| EngineAPI, Builder", "| EngineAPI, Rootfs, Builder", "APIServer may not import Rootfs by its line, and does by docs/architecture.md"),
    ("`EngineAPI` | Documents", "`Engine` | Documents", "EngineAPI has no row"),
    ("`Rootfs` | Mounts | LinuxSyscalls", "`Rootfs` | Mounts | LinuxSyscalls, Dispatch", "apus-runtime reaches Dispatch"),
])
def test_a_row_of_the_architecture_that_the_manifest_does_not_follow_is_found(row, other, finding):
    assert list(tidy.layers(TABLE, PAGE)) == []
    assert finding in [found.text for found in tidy.layers(TABLE, PAGE.replace(row, other))]


def test_a_folder_that_reaches_back_up_is_found():
    assert list(tidy.folders(MANIFEST, TABLE)) == []
    other = MANIFEST.replace('in: "Base", uses: ["CoreTypes"]', 'in: "Base", uses: ["CoreTypes", "Archive"]')
    assert [found.text for found in tidy.folders(other, tidy.layer_table(other))] == ["EngineAPI of Base may not use Archive of Storage"]


def test_where_a_module_of_ours_reaches_beside_its_folder_it_stands_on_the_list_with_its_reason(tmp_path, monkeypatch):
    with open(os.path.join(tidy.ROOT, "Package.swift"), encoding="utf-8") as file:
        manifest = file.read()
    found = {finding.key() for finding in tidy.folders(manifest, tidy.layer_table(manifest))}
    listed = {key for key in tidy.exceptions() if " may not use " in key}
    assert found == listed and "layers Package.swift apus of Client may not use Archive of Storage" in found
    # With the reach gone, what excused it fails.
    mended = manifest.replace('"Templates", "Archive"]', '"Templates"]')
    assert tidy.judge(list(tidy.folders(mended, tidy.layer_table(mended))), listed)[1] == ["layers Package.swift apus of Client may not use Archive of Storage"]
    (tmp_path / "exceptions.txt").write_text("# RULE PATH TEXT\nimport a.swift A may not import B\n")
    monkeypatch.setattr(tidy, "EXCEPTIONS", str(tmp_path / "exceptions.txt"))
    with pytest.raises(AssertionError, match="without a reason"):
        tidy.exceptions()


def test_a_folder_that_the_picture_of_the_tree_does_not_name_is_found():
    page = "## Tree\nSources/ Linux/{CLinux,Seccomp} Tests/ Tidy/\n## Facts\nRecords\n"
    paths = ["Sources/Linux/Seccomp/A.swift", "Sources/Linux/CSeccomp/shim.h", "Tests/Tidy/tidy.py"]
    assert list(tidy.tree(paths, page)) == []
    more = ["Sources/Storage/Records/A.swift", "Tests/Peers/a.py", "Tests/odd.txt", "docs/new.md", "spec-fixtures/schemas/SOURCE"]
    found = tidy.tree([*paths, *more], page)
    assert [one.text for one in found] == [f"the tree does not name {name}" for name in ("Peers", "Records", "Storage", "new", "odd", "schemas")]


def test_a_page_that_the_picture_of_the_tree_names_and_that_is_not_there_is_found():
    page = "## Tree\n```\nLICENSE README.md docs/ decisions/NNNN-title.md old.md here.md\n```\n\n`docs/gone.md` has no place.\n## Facts\n"
    assert [one.text for one in tidy.tree(["README.md", "docs/here.md"], page)] == ["the tree names old.md, which is not there"]


def test_a_test_that_looks_into_a_module_that_a_release_build_hides_is_found():
    manifest = MANIFEST.replace('uses: ["EngineAPI", nioCore]', 'uses: ["EngineAPI", nioCore],\n        isTestable: true')
    def look(path, module):
        return [found.text for found in tidy.inner_views(manifest, [tidy.Source(path, ["import Testing", f"@testable import {module}"])])]
    assert look("Tests/Unit/RootfsTests/A.swift", "Rootfs") == ["a release build hides the inside of Rootfs"]
    assert look("Tests/Unit/APIServerTests/A.swift", "APIServer") == []
    assert look("Tests/Fuzz/Targets/A.swift", "Rootfs") == ["a release build hides the inside of Rootfs"]


def test_an_attack_of_the_runtime_whose_tests_no_guard_stands_for_is_found():
    claims = [("A04", "Tests/Conformance/a.py"), ("A10", "Tests/Conformance/a.py"), ("B01", "Tests/API/b.py"), ("A13", "Tests/Conformance/c.py")]
    guards = ["test_a.py::test_A04_A10_a_link", "API/test_b.py::test_attack_A13"]
    assert list(tidy.unweakened(claims, guards)) == []
    found = list(tidy.unweakened(claims, ["test_a.py::test_A04_a_link", "API/test_b.py::test_attack_A13_x"]))
    assert [(one.path, one.text) for one in found] == [("Tests/Conformance/a.py", "no guard of Tests/Weakened/weakenings.py stands for A10")]


def test_a_file_over_its_limit_is_found_and_a_test_may_be_longer():
    long = "let a = 1\n" * 601
    assert findings(tidy.sizes, long)
    assert not findings(tidy.sizes, "// Generated table.\n" + long)
    assert not findings(tidy.sizes, long, "Tests/Unit/RootfsTests/A.swift")
    assert findings(tidy.sizes, "let a = 1\n" * 1001, "Tests/Unit/RootfsTests/A.swift")


def function(lines):
    return "package func prepare(\n    a: Int\n) throws(SyscallError) {\n" + "    step()\n" * (lines - 4) + "}\n"


def test_a_function_over_its_limit_is_found():
    assert findings(tidy.functions, function(71)) == ["prepare is over 70 lines"]
    assert not findings(tidy.functions, function(70))
    assert not findings(tidy.functions, function(40) + function(40))


@pytest.mark.parametrize("head, name", [
    ("package var plan: [Step] {", "plan"), ("    private lazy var plan = {", "plan"), ("static let plan: @Sendable (Int) -> Void = { number in", "plan"),
    ("    subscript(index: Int) -> Step {", "subscript"), ("group.addTask {", "a body"), ("package func plan<A>(of a: A) -> Plan where A: B {", "plan"),
])
def test_a_property_a_subscript_or_a_closure_over_its_limit_is_found(head, name):
    def text(lines):
        return f"extension Plan:\n    Equatable\n{{\n{head}\n" + "        step()\n" * (lines - 2) + "    }\n\n    var size: Int { 0 }\n}\n"

    assert findings(tidy.functions, text(92)) == [f"{name} is over 70 lines"]
    assert not findings(tidy.functions, text(70))


def test_a_type_is_no_function_however_long_it_is():
    assert not findings(tidy.functions, "package struct Plan:\n    Sendable\n{\n" + "    var size: Int { 0 }\n\n    let steps: [Int]\n" * 40 + "}\n")
    assert not findings(tidy.functions, "protocol Planner {\n" + "    var size: Int { get }\n    func plan()\n" * 40 + "}\n")


def test_a_line_of_python_over_its_limit_is_found():
    assert findings(tidy.columns, "a = 1\n# " + "x" * 159, "scripts/measure.py") == ["over 160 columns"]
    assert not findings(tidy.columns, "# " + "x" * 158, "scripts/measure.py")


@pytest.mark.parametrize("path, first, line, last", [
    ("Sources/Linux/CLinux/calls.c", "static long apus_call(int number,\n    long argument) {\n", "    argument += 1;\n", "}\n"),
    ("scripts/measure.py", "class Measure:\n    def run(self):\n", "        self.count += 1\n", ""),
])
def test_a_function_of_c_or_python_over_its_limit_is_found(path, first, line, last):
    declaration = "long apus_other(void);\n" if path.endswith(".c") else ""
    assert findings(tidy.functions, declaration + first + line * 70 + last, path)
    assert not findings(tidy.functions, declaration + first + line * 60 + last, path)


@pytest.mark.parametrize("line", [
    "// TODO: later", "fatalError()", "let a = try! open()", "let a = b as! C",
    "final class A: @unchecked Sendable {}", "nonisolated(unsafe) var a = 1",
    "let a = try Regex(text)", "let a: Regex<Substring>", "let a = Regex {",
    "enum PathUtils {}", "struct MountManager {}", "extension StringHelper {}", "struct Rootfs {}",
])
def test_a_banned_word_or_name_is_found(line):
    assert findings(tidy.words, line)


@pytest.mark.parametrize("line", ["struct MountPlan {}", 'let text = "struct Utils"', "extension Rootfs {}"])
def test_an_honest_line_passes(line):
    assert not findings(tidy.words, line)


def test_a_file_named_after_nothing_is_found():
    assert findings(tidy.words, "", "Sources/Runtime/Rootfs/Helpers.swift")


def test_public_outside_the_embedded_libraries_is_found():
    assert findings(tidy.access, "public struct Mount {}")
    assert not findings(tidy.access, "public struct Port {}", "Sources/Base/EngineAPI/Port.swift")
    assert not findings(tidy.access, "package struct Mount {}")


def test_unsafe_outside_its_modules_is_found():
    assert findings(tidy.unsafety, "let a = unsafe pointer.pointee")
    assert not findings(tidy.unsafety, "let a = unsafe pointer.pointee", "Sources/Linux/LinuxSyscalls/A.swift")
    assert not findings(tidy.unsafety, "unsafe seccomp_load(x)", "Sources/Linux/Seccomp/Libseccomp.swift")
    assert not findings(tidy.unsafety, "// an unsafe place")


@pytest.mark.parametrize("line, path", [
    ("#if arch(x86_64)", "Sources/Client/apus/Verbs/Version.swift"), ("    #elseif arch(arm64)", "Sources/Engine/Engine/A.swift"),
    ("#if defined(__x86_64__)", "Sources/Linux/CLinux/calls.c"),
])
def test_a_machine_that_is_known_outside_the_tables_of_architectures_is_found(line, path):
    assert findings(tidy.architectures, line, path)
    assert not findings(tidy.architectures, line, "Sources/Base/CoreTypes/Platform.swift")


@pytest.mark.parametrize("name, text, outcome", [
    ("test_a.py", "# Rows: attacks\ndef test_D14_a_path_leads_out(cli):\n", "attack"),
    ("test_a.py", "def test_feature_D14_a_name_changes(cli):\n", "feature"),
    ("A.swift", '// Rows: features\n@Test("D14: a name changes")\n', "feature"),
    ("A.swift", '@Test(\n    "attack D14 a path leads out")\n', "attack"),
    ("test_a.py", "def test_D14_a_name_changes(cli):\n", "refused"),
    ("A.swift", '@Test("D14 a name changes")\n', "refused"),
    ("test_a.py", "# Rows: features\ndef test_attack_D14_a_path_leads_out(cli):\n", "refused"),
    ("test_a.py", "# Rows: features\n# Rows: attacks\ndef test_D14_a_name_changes(cli):\n", "refused"),
])
def test_a_rows_id_counts_for_the_list_that_its_file_or_its_name_says(tmp_path, name, text, outcome):
    for folder in ("scripts", "Tests", "docs"):
        (tmp_path / folder).mkdir()
    shutil.copy(os.path.join(tidy.ROOT, "scripts", "list-features"), tmp_path / "scripts" / "list-features")
    (tmp_path / "Tests" / name).write_text(text)
    done = subprocess.run([tmp_path / "scripts" / "list-features"], capture_output=True, text=True, check=False)
    if outcome == "refused":
        assert done.returncode == 1 and "D14" in done.stderr
        return
    assert done.returncode == 0, done.stderr
    features, attacks = (tmp_path / "docs" / "features.md").read_text().split("## Attacks")
    assert ("| D14 |" in features, "| D14 |" in attacks) == (outcome == "feature", outcome == "attack")


@pytest.mark.parametrize("line, path, is_found", [
    ("        Task { await self.run() }", "Sources/Engine/Engine/A.swift", True),
    ("        Task.detached(priority: .low) { run() }", "Sources/Engine/apusd/A.swift", True),
    ("        try await Task.sleep(for: .seconds(1))", "Sources/Images/Images/A.swift", True),
    ("DispatchQueue.global().async {}", "Sources/Images/Registry/A.swift", True),
    ('let queue = DispatchQueue(label: "a", attributes: .concurrent)', "Sources/Engine/Engine/A.swift", True),
    ("        group.addTask { await run() }", "Sources/Engine/Engine/A.swift", False),
    ("        Task(executorPreference: TaskThreads.daemon) { await self.run() }", "Sources/Engine/Engine/A.swift", False),
    ("        Task { await self.run() }", "Sources/Client/apus/A.swift", False),
])
def test_threads_that_all_share_are_not_the_daemons(line, path, is_found):
    assert bool(findings(tidy.threads, line, path)) == is_found


def test_an_exception_lets_one_finding_through_and_goes_when_nothing_needs_it():
    found = list(tidy.imports(tidy.Source("Sources/Runtime/Rootfs/A.swift", ["import APIServer"]), IMPORTABLE))
    keys = {finding.key() for finding in found}
    assert found and tidy.judge(found, set()) == (found, [])
    assert tidy.judge(found, keys) == ([], [])
    assert tidy.judge([], keys) == ([], sorted(keys)), "a stale exception fails"
    assert tidy.judge(found, keys | {"Sources/Gone.swift: sizes"})[1] == ["Sources/Gone.swift: sizes"]


def test_the_tree_passes():
    assert tidy.main() == 0


def test_every_guard_that_a_weakened_build_goes_without_stands_where_the_list_says():
    done = subprocess.run([os.path.join(tidy.ROOT, "scripts", "check-weakened"), "--texts"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_guard_that_is_gone_is_found(tmp_path):
    for name in ("scripts/check-weakened", "Tests/Weakened/weakenings.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(os.path.join(tidy.ROOT, name), tmp_path / name)
    shutil.copytree(os.path.join(tidy.ROOT, "Sources"), tmp_path / "Sources")
    path = tmp_path / "Sources/Runtime/RuntimeCore/SelfProtection.swift"
    path.write_text(path.read_text().replace("try setDumpable(false)", "try setDumpable(true)"))
    done = subprocess.run([tmp_path / "scripts/check-weakened", "--texts"], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "A26" in done.stderr
