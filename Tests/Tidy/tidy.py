#!/usr/bin/env python3
"""Holds the tree to docs/architecture.md and docs/house-style.md.

Each rule is a function from a source file to its findings. A finding that stands in exceptions.txt is
let through; an exception that no longer matches anything fails the run, so the list only shrinks.
"""

import ast
import importlib.machinery
import importlib.util
import os
import re
import subprocess
import sys
from dataclasses import dataclass

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
EXCEPTIONS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "exceptions.txt")

SOURCE_LINES, TEST_LINES, FUNCTION_LINES, PYTHON_COLUMNS = 600, 1000, 70, 160
PUBLIC_MODULES = {"CoreTypes", "OCISpec", "EngineAPI", "EngineClient"}
STANDARD = {"Swift", "_Concurrency", "_StringProcessing", "Synchronization"}
# Words of the architecture's table for what comes with the toolchain and stands in no Package.swift, and what each lets a module import.
TOOLCHAIN = {
    "libc": {"Glibc", "Musl"}, "Dispatch": {"Dispatch"}, "FoundationEssentials": {"FoundationEssentials"},
    "Foundation": {"Foundation", "FoundationEssentials"},
}
# Whatever these executables reach is without them: they are static and begin at once.
STATIC_EXECUTABLES = ("apus-runtime", "apus-shim", "apus-net")
TOO_LARGE_FOR_STATIC = {"Foundation", "FoundationEssentials", "Dispatch"}
# Targets of C that are no library of others.
C_SOURCES = {"CLinux", "CRuntimeEntry"}
# The tables of architectures: no other file may know for which machine it is compiled.
ARCHITECTURE_TABLES = {
    "Sources/Base/CoreTypes/Platform.swift", "Sources/Linux/Seccomp/AuditArchitecture.swift", "Sources/Runtime/RuntimeCore/ExecutableFormat.swift",
    "Sources/Runtime/CRuntimeEntry/entry.c",
}
# The files of a module in which the C libraries that it owns are called, one for each.
BINDINGS = {
    "Seccomp": {"Libseccomp.swift"}, "Archive": {"LibArchive.swift", "Libbz2.swift", "Libisal.swift", "Liblzma.swift", "Libzstd.swift"},
    "ContentStore": {"Libcrypto.swift"}, "Zstd": {"Libzstd.swift"}, "Registry": {"Libcurl.swift"}, "TLSTransport": {"Libssl.swift"},
    # It had no LinuxSyscalls below it before `cp`: a file for each kind of call.
    "apus": {"Terminal.swift", "StandardStream.swift", "SignalCalls.swift", "NewFile.swift", "ByteFile.swift", "HelperProcess.swift",
             "LocalZone.swift"},
    # Swift's own library: what runs a task's next part is unsafe by name.
    "Engine": {"TaskThreads.swift"}, "APIServer": {"EventLoopTasks.swift"},
}
IMPORT = re.compile(
    r"\s*(?:@\w+(?:\(\w+\))?\s+)*(?:public |package |internal |private )?import "
    r"(?:struct |class |enum |func |protocol |typealias )?(\w+)")
MODIFIERS = (
    r"\s*(?:(?:@\w+(?:\(.*?\))?|public|package|private|fileprivate|internal|static|mutating|consuming|borrowing|nonisolated|override|"
    r"final|convenience|required|class|lazy|weak|(?:private|fileprivate|package)\(set\))\s+)*")
FUNCTION = re.compile(MODIFIERS + r"(?:func\s+(?P<name>[^\s(<]+)|(?P<init>init)[?(<]|(?P<deinit>deinit)\b)")
TYPE = re.compile(MODIFIERS + r"(?:indirect\s+)?(?:struct|class|enum|actor|protocol|extension)\s+\w")
PROPERTY = re.compile(MODIFIERS + r"(?:(?:var|let)\s+(?P<name>\w+)|(?P<subscript>subscript)\b)")
SHOWN = re.compile(
    r"\b(public|open)\s+(?!import)(?:\w+\s+)*"
    r"(?:func|var|let|struct|class|enum|actor|protocol|init|extension|typealias|static|subscript)\b")
