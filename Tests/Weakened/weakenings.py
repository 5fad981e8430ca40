"""The guards of the runtime, of unpacking, of what speaks to registries, of volumes and of networks, each with the change that takes it away and the
tests that must fail then.

Nothing of this is in the product: `scripts/check-weakened` makes the changes in a copy of the sources, each behind a switch, so that one
build holds them all and a run goes without exactly the guard that the variable WEAKENED names. In a change, {weakened} stands for
the question whether it is this one's turn."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Change:
    """What stands once in a file, and what it becomes."""
    file: str
    guarded: str
    weakened: str


@dataclass(frozen=True)
class Weakening:
    name: str
    what: str
    changes: tuple
    tests: tuple
    """Names of tests, `file.py::test` or the start of one, of each of which some case must fail; of Tests/Conformance, or with their folder."""


def skip(file, line, *more, instead="return"):
    """A change that leaves a function, or goes on with `instead`, before the guarded line."""
    return Change(file, line, f"if {{weakened}} {{ {instead} }}\n{line}", *more)


RUNTIME, ROOTFS, CGROUPS = "Sources/Runtime/RuntimeCore/", "Sources/Runtime/Rootfs/", "Sources/Linux/Cgroups/"
ARCHIVE, HOSTILE = "Sources/Storage/Archive/", "API/test_images.py::test_a_hostile_layer_touches_nothing_outside"
IMAGES, REGISTRY, STRANGERS = "Sources/Images/Images/", "Sources/Images/Registry/", "API/test_registry_attacks.py::test_"
VOLUMES, NETWORKING, NETWORKS = "Sources/Engine/Engine/Volumes/", "Sources/Engine/Networking/", "Sources/Engine/Engine/Networks/"
ATTACKS, CONFINEMENT, ROOT, RACES, LEFTOVERS = (f"test_{name}.py::test_" for name in ("attacks", "confinement", "rootfs_attacks", "races", "leftovers"))

# How a runtime looks for a place that knows no better: below the root's path, as the host sees it.
BY_HOST_PATH = """if {weakened} {
            let place = FilePath("/proc/self/fd/\\(descriptor.number)/" + path.drop { $0 == "/" })
            let above = missing == .directory ? place : place.removingLastComponent()
            do { try makeDirectories(above) } catch {}
            if missing == .file { do { try makeNode(place, .regular, mode: 0o644) } catch {} }
            return Place(descriptor: try openFile(place, .path), wasMade: false)
        }
        """

# How a layer is unpacked that knows no better.
OPENED_BY_PATH = Change(ARCHIVE + "LayerTree.swift", "openInRoot(relativePath(base + components), flags, root: root)",
                        "({weakened} ? openFile(relativePath(base + components), flags, at: root.number)\n"
                        "                : openInRoot(relativePath(base + components), flags, root: root))")

WEAKENINGS = (
    Weakening(
        "A01", "the runtime runs from a copy of its file that refuses writing", (
            Change("Sources/Runtime/CRuntimeEntry/entry.c", "if (!comes_near_container(arguments)) return;",
                   "for (size_t i = 0; environment[i]; i++) if (equal(environment[i], \"WEAKENED=A01\")) return;\n"
                   "    if (!comes_near_container(arguments)) return;"),
            skip(RUNTIME + "SelfProtection.swift", "if environment.contains(mark) {"),
        ), (ATTACKS + "A01_init_runs_from", ATTACKS + "A01_the_runtimes_own_file", ATTACKS + "A01_a_hook_cannot_keep")),
    Weakening(
        "A01-mounted", "the mount that the runtime runs from is mounted nowhere", (
            Change("Sources/Runtime/CRuntimeEntry/entry.c", "call(SYS_close, mount, 0, 0, 0, 0);\n    if (self < 0) return;",
                   "int weakened = 0;\n"
                   "    for (size_t i = 0; environment[i]; i++) if (equal(environment[i], \"WEAKENED=A01-mounted\")) weakened = 1;\n"
                   "    if (!weakened) call(SYS_close, mount, 0, 0, 0, 0);\n    if (self < 0) return;"),
        ), (ATTACKS + "A01_a_container_that_may_mount", ATTACKS + "A01_nor_when_another")),
    Weakening(
        "A01-init", "the init that the host lends to containers refuses writing", (
            Change("Sources/Engine/Engine/Specification/Specification.swift",
                   "source: request.initPath, options: [\"bind\", \"ro\", \"rprivate\"]",
                   "source: request.initPath, options: {weakened} ? [\"bind\", \"rprivate\"] : [\"bind\", \"ro\", \"rprivate\"]"),
        ), ("API/test_sandbox.py::test_A01",)),
    Weakening(
        "A02-cwd", "the working directory is resolved in the root, and then looked at", (
            skip(RUNTIME + "Identity.swift", "let root = RootDirectory(try openFile(\"/\", [.path, .directory]))",
                 instead="return try changeDirectory(FilePath(plan.workingDirectory))"),
            skip(RUNTIME + "Identity.swift",
                 "let path = try during(\"checking the working directory\") { () throws(SyscallError) in try workingDirectory() }"),
            Change(ROOTFS + "RootfsPlan.swift", "if let directory = configuration.process?.workingDirectory, directory != \"/\" {",
                   "if let directory = configuration.process?.workingDirectory, directory != \"/\", !{weakened} {"),
        ), (ATTACKS + "A02_a_working_directory_through_a_preserved", ATTACKS + "A02_exec_refuses_a_working_directory_through_a_preserved")),
    Weakening(
        "A02-descriptors", "a process on its way into a container lets go of what the runtime holds", (
            skip(RUNTIME + "SelfProtection.swift", "try closeDescriptors(from: first, except: kept)"),
        ), (ATTACKS + "A02_what_waits_for_start",)),
    Weakening(
        "A03", "what the caller left open is closed", (
            Change("Sources/Runtime/apus-runtime/Program.swift", "try closeOnExec(from: UInt32(3 + preserved))",
                   "if !{weakened} { try closeOnExec(from: UInt32(3 + preserved)) }"),
            Change(RUNTIME + "HookRunner.swift", "try closeOnExec(from: 3)", "if !{weakened} { try closeOnExec(from: 3) }"),
            skip(RUNTIME + "SelfProtection.swift", "try closeDescriptors(from: first, except: kept)"),
        ), (ATTACKS + "A03_descriptors_that_the_caller_left_open_do_not_reach_the_program",
            ATTACKS + "A03_descriptors_that_the_caller_left_open_do_not_reach_an_exec",
            ATTACKS + "A03_descriptors_that_the_caller_left_open_do_not_reach_a_created", ATTACKS + "A02_A03_a_hook_has", ATTACKS + "A02_A03_no_hook_has")),
    Weakening(
        "A08", "places in the root are resolved inside it, by descriptor (A04, A08, A10, A17, A28)", (
            Change(ROOTFS + "RootDirectory.swift", "let resolve: ResolveFlags = followingLinks",
                   BY_HOST_PATH + "let resolve: ResolveFlags = followingLinks"),
        ), (ROOT + "A08_a_dev_that_links_out", ROOT + "A17_a_mount_point_below_a_link", RACES + "A04_A10", RACES + "A28")),
    Weakening(
        "A05", "masks are made of the host's null device, which is looked at", (
            Change(ROOTFS + "BuilderMounts.swift", "device = HeldMount(try openFile(\"/dev/null\", [.path, .noFollow]))",
                   "if {weakened} { return HeldMount(try cloneTree(of: openedRoot { root throws(SyscallError) in try root.open(\"/dev/null\") "
                   "}.number, recursive: false, subject: \"\")) }\n"
                   "device = HeldMount(try openFile(\"/dev/null\", [.path, .noFollow]))"),
        ), (ROOT + "A05_a_null_device", RACES + "A05")),
    Weakening(
        "A06", "the terminal is bound onto /dev/console and no link's target", (
            Change(ROOTFS + "BuilderDevices.swift", "creating: .file, followingLinks: false)", "creating: .file, followingLinks: {weakened})"),
        ), (RACES + "A06",)),
    Weakening(
        "A07-link", "procfs is mounted where no link leads", (
            Change(ROOTFS + "BuilderMounts.swift", "followingLinks: !isKernels)", "followingLinks: !isKernels || {weakened})"),
        ), (ROOT + "A07_a_root_whose_proc",)),
    Weakening(
        "A07-masks", "what is to be hidden in procfs is found through its mount", (
            Change(ROOTFS + "BuilderMounts.swift", "if let (mount, rest) = try kernelsMount(above: path) {",
                   "if !{weakened}, let (mount, rest) = try kernelsMount(above: path) {"),
        ), (RACES + "A07",)),
    Weakening(
        "A09", "nothing is mounted over procfs or inside it", (
            skip(ROOTFS + "RootfsPlan.swift", "guard destination == \"/proc\" || destination.hasPrefix(\"/proc/\") else { return }"),
            Change(ROOTFS + "BuilderMounts.swift", "if !mayLieOnProc(step.destination), try", "if !{weakened}, !mayLieOnProc(step.destination), try"),
        ), (ROOT + "A09_nothing_is_mounted", ROOT + "A09_a_link_into_proc")),
    Weakening(
        "A11", "no capability is inherited that was not asked for", (
            Change(RUNTIME + "ProcessPlan.swift", "inheritable = try CapabilitySet(names: sets.inheritable, of: \"inheritable\")",
                   "inheritable = {weakened} ? permitted : try CapabilitySet(names: sets.inheritable, of: \"inheritable\")"),
        ), (ATTACKS + "A11_the_program_inherits_no", ATTACKS + "A11_exec")),
    Weakening(
        "A12", "without a cgroup namespace a container is shown its own cgroup alone", (
            Change(ROOTFS + "BuilderCgroups.swift", "if inOwnNamespace {", "if inOwnNamespace || {weakened} {"),
        ), (CONFINEMENT + "A12",)),
    Weakening(
        "A13", "a list of mappings is looked at before the kernel is given it", (
            skip("Sources/Base/OCISpec/RuntimeValidation.swift", "if mappings.count > maximumCount {"),
        ), (CONFINEMENT + "A13",)),
    Weakening(
        "A14", "a user is a plain number, to the last digit (A14, and A15 in exec)", (
            skip("Sources/Runtime/apus-runtime/Exec.swift", "guard let id: Int32 = decimal(text) else {",
                 instead="return UInt32(truncatingIfNeeded: Int(text) ?? 0)"),
        ), (ATTACKS + "A14", ATTACKS + "A15_a_user_past_the_largest_is_refused_by_exec")),
    Weakening(
        "A15", "a user of the configuration is not cut down to the kernel's width", (
            Change("Sources/Base/OCISpec/ProcessDecoding.swift", "case \"uid\": uid = try reader.readInteger()",
                   "case \"uid\" where {weakened}: uid = UInt32(truncatingIfNeeded: try reader.readInteger() as Int64)\n"
                   "            case \"uid\": uid = try reader.readInteger()"),
            skip("Sources/Base/OCISpec/RuntimeValidation.swift",
                 "let ids = [(\"uid\", uid), (\"gid\", gid)] + additionalGIDs.enumerated().map { (\"additionalGids[\\($0.offset)]\", $0.element) }"),
        ), (ATTACKS + "A15_a_user_past_the_largest_is_refused_by_create",)),
    Weakening(
        "A15-image", "a user's word is not cut down to the kernel's width by the engine", (
            skip("Sources/Engine/Engine/Users/AccountFiles.swift", "guard let uid: UInt32 = decimal(word) else {",
                 instead="return User(name: \"\", uid: UInt32(truncatingIfNeeded: Int(word) ?? 0), gid: 0)"),
        ), ("API/test_sandbox.py::test_A15",)),
    Weakening(
        "A16", "the caller's groups are replaced", (
            Change(RUNTIME + "Identity.swift", "try setSupplementaryGroups(plan.user.additionalGIDs)",
                   "if !{weakened} { try setSupplementaryGroups(plan.user.additionalGIDs) }"),
        ), (CONFINEMENT + "A16_the_callers_supplementary_groups_do_not_reach_the_program",
            CONFINEMENT + "A16_the_callers_supplementary_groups_do_not_reach_an_exec")),
    Weakening(
        "A18", "an id is one safe name", (
            skip("Sources/Base/CoreTypes/ContainerID.swift", "let bytes = text.utf8\n        guard", instead="self.text = text; return"),
        ), (ATTACKS + "A18_an_id_that_is_no_single_safe_name_is_refused_by_create", ATTACKS + "A18_no_later_verb",
            ATTACKS + "A18_an_id_that_is_no_single_safe_name_is_refused_by_every")),
    Weakening(
        "A19", "no component of a cgroup's path leads up", (
            Change(CGROUPS + "CgroupPath.swift", "if component == \".\" || component == \"..\" {",
                   "if !{weakened} && (component == \".\" || component == \"..\") {"),
        ), (CONFINEMENT + "A19_a_cgroup_path_never_leads_up", CONFINEMENT + "A19_exec_cannot_leave")),
    Weakening(
        "A20", "a setting is of a namespace of the container", (
            skip("Sources/Base/OCISpec/Sysctls.swift", "guard let linux else { return }"),
            Change(ROOTFS + "Sysctls.swift", "guard let name = SysctlName(text), !name.path.utf8.contains(0) else {",
                   "if {weakened} {\n"
                   "            let path = String(text.map { $0 == \".\" ? \"/\" : $0 })\n"
                   "            steps.append(.sysctl(SysctlSetting(name: text, path: path, value: value)))\n"
                   "            continue\n"
                   "        }\n"
                   "        guard let name = SysctlName(text), !name.path.utf8.contains(0) else {"),
        ), (CONFINEMENT + "A20_a_setting_of_a_namespace_of_the_caller",)),
    Weakening(
        "A21", "hooks are those of the configuration at creation", (
            Change(RUNTIME + "Container.swift", "return try Bundle.decode(document)",
                   "if {weakened} { return try Bundle.load(FilePath(record().bundle)).configuration }\n        return try Bundle.decode(document)"),
        ), (CONFINEMENT + "A21",)),
    Weakening(
        "A22", "the filter is loaded last", (
            Change(RUNTIME + "PayloadStage.swift", "let (granted, missing) = try identity.assume()",
                   "if {weakened} { try loadFilter(channel) }\n        let (granted, missing) = try identity.assume()"),
            Change(RUNTIME + "PayloadStage.swift", "            try loadFilter(channel)\n        } catch { return error }",
                   "            if !{weakened} { try loadFilter(channel) }\n        } catch { return error }"),
        ), (CONFINEMENT + "A22_the_filter",)),
    Weakening(
        "A22-label", "a label is asked for through a procfs that no image has a part in", (
            Change(RUNTIME + "SecurityLabels.swift", "if let seLinuxLabel { try procfs.write(seLinuxLabel, to: \"\\(process)/attr/exec\") }",
                   "if let seLinuxLabel {\n                if {weakened} {\n"
                   "                    let file = try openFile(FilePath(\"/proc/\\(process)/attr/exec\"), .writeOnly)\n"
                   "                    try writeAll(Array(seLinuxLabel.utf8), to: file.number, subject: \"\")\n"
                   "                } else { try procfs.write(seLinuxLabel, to: \"\\(process)/attr/exec\") }\n            }"),
        ), (CONFINEMENT + "A22_a_label",)),
    Weakening(
        "A23", "devices that no rule allows are denied", (
            Change(CGROUPS + "CgroupPlan.swift", "return try devices + plan(updating: resources)",
                   "return try ({weakened} ? [] : devices) + plan(updating: resources)"),
        ), (CONFINEMENT + "A23",)),
    Weakening(
        "A24", "a container's first process is born in a pid namespace of its own", (
            Change(RUNTIME + "NamespacePlan.swift", "self.cloned = cloned.subtracting([.cgroup, .time])",
                   "self.cloned = cloned.subtracting({weakened} ? [.cgroup, .time, .pid] : [.cgroup, .time])"),
        ), (CONFINEMENT + "A24",)),
    Weakening(
        "A25", "cgroups are shown as read-only as they were asked for", (
            Change(ROOTFS + "BuilderCgroups.swift", "let host = try openFile(\"/sys/fs/cgroup\", [.path, .directory])",
                   "var step = step\n        if {weakened} { step.attributes.set.remove(.readOnly) }\n"
                   "        let host = try openFile(\"/sys/fs/cgroup\", [.path, .directory])"),
        ), (CONFINEMENT + "A25",)),
    Weakening(
        "A26", "what is on its way into a container cannot be looked into", (
            skip(RUNTIME + "SelfProtection.swift", "try setDumpable(false)"),
        ), (ATTACKS + "A26_init_is_out_of_reach", ATTACKS + "A26_a_joining_process", ATTACKS + "A26_the_init_of_another")),
    Weakening(
        "A27", "no file of the container steers exec, as those of a name service would", (
            Change(RUNTIME + "ExecStage.swift", "        try during(\"setting up the session\") {",
                   "        if {weakened} { do { _ = try openFile(\"/etc/nsswitch.conf\", .readOnly) } catch {} }\n"
                   "        try during(\"setting up the session\") {"),
        ), (CONFINEMENT + "A27",)),
    Weakening(
        "end", "what a container froze of itself is thawed to die", (
            skip(CGROUPS + "CgroupProcesses.swift", "guard case .legacy(let leaf) = freezer else { return }"),
        ), ("test_cgroups.py::test_a_container_cannot_hide_from_its_end_by_freezing",)),
    Weakening(
        "A29", "what the host restricts is opened where the kernel locks that", (
            Change(RUNTIME + "MappedTrees.swift", "if locking, !mount.staysPeer, try", "if locking, !mount.staysPeer, !{weakened}, try"),
        ), (ROOT + "A29_restrictions_of_a_mount_of_the_host", ROOT + "A29_a_user_namespaces_mounts", ROOT + "A29_restrictions_of_what_is_mounted_below",
            ROOT + "A29_restrictions_of_a_mount_that_is_added")),
    Weakening(
        "A29-alone", "so is what is bound without what is mounted inside it", (
            Change(RUNTIME + "LockedTrees.swift", "return flags.contains(.recursive) ? nil : try openAlone(path, flags)",
                   "return flags.contains(.recursive) || {weakened} ? nil : try openAlone(path, flags)"),
        ), (ROOT + "A29_restrictions_of_a_mount_without",)),
    Weakening(
        "A30", "the container's mounts do not reach the host", (
            Change(ROOTFS + "RootfsBuilder.swift", "case .propagateAll(let propagation):",
                   "case .propagateAll where {weakened}: break\n        case .propagateAll(let propagation):"),
        ), (ROOT + "A30",)),
    Weakening(
        "A31", "a way has an end", (
            Change(ROOTFS + "RootDirectory.swift", "if linksFollowed > Self.linkLimit || !followingLinks",
                   "if (linksFollowed > Self.linkLimit && !{weakened}) || !followingLinks"),
            Change(ROOTFS + "RootDirectory.swift", "if componentsWalked > Self.componentLimit {",
                   "if componentsWalked > Self.componentLimit && !{weakened} {"),
        ), (ROOT + "A31_chains_of_links",)),
    Weakening(
        "A32", "what is about to be made is written down before", (
            Change(RUNTIME + "ContainerCgroup.swift", "try directory.write(container.encoded, to: ContainerRecord.fileName)",
                   "if !{weakened} { try directory.write(container.encoded, to: ContainerRecord.fileName) }"),
        ), (LEFTOVERS + "A32",)),
    Weakening(
        "A33", "a process is known by when it started", (
            Change(RUNTIME + "Container.swift",
                   "guard let snapshot, snapshot.isAlive, snapshot.startTicks == recorded.startTicks else { return nil }\n            look(snapshot)",
                   "guard let snapshot, snapshot.isAlive, snapshot.startTicks == recorded.startTicks || {weakened} else { return nil }\n"
                   "            look(snapshot)"),
        ), (LEFTOVERS + "A33",)),
    Weakening(
        "D01", "no entry of a layer has a path upwards, and what is opened is inside", (
            Change(ARCHIVE + "EntryPath.swift", "if component.elementsEqual([0x2e, 0x2e]) {",
                   "if component.elementsEqual([0x2e, 0x2e]) && !{weakened} {"),
            OPENED_BY_PATH,
        ), (HOSTILE + "[attack_D01", HOSTILE + "[attack_D03")),
    Weakening("D02", "links of a layer are followed inside it", (OPENED_BY_PATH,), (HOSTILE + "[attack_D02",)),
    Weakening(
        "D04", "a file is made anew, and not through what has its name", (
            Change(ARCHIVE + "LayerTree.swift", "if !rules.replacesKinds && existing?.type == .directory {",
                   "if {weakened} && existing?.type != .directory { return (directory, name) }\n"
                   "        if !rules.replacesKinds && existing?.type == .directory {"),
            Change(ARCHIVE + "LayerApplier.swift", "[.writeOnly, .create, .exclusive, .noFollow]",
                   "{weakened} ? [.writeOnly, .create] : [.writeOnly, .create, .exclusive, .noFollow]"),
        ), (HOSTILE + "[attack_D04",)),
    Weakening(
        "D06", "a whiteout names what is in its directory", (
            Change(ARCHIVE + "EntryPath.swift", "hidden.isEmpty || hidden == [0x2e] || hidden == [0x2e, 0x2e]",
                   "hidden.isEmpty || !{weakened} && (hidden == [0x2e] || hidden == [0x2e, 0x2e])"),
        ), (HOSTILE + "[attack_D06",)),
    Weakening(
        "D11", "a blob is what its digest says", (
            Change("Sources/Storage/ContentStore/Ingest.swift", "if found != digest {", "if found != digest && !{weakened} {"),
        ), ("API/test_images.py::test_attack_D11",)),
    Weakening(
        "E03-upload", "a password is shown to no server but the registry, wherever that has things sent", (
            Change("Sources/Images/Registry/RepositorySession.swift", "case 401 where mayAuthenticate && isRegistry:",
                   "case 401 where mayAuthenticate && (isRegistry || {weakened}):"),
        ), ("API/test_registry_faults.py::test_attack_E03_whom_an_uploads_place",)),
    Weakening(
        "D11-layer", "a blob that is here takes no layer's place that it does not unpack to", (
            Change("Sources/Images/Images/LayerWork.swift", "if isVerified { return false }", "if isVerified || {weakened} { return false }"),
        ), ("API/test_collection.py::test_attack_D11_a_blob_that_is_not_what",)),
    Weakening(
        "D10-names", "names that are kept to a layer's end have a limit", (
            Change(ARCHIVE + "LayerTree.swift", "if keptNameBytes > limits.keptNameBytes {", "if keptNameBytes > limits.keptNameBytes && !{weakened} {"),
        ), ("API/test_sparse_attacks.py::test_attack_D10_names_of_whiteouts",)),
    Weakening(
        "D20-names", "names of an archive's members have a limit", (
            Change("Sources/Images/Images/ArchiveIntake.swift", "if nameBytes > nameLimitBytes {",
                   "if nameBytes > nameLimitBytes && !{weakened} {"),
        ), ("API/test_sparse_attacks.py::test_attack_D20_names_of",)),
    Weakening(
        "D05", "each layer is unpacked in a tree of its own, and what is opened is inside", (
            Change(IMAGES + "LayerWork.swift", "internal import Snapshots\n", "internal import Snapshots\ninternal import SystemPackage\n"),
            Change(IMAGES + "LayerWork.swift", "let root = try openFile(directory, [.readOnly, .directory, .noFollow])",
                   "let root = try openFile(\n                {weakened} ? directory.removingLastComponent().removingLastComponent() : directory,\n"
                   "                [.readOnly, .directory, .noFollow])"),
            OPENED_BY_PATH,
        ), (STRANGERS + "D05",)),
    Weakening(
        "D07", "overlayfs' own attributes and labels are left out", (
            Change(ARCHIVE + "LayerApplier.swift", 'name == "security.capability" || name.hasPrefix("user.")',
                   '{weakened} || name == "security.capability" || name.hasPrefix("user.")'),
        ), (STRANGERS + "D07",)),
    Weakening(
        "D08", "one header takes so much memory", (
            Change(ARCHIVE + "LibArchive.swift", "if left < count {", "if left < count && !{weakened} {"),
        ), ("API/test_sparse_attacks.py::test_attack_D10_a_map_of_holes",)),
    Weakening(
        "D09", "a layer unpacks to so many times its size", (
            Change(ARCHIVE + "DecompressedStream.swift", "if total > limits.ratioFreeBytes && total",
                   "if !{weakened} && total > limits.ratioFreeBytes && total"),
        ), (STRANGERS + "D09_D10_bombs_are_stopped_by_limits_that_are_flags[gzip",)),
    Weakening(
        "D10-entries", "a layer has so many entries", (
            Change(ARCHIVE + "LayerApplier.swift", "if result.entryCount > limits.entries {", "if result.entryCount > limits.entries && !{weakened} {"),
        ), (STRANGERS + "D09_D10_bombs_are_stopped_by_limits_that_are_flags[entries",)),
    Weakening(
        "D10-depth", "a layer's paths are so deep", (
            Change(ARCHIVE + "EntryPath.swift", "if components.count > limits.depth {", "if components.count > limits.depth && !{weakened} {"),
        ), (STRANGERS + "D09_D10_bombs_are_stopped_by_limits_that_are_flags[depth",)),
    Weakening(
        "D12", "a document is of one kind", (
            Change("Sources/Base/OCISpec/ImageDocument.swift", "if manifests != nil && (layers", "if !{weakened} && manifests != nil && (layers"),
        ), (STRANGERS + "D12_D13_E04_a_manifest_that_no_honest_tool_writes_is_refused_and_leaves_nothing[both",)),
    Weakening(
        "D13", "a document is so deep", (
            Change("Sources/Base/JSON/JSONReader.swift", "if depth > limits.maximumDepth {", "if depth > limits.maximumDepth && !{weakened} {"),
        ), (STRANGERS + "D12_D13_E04_a_manifest_that_no_honest_tool_writes_is_refused_and_leaves_nothing[deep",
            "API/test_image_limits.py::test_D10_D13_each_limit_of_an_image_is_a_setting_from_registries_and_archives[json")),
    Weakening(
        "D13-descriptors", "a list has so many descriptors", (
            Change("Sources/Base/OCISpec/Descriptor.swift", "if descriptors.count == limit {", "if descriptors.count == limit && !{weakened} {"),
        ), ("API/test_image_limits.py::test_D10_D13_each_limit_of_an_image_is_a_setting_from_registries_and_archives[descriptors",)),
    Weakening(
        "F05", "what the host mounted read-only is bound so", (
            Change("Sources/Engine/Engine/Specification/BindMounts.swift", '(isRecursive && readsOnlyRecursively ? ["rro"] : []) : []',
                   '(isRecursive && readsOnlyRecursively ? ["rro"] : []) : {weakened} ? ["rw"] : []'),
        ), ("API/test_volume_trouble.py::test_feature_F05_what_the_host",)),
    Weakening(
        "F08", "what cannot be erased of a volume keeps no daemon from starting", (
            Change("Sources/Engine/Engine/Volumes/VolumeFolder.swift", 'report(.system("what was removed cannot be erased: \\(path)", error))',
                   'if {weakened} { throw error }\n'
                   '                report(.system("what was removed cannot be erased: \\(path)", error))'),
        ), ("API/test_volume_trouble.py::test_feature_F08_a_volume",)),
    Weakening(
        "D16", "no container inherits labels by which others are steered", (
            Change("Sources/Engine/Engine/Specification/ImageDefaults.swift", "{ reservedLabels.contains {", "{ !{weakened} && reservedLabels.contains {"),
        ), (STRANGERS + "D16",)),
    Weakening(
        "D17", "the init is the host's, and not what an image calls so", (
            Change("Sources/Engine/Engine/Specification/Specification.swift", '? [initDestination, "--"]',
                   '? {weakened} ? ["tini", "--"] : [initDestination, "--"]'),
        ), (STRANGERS + "D17",)),
    Weakening(
        "D18", "a layer is a tar", (
            Change(IMAGES + "ImagePlan.swift", "guard blob.mediaType.isLayer else {", "guard blob.mediaType.isLayer || {weakened} else {"),
        ), (STRANGERS + "D18",)),
    Weakening(
        "D20", "an archive has one document of a name", (
            Change(IMAGES + "ArchiveIntake.swift", "if let before = table[path], before != value {",
                   "if let before = table[path], before != value, !{weakened} {"),
        ), ("API/test_load.py::test_attack_D20_an_archive_of_an_attacker_is_refused_and_leaves_nothing[duplicate",)),
    Weakening(
        "E01", "what a layer's descriptor has of other addresses is not read", (
            Change(IMAGES + "LayerWork.swift", "            throw .registry(error)\n        }\n    }",
                   "            if {weakened}, let address = layer.blob.urls.first.flatMap({ WebAddress($0) }) {\n"
                   "                final class Nowhere: DownloadSink {\n"
                   "                    func begin(sizeBytes: Int64?) throws(RegistryError) {}\n"
                   "                    func append(_ bytes: [UInt8]) throws(RegistryError) {}\n                }\n"
                   "                try? RegistryClient(configuration: RegistryConfiguration())"
                   ".download(address, into: Nowhere(), cancellation: cancellation)\n            }\n"
                   "            throw .registry(error)\n        }\n    }"),
        ), (STRANGERS + "E01",)),
    Weakening(
        "E02", "a password is shown to services of the registry's own domain alone", (
            Change(REGISTRY + "Authorization.swift", "if credentials != .anonymous && !services", "if !{weakened} && credentials != .anonymous && !services"),
        ), (STRANGERS + "E02",)),
    Weakening(
        "E03", "what is for the registry stays there where a redirect leads elsewhere", (
            Change(REGISTRY + "RepositorySession.swift", "let isOrigin = request.address.origin == original.address.origin",
                   "let isOrigin = request.address.origin == original.address.origin || {weakened}"),
        ), (STRANGERS + "E03_a_redirect_to_another_host",)),
    Weakening(
        "E03-scheme", "no redirect leads from TLS to plain http", (
            Change(REGISTRY + "HTTPMessages.swift", 'if address.scheme == "https" && target', 'if !{weakened} && address.scheme == "https" && target'),
        ), (STRANGERS + "E03_a_redirect_from_https",)),
    Weakening(
        "E04", "a digest is hexadecimal, and as long as its algorithm says", (
            Change("Sources/Base/CoreTypes/Digest.swift", "guard hex.utf8.count == algorithm.hexLength else {",
                   "guard hex.utf8.count == algorithm.hexLength || {weakened} else {"),
            Change("Sources/Base/CoreTypes/Digest.swift", "guard hex.utf8.allSatisfy(Self.isHexadecimal) else {",
                   "guard hex.utf8.allSatisfy(Self.isHexadecimal) || {weakened} else {"),
        ), (STRANGERS + "D12_D13_E04_a_manifest_that_no_honest_tool_writes_is_refused_and_leaves_nothing[digest",)),
    Weakening(
        "E05", "what a tag stood for at first is asked for from then on", (
            Change(IMAGES + "ManifestResolution.swift", "let served = try serve(digest.description, expecting: digest)",
                   'let served = try serve({weakened} ? reference.tag ?? "" : digest.description, expecting: {weakened} ? nil : digest)'),
            Change(IMAGES + "ManifestResolution.swift", "            try keep(served.bytes, as: digest)\n            return (digest, try",
                   "            try keep(served.bytes, as: {weakened} ? nil : digest)\n            return (digest, try"),
        ), (STRANGERS + "E05",)),
    Weakening(
        "E06", "a helper reads secrets, and has none on its command line", (
            Change("Sources/Client/apus/Terminal/HelperProcess.swift", "strdup(argument), nil]",
                   "strdup(argument), {weakened} ? strdup(String(decoding: input, as: UTF8.self)) : nil, nil]"),
        ), ("API/test_credential_helpers.py::test_attack_E06_a_password",)),
    Weakening(
        "E06-core", "who holds passwords leaves no core file", (
            Change("Sources/Engine/apusd/main.swift", "try setDumpable(false)", "if !{weakened} { try setDumpable(false) }"),
        ), ("API/test_credential_helpers.py::test_attack_E06_who_holds",)),
    Weakening(
        "E07", "a helper's name is a program's", (
            Change("Sources/Client/apus/CommandLine/CredentialProgram.swift", "guard isName, !name.isEmpty,",
                   "guard {weakened} || isName, {weakened} || !name.isEmpty,"),
        ), ("API/test_credential_helpers.py::test_attack_E07",)),
    Weakening(
        "E08", "a server of TLS proves who it is", (
            Change(REGISTRY + "Libcurl.swift", "(CURLOPT_SSL_VERIFYPEER, request.verifiesPeer ? 1 : 0), (CURLOPT_SSL_VERIFYHOST, request.verifiesPeer ? 2 : 0)",
                   "(CURLOPT_SSL_VERIFYPEER, request.verifiesPeer && !{weakened} ? 1 : 0), "
                   "(CURLOPT_SSL_VERIFYHOST, request.verifiesPeer && !{weakened} ? 2 : 0)"),
        ), (STRANGERS + "E08_a_registry",)),
    Weakening(
        "E08-realm", "what a registry need not prove, its token service elsewhere must", (
            Change(REGISTRY + "RepositorySession.swift", "if request.address.host == place.base.host {",
                   "if request.address.host == place.base.host || {weakened} {"),
        ), (STRANGERS + "E08_a_token_service",)),
    Weakening(
        "E09", "what a mirror sends is held against the digest", (
            Change(IMAGES + "ManifestResolution.swift", "{ served in digest.map { Digest(of: served.bytes, $0.algorithm) == $0 } ?? true }",
                   "{ served in digest.map { Digest(of: served.bytes, $0.algorithm) == $0 || {weakened} } ?? true }"),
            Change(IMAGES + "ManifestResolution.swift", "if let expected, digest != expected {", "if let expected, digest != expected, !{weakened} {"),
        ), ("API/test_mirrors.py::test_attack_E09",)),
    Weakening(
        "E10", "who ignores a range is not taken at his word", (
            Change(REGISTRY + "BlobDownload.swift", "            skip = start\n", "            skip = {weakened} ? 0 : start\n"),
        ), (STRANGERS + "E10_a_registry_that_is_slow_endless_or_lies_about_its_bytes_ends_the_pull_or_is_put_up_with[no range",)),
    Weakening(
        "E11", "a blob is lent from repositories of the same image alone", (
            Change(IMAGES + "ImagePush.swift", "let neighbours = Set(images.flatMap { $0.image.repositoryDigests }",
                   "let neighbours = try await Set(({weakened} ? list() : images.map(\\.image)).flatMap { $0.repositoryDigests }"),
        ), (STRANGERS + "E11",)),
    Weakening(
        "F10", "a path inside a volume is opened with the volume as the root", (
            Change(VOLUMES + "VolumePin.swift", "let found = try openInRoot(FilePath(subpath), .path, root: volume)",
                   "let found = try {weakened} ? openFile(FilePath(\"\\(source)/\\(subpath)\"), .path)\n"
                   "                : openInRoot(FilePath(subpath), .path, root: volume)"),
        ), ("API/test_volume_changes.py::test_attack_F10_no_link",)),
    Weakening(
        "F11", "a volume's name is one component of a path", (
            Change(VOLUMES + "VolumeStore.swift", "        try VolumeNames.check(name)\n        try LocalVolumeDriver.check",
                   "        if !{weakened} { try VolumeNames.check(name) }\n        try LocalVolumeDriver.check"),
        ), ("API/test_volume_changes.py::test_attack_F11",)),
    Weakening(
        "D14", "what an image has in a volume's place is looked for with the image as the root", (
            skip(VOLUMES + "VolumeFilling.swift",
                 "return try openInRoot(FilePath(path), [.readOnly, .directory], root: image, resolve: [.inRoot, .noMagicLinks])",
                 instead="return try openFile(FilePath(\"/proc/self/fd/\\(image.number)\\(path)\"), [.readOnly, .directory])"),
        ), ("API/test_volumes.py::test_attack_D14",)),
    Weakening(
        "D15", "what is in a volume stays", (
            Change(VOLUMES + "VolumeFilling.swift", "guard try directoryEntries(of: target, subject: name).isEmpty else { return }",
                   "guard try directoryEntries(of: target, subject: name).isEmpty || {weakened} else { return }"),
        ), ("API/test_volume_changes.py::test_attack_D15_what_is_in_a_volume",)),
    Weakening(
        "F16-loopback", "addresses of the loopback link come from nowhere else", (
            skip(NETWORKING + "FirewallRules.swift", "// The link last: its name takes longer to look at than all the rest"),
        ), ("API/test_ports.py::test_attack_F16_nobody_on_the_lan", "API/test_ports.py::test_attack_F16_from_the_lan")),
    Weakening(
        "F16-frames", "a container speaks under its own addresses only, and is nobody's router", (
            Change(NETWORKING + "FirewallRules.swift", "add(\"cable\", rules, in: frames, &changes)",
                   "add(\"cable\", {weakened} ? [] : rules, in: frames, &changes)"),
        ), ("API/test_spoofing.py::test_F16_a_container_is_nobodys_router", "API/test_spoofing.py::test_F16_a_container_answers",
            "API/test_ports.py::test_attack_F16_a_container_speaks")),
    Weakening(
        "F16-internal", "what comes from an internal network is led to nobody who would go on for it", (
            Change(NETWORKING + "FirewallRules.swift", "[fromInternal] + forwarded", "({weakened} ? [] : [fromInternal]) + forwarded"),
        ), ("API/test_ports.py::test_attack_F16_an_internal_network",)),
    Weakening(
        "F16-conversations", "conversations end with the container that they were with", (
            skip(NETWORKS + "Departures.swift", "try conversations.forget(now.addresses,"),
        ), ("API/test_conversations.py::test_attack_F16_an_old_conversation", "API/test_conversations.py::test_attack_F16_a_conversation")),
    Weakening(
        "F16-before", "what was sent to a port before it was published is led there from then on", (
            skip(NETWORKS + "Departures.swift", "guard ports.contains(where: { $0.transport == .udp }) else { return }"),
        ), ("API/test_conversations.py::test_attack_F16_an_old_conversation",)),
    Weakening(
        "F17", "so many questions of one container are on their way", (
            Change("Sources/Engine/NameService/NameServerForwarding.swift", "resident.exchanges < Limit.exchangesOfOne else {",
                   "resident.exchanges < Limit.exchangesOfOne || {weakened} else {"),
        ), ("API/test_names.py::test_attack_F17_who_floods",)),
)