# What the daemon runs, but for Telemetry, which waits by Swift's clock.
DAEMON_MODULES = {"Engine", "APIServer", "apusd", "Images", "Registry", "Networking", "Records", "Snapshots", "ContentStore", "TLSTransport"}
SHARED_THREADS = re.compile(r"(?<!\w)Task(?:\.detached)?(?:\(priority:.*?\))? \{|Task\.sleep|DispatchQueue\.global|attributes: \.concurrent")
BANNED_NAMES = re.compile(r"(?<![A-Za-z])[A-Za-z]*(Utils|Utilities|Helpers?|Common|Extras|Manager)(?![a-z])")
BANNED_WORDS = [
    (re.compile(r"\b(TODO|FIXME|XXX|HACK)\b"), "unfinished work belongs in an issue"),
    (re.compile(r"\bfatalError\("), "a bug traps with precondition, input throws"),
    (re.compile(r"\btry!"), "a thrown error must be handled"),
    (re.compile(r"\bas!"), "a forced cast traps"),
    (re.compile(r"@unchecked\s+Sendable"), "Sendable must be checked"),
    (re.compile(r"nonisolated\(unsafe\)"), "shared state must be isolated"),
    (re.compile(r"\b(?:NS)?(?:Regex|RegularExpression)\s*[(<{]"), "it tries without an end what a stranger may choose: TextExpression does not"),
]


@dataclass(frozen=True)
class Finding:
    rule: str
    path: str
    line: int
    text: str

    def key(self):
        return f"{self.rule} {self.path} {self.text}"

    def __str__(self):
        return f"{self.path}:{self.line}: {self.rule}: {self.text}"


@dataclass
class Source:
    """One file: its path below the root, its module, and its lines."""
    path: str
    lines: list

    @property
    def parts(self):
        return self.path.split("/")

    @property
    def module(self):
        return self.parts[2] if self.path.startswith("Sources/") and len(self.parts) > 3 else ""

    @property
    def is_test(self):
        return self.path.startswith("Tests/")

    @property
    def is_generated(self):
        return any("generated" in line.lower() and line.startswith("//") for line in self.lines[:8])

    def code(self):
        """Lines with comments and string contents blanked, so that rules see code only."""
        in_text = False
        for number, line in enumerate(self.lines, 1):
            if line.count('"""') % 2 == 1:
                in_text = not in_text
                yield number, ""
                continue
            if in_text:
                yield number, ""
                continue
            bare = re.sub(r'"(?:\\.|[^"\\])*"', '""', line)
            yield number, re.sub(r"//.*$", "", bare)


def layer_table(manifest):
    """module -> set of modules its line in Package.swift lists, products of packages under their own names."""
    aliases = dict(re.findall(r"let (\w+): Target\.Dependency = \.product\(name: \"([\w-]+)\"", manifest))
    table = {}
    for name, uses in re.findall(r'(?:module|executable)\(\s*"([\w-]+)", in: "\w+"(?:,\s*uses: \[(.*?)\])?', manifest, re.S):
        listed = set()
        for item in filter(None, (word.strip() for word in (uses or "").split(","))):
            listed.add(item.strip('"') if item.startswith('"') else aliases.get(item, item))
        table[name] = listed
    return table


def reach(table, module):
    """All that a module may import: what its line lists and whatever that reaches."""
    seen, waiting = set(), [module]
    while waiting:
        for used in table.get(waiting.pop(), ()):
            if used not in seen:
                seen.add(used)
                waiting.append(used)
    return seen


def documented_table(page):
    """module -> the words of its row's last column in docs/architecture.md; a row may stand for several modules."""
    table = {}
    for line in page.splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if len(cells) == 4 and re.fullmatch(r"\d|T", cells[0]):
            for name in re.findall(r"`([\w-]+)`", cells[1]):
                table[name] = set(re.findall(r"[\w-]+", cells[3]))
    return table


def with_toolchain(table, page):
    """The manifest's table, and beside it what the page's rows list of the toolchain."""
    written = documented_table(page)
    return {module: used | (written.get(module, set()) & TOOLCHAIN.keys()) for module, used in table.items()}


def layers(table, page):
    """Where Package.swift and the table of docs/architecture.md differ in what of ours a module may import."""
    written = documented_table(page)
    for module in table:
        if module not in written:
            yield Finding("layers", "docs/architecture.md", 1, f"{module} has no row")
    for module in table.keys() & written.keys():
        listed = written[module]
        if "module" in listed:  # "their top module": what an executable starts
            continue
        allowed = listed | {used for name in listed for used in reach(written, name)}
        for used in sorted(table[module] & table.keys() - allowed):
            yield Finding("layers", "docs/architecture.md", 1, f"{module} may not import {used} by its row, and does by Package.swift")
        for used in sorted(listed & table.keys() - reach(table, module)):
            yield Finding("layers", "Package.swift", 1, f"{module} may not import {used} by its line, and does by docs/architecture.md")
    for executable in STATIC_EXECUTABLES:
        for used in sorted(reach(with_toolchain(table, page), executable) & TOO_LARGE_FOR_STATIC):
            yield Finding("layers", "docs/architecture.md", 1, f"{executable} reaches {used}")


# Which folders of Sources/ a folder stands on; what is in none of them is itself.
FOLDERS = {
    "Base": set(), "Client": {"Base"}, "Linux": {"Base"}, "Runtime": {"Base", "Linux"}, "Shim": {"Base", "Linux"}, "Storage": {"Base", "Linux"},
    "Images": {"Base", "Linux", "Storage"}, "Engine": {"Base", "Linux", "Storage", "Shim", "Images"},
}


def folders(manifest, table):
    """Where a module's line lists one of a folder that its own does not stand on."""
    homes = dict(re.findall(r'(?:module|executable|cLibrary)\(\s*"([\w-]+)", in: "(\w+)"', manifest))
    for module in table:
        for used in sorted(table[module] & homes.keys()):
            if homes[used] not in FOLDERS[homes[module]] | {homes[module]}:
                yield Finding("layers", "Package.swift", 1, f"{module} of {homes[module]} may not use {used} of {homes[used]}")


def tree(paths, page):
    """Folders of sources and tests, what lies beside these, pages and folders of data that the page's picture of the tree does not name; pages that it
    names and that are not there."""
    picture = page.partition("## Tree")[2].partition("\n## ")[0].partition("\n```\n\n")[0]
    named = set(re.findall(r"[\w-]+", picture))
    split = [path.split("/") for path in paths]
    kept = {part for top, *rest in split if top == "Sources" and len(rest) > 1 for part in rest[:2]}
    kept |= {rest[0].partition(".")[0] for top, *rest in split if top == "Tests"} | {rest[0] for top, *rest in split if top == "spec-fixtures"}
    kept |= {rest[0].removesuffix(".md") for top, *rest in split if top == "docs"}
    for name in sorted(kept - named):
        if not is_c_library(name):
            yield Finding("layers", "docs/architecture.md", 1, f"the tree does not name {name}")
    pages = {parts[-1] for parts in split}
    for name in sorted(set(re.findall(r"(?<![\w/-])[\w-]+\.md", picture)) - pages):
        yield Finding("layers", "docs/architecture.md", 1, f"the tree names {name}, which is not there")


def imports(source, table):
    reached = reach(table, source.module)
    allowed = reached | STANDARD | {name for word in reached & TOOLCHAIN.keys() for name in TOOLCHAIN[word]}
    if source.module != "LinuxSyscalls":
        allowed -= {"CLinux"}
    for number, line in source.code():
        match = IMPORT.match(line)
        if match and source.module and match.group(1) not in allowed:
            yield Finding("import", source.path, number, f"{source.module} may not import {match.group(1)}")
        elif match and source.module and is_c_library(match.group(1)) and source.parts[-1] not in BINDINGS.get(source.module, ()):
            yield Finding("import", source.path, number, f"{match.group(1)} outside the module's binding file")


def inner_views(manifest, sources):
    """Tests that look into a module whose inside a release build hides: they would compile in a debug build alone."""
    open_modules = set(re.findall(r'module\(\s*"(\w+)",(?:(?!module\().)*?isTestable: true', manifest, re.S))
    for source in sources:
        if source.is_test:
            for number, line in source.code():
                if (match := re.match(r"@testable import (\w+)", line)) and match.group(1) not in open_modules:
                    yield Finding("import", source.path, number, f"a release build hides the inside of {match.group(1)}")


def load(name, *folders):
    """A file of Python of this tree, whatever its name ends with."""
    loader = importlib.machinery.SourceFileLoader(name.replace("-", "_"), os.path.join(ROOT, *folders, name))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    sys.modules[loader.name] = module
    loader.exec_module(module)
    return module


def unweakened(claims, tests):
    """Rows of the attack list's chapter on the runtime that tests claim, (row, path), and of which no test stands in the list of guards that are taken
    away: nothing shows that those can fail."""
    shown = {row for test in tests for row in re.findall(r"A[0-9]{2}(?=_|$)", test.partition("::")[2])}
    for row, path in sorted({row: path for row, path in sorted(claims, reverse=True) if row.startswith("A")}.items()):
        if row not in shown:
            yield Finding("weakened", path, 1, f"no guard of Tests/Weakened/weakenings.py stands for {row}")


def is_c_library(name):
    return re.match("C[A-Z]", name) and name not in C_SOURCES


def sizes(source, table):
    limit = TEST_LINES if source.is_test else SOURCE_LINES
    if not source.is_generated and len(source.lines) > limit:
        yield Finding("file-size", source.path, 1, f"over {limit} lines")


def functions(source, table):
    if source.is_generated:
        return
    if source.path.endswith(".swift"):
        yield from swift_functions(source)
    elif source.path.endswith((".c", ".h")):
        yield from c_functions(source)
    else:
        yield from python_functions(source)


def long_function(source, name, first, last):
    if last - first + 1 > FUNCTION_LINES:
        yield Finding("function-size", source.path, first, f"{name} is over {FUNCTION_LINES} lines")


def python_functions(source):
    for node in ast.walk(ast.parse("\n".join(source.lines))):
        if isinstance(node, ast.FunctionDef):
            yield from long_function(source, node.name, node.lineno, node.end_lineno)


def c_functions(source):
    """A body begins after a line that starts at the margin and ends with the brace at the margin."""
    start, name = None, ""
    for number, line in enumerate(source.lines, 1):
        if start is not None and line.startswith("}"):
            yield from long_function(source, name, start, number)
            start = None
        match = re.match(r"[A-Za-z_].*?(\w+)\(", line)
        if start is None and match:
            start, name = number, match.group(1)
        if start is not None and line.rstrip().endswith(";") and not line.startswith((" ", "\t")):
            start = None  # a declaration


def swift_functions(source):
    """The bodies that stand in a type or at the margin: functions, initialisers, properties, subscripts, and closures that are values."""
    start, depth, name, opened, in_head = None, 0, "", False, False
    for number, line in source.code():
        if start is None:
            if in_head or TYPE.match(line):  # its body is no function, though its head may take several lines
                in_head = "{" not in line
                continue
            function, property = FUNCTION.match(line), PROPERTY.match(line)
            if function:
                start, name = number, next(filter(None, function.groups()))
            elif line.count("{") > line.count("}"):
                start, name = number, next(filter(None, property.groups()), "a body") if property else "a body"
            else:
                continue
            depth, opened = 0, False
        depth += line.count("{") - line.count("}")
        opened = opened or "{" in line
        if opened and depth <= 0:
            yield from long_function(source, name, start, number)
            start = None
        elif not opened and (number - start > 12 or (number > start and re.match(r"\s*(?:}|func|var|let|init|static)", line))):
            start = None  # a requirement of a protocol has no body


def columns(source, table):
    """Swift's lines are held to .swift-format."""
    for number, line in enumerate(source.lines, 1):
        if len(line) > PYTHON_COLUMNS:
            yield Finding("columns", source.path, number, f"over {PYTHON_COLUMNS} columns")


def words(source, table):
    for number, line in enumerate(source.lines, 1):
        for pattern, reason in BANNED_WORDS:
            if pattern.search(line):
                yield Finding("word", source.path, number, f"{pattern.search(line).group(0)}: {reason}")
    for number, line in source.code():
        declared = re.search(r"\b(?:struct|class|enum|actor|protocol|extension|typealias)\s+(\w+)", line)
        if declared and BANNED_NAMES.fullmatch(declared.group(1)):
            yield Finding("name", source.path, number, f"{declared.group(1)} says nothing about what it is")
        if declared and not line.lstrip().startswith("extension") and declared.group(1) == source.module:
            yield Finding("name", source.path, number, f"{declared.group(1)} is its module's name")
    if BANNED_NAMES.fullmatch(os.path.splitext(source.parts[-1])[0]):
        yield Finding("name", source.path, 1, "the file's name says nothing about what it holds")


def access(source, table):
    if source.is_test or not source.path.endswith(".swift") or source.module in PUBLIC_MODULES:
        return
    for number, line in source.code():
        if SHOWN.search(line):
            yield Finding("public", source.path, number, f"{source.module} shows nothing outside the package")


def unsafety(source, table):
    if source.is_test or not source.path.endswith(".swift") or source.module == "LinuxSyscalls":
        return
    if source.parts[-1] in BINDINGS.get(source.module, ()):
        return
    for number, line in source.code():
        if re.search(r"(?<![\w.@])unsafe\b", line) or "@unsafe" in line or "@safe" in line:
            yield Finding("unsafe", source.path, number, "outside LinuxSyscalls and the module's binding file")


def architectures(source, table):
    if source.is_test or source.path in ARCHITECTURE_TABLES:
        return
    for number, line in source.code():
        if re.search(r"#\s*(?:else)?if.*(?:\barch\(|__x86_64__|__aarch64__|__i386__)", line):
            yield Finding("architecture", source.path, number, "only the tables of architectures know the machine")


def threads(source, table):
    if source.is_test or source.module not in DAEMON_MODULES or not source.path.endswith(".swift"):
        return
    for number, line in source.code():
        if found := SHARED_THREADS.search(line):
            yield Finding("threads", source.path, number, f"{found.group(0)}: on threads of libdispatch's that all share (decision 60)")


RULES = [imports, sizes, functions, words, access, unsafety, architectures, threads]
PYTHON_RULES = [sizes, functions, columns]


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return Source(path, file.read().splitlines())


def present():
    listed = subprocess.run(["git", "-C", ROOT, "ls-files", "--cached", "--others", "--exclude-standard"],
                            check=True, capture_output=True, text=True).stdout.splitlines()
    return [path for path in listed if os.path.exists(os.path.join(ROOT, path))]


def is_code(path):
    return path.startswith(("Sources/", "Tests/", "Benchmarks/", "scripts/")) \
        and (path.endswith((".swift", ".c", ".h", ".py")) or ("." not in os.path.basename(path) and is_python(path)))


def is_python(path):
    with open(os.path.join(ROOT, path), "rb") as file:
        return re.match(rb"#!.*python", file.readline()) is not None


def check(source, table):
    rules = RULES if source.path.endswith((".swift", ".c", ".h")) else PYTHON_RULES
    return [finding for rule in rules for finding in rule(source, table)]


def judge(findings, excepted):
    """What breaks a rule without an exception, and exceptions that nothing needs any more: the list only shrinks."""
    needed = {finding.key() for finding in findings}
    return [finding for finding in findings if finding.key() not in excepted], sorted(excepted - needed)


def exceptions():
    """What is let through: keys of findings, each with its reason behind it."""
    with open(EXCEPTIONS, encoding="utf-8") as file:
        lines = [line.strip() for line in file if not line.startswith("#")]
    for line in lines:
        assert re.search(r"\S #+ \S", line), f"exceptions.txt: without a reason: {line}"
    return {line.split("#")[0].strip() for line in lines}


def main():
    with open(os.path.join(ROOT, "Package.swift"), encoding="utf-8") as file:
        manifest = file.read()
    table = layer_table(manifest)
    with open(os.path.join(ROOT, "docs/architecture.md"), encoding="utf-8") as file:
        page = file.read()
    importable = with_toolchain(table, page)
    excepted = exceptions()
    kept = present()
    paths = [path for path in kept if is_code(path)]
    sources = [read(path) for path in paths]
    findings = [*layers(table, page), *folders(manifest, table), *tree(kept, page), *inner_views(manifest, sources)]
    claims = [(row, path) for row, _, path in load("list-features", "scripts").collect()["attack"]]
    findings += unweakened(claims, [test for guard in load("weakenings.py", "Tests", "Weakened").WEAKENINGS for test in guard.tests])
    findings += [finding for source in sources for finding in check(source, importable)]
    broken, stale = judge(findings, excepted)
    for finding in broken:
        print(finding)
    for key in stale:
        print(f"exceptions.txt: nothing needs this any more, take it out: {key}")
    print(f"tidy: {len(paths)} files, {len(broken)} findings, {len(excepted) - len(stale)} exceptions, {len(stale)} stale")
    return 1 if broken or stale else 0


if __name__ == "__main__":
    sys.exit(main())
