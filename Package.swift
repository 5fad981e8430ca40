// swift-tools-version: 6.2
import PackageDescription

// The layer table of docs/architecture.md, one line per module. A module may import what its line
// lists, whatever that reaches, and the standard library; Tests/Tidy holds the sources to it.

/// libFuzzer's archive when `make fuzz` builds, in a scratch folder of its own: every module then has coverage, and apus-fuzz exists.
let fuzzArchive = Context.environment["APUS_FUZZ_ARCHIVE"]

/// The modules that `scripts/check-failpoints` builds with failpoints, in a scratch folder of its own.
let modulesWithFailpoints: Set<String> = Context.environment["APUS_FAILPOINTS"] == nil ? [] : ["Engine", "apusd"]

let strict: [SwiftSetting] =
    [
        .strictMemorySafety(),
        .treatAllWarnings(as: .error),
        .enableUpcomingFeature("ExistentialAny"),
        .enableUpcomingFeature("InternalImportsByDefault"),
        .enableUpcomingFeature("MemberImportVisibility"),
    ] + (fuzzArchive == nil ? [] : [.unsafeFlags(["-sanitize=fuzzer", "-enable-testing"])])

/// No shared library at all: these run where nothing of Swift, or of anything else, is installed.
let fullyStatic = ["-static-executable"]
/// The Swift runtime inside, C libraries shared. SwiftPM's own `--static-swift-stdlib` cannot build
/// tests in the same configuration, so the archives are named here (docs/decisions/0002).
let staticSwift = [
    "-static-stdlib", "-lFoundationEssentials", "-l_FoundationCShims", "-l_FoundationCollections",
    "-lswiftSynchronization", "-lswiftDispatch", "-ldispatch", "-lBlocksRuntime",
]
let staticSwiftWithFoundation =
    ["-static-stdlib", "-lFoundation", "-lCoreFoundation", "-lFoundationInternationalization"]
    + staticSwift.dropFirst() + ["-l_FoundationICU", "-lswift_RegexParser"]

/// The Swift library cut into sections, which `make` has `scripts/split-swift-core` write; nil links the toolchain's own.
let swiftCore = Context.environment["APUS_SWIFT_CORE"]
/// The functions that the runtime executes lie side by side in it, which spares it half of its memory and many page faults
/// (docs/performance.md); `scripts/order-symbols` writes the list. Other names in it are skipped.
let orderedFunctions = ordered("Runtime/apus-runtime")
/// What the compiler makes without a name, and a list of names cannot order: 9 KB, of which every verb executes a little.
let namelessFunctionsTogether = ["-Xlinker", "\(Context.packageDirectory)/Sources/Runtime/apus-runtime/nameless.ld"]
/// Of the shim it is what it writes to: fifty of them share all else (docs/decisions/0040-memory-of-a-shim.md); `scripts/order-data` writes that list.
let orderedData = ordered("Shim/apus-shim")

func ordered(_ executable: String) -> [String] {
    [
        "-use-ld=lld", "-Xlinker", "--no-warn-symbol-ordering", "-Xlinker",
        "--symbol-ordering-file=\(Context.packageDirectory)/Sources/\(executable)/symbols.order",
    ] + (swiftCore.map { [$0] } ?? [])
}
/// Every function in a section of its own, so that it can be ordered; and none of the library of regular expressions, 0.9 MB that a search for
/// a string in a string would bring in.
let functionSections = SwiftSetting.unsafeFlags(
    ["-Xfrontend", "-function-sections", "-Xfrontend", "-disable-implicit-string-processing-module-import"])
/// The same for what others embed: a package that depends on this one takes no flags that SwiftPM calls unsafe.
let embeddableFunctionSections = swiftCore == nil ? [] : [functionSections]

/// - Parameters:
///   - isTestable: lets tests see the module's inside (`@testable`), which a release build otherwise hides.
///   - ordering: for what the runtime is made of.
func module(
    _ name: String, in group: String, uses: [Target.Dependency] = [], isTestable: Bool = false, ordering: [SwiftSetting] = []
) -> Target {
    .target(
        name: name, dependencies: uses, path: "Sources/\(group)/\(name)",
        swiftSettings: strict + failpoints(of: name) + (isTestable ? [.unsafeFlags(["-enable-testing"])] : []) + ordering)
}

func executable(
    _ name: String, in group: String, uses: [Target.Dependency], linking: [String], excluding: [String] = [], ordering: [SwiftSetting] = []
) -> Target {
    .executableTarget(
        name: name, dependencies: uses, path: "Sources/\(group)/\(name)", exclude: excluding,
        swiftSettings: strict + failpoints(of: name) + ordering,
        linkerSettings: [.unsafeFlags(linking)])
}

func failpoints(of name: String) -> [SwiftSetting] { modulesWithFailpoints.contains(name) ? [.define("FAILPOINTS")] : [] }

/// - Parameter package: what pkg-config knows it by; nil where it does not.
func cLibrary(_ name: String, in group: String, package: String?) -> Target {
    .systemLibrary(name: name, path: "Sources/\(group)/\(name)", pkgConfig: package, providers: nil)
}

func tests(_ name: String, in kind: String, of modules: [Target.Dependency]) -> Target {
    .testTarget(name: name, dependencies: modules, path: "Tests/\(kind)/\(name)", swiftSettings: strict)
}

let systemPackage: Target.Dependency = .product(name: "SystemPackage", package: "swift-system")
let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")
let grdb: Target.Dependency = .product(name: "GRDB", package: "GRDB.swift")
let nioCore: Target.Dependency = .product(name: "NIOCore", package: "swift-nio")
let nioPosix: Target.Dependency = .product(name: "NIOPosix", package: "swift-nio")
let nioEmbedded: Target.Dependency = .product(name: "NIOEmbedded", package: "swift-nio")
let nioHTTP1: Target.Dependency = .product(name: "NIOHTTP1", package: "swift-nio")

let package = Package(
    name: "apus",
    products: [
        .executable(name: "apus-runtime", targets: ["apus-runtime"]),
        .executable(name: "apus-shim", targets: ["apus-shim"]),
        .executable(name: "apus-net", targets: ["apus-net"]),
        .executable(name: "apus-init", targets: ["apus-init"]),
        .executable(name: "apusd", targets: ["apusd"]),
        .executable(name: "apus", targets: ["apus"]),
        .library(name: "OCISpec", targets: ["OCISpec"]),
        .library(name: "EngineClient", targets: ["EngineClient", "EngineAPI", "CoreTypes"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-system", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.90.0"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.8.0"),
    ],
    targets: [
        // 0
        .target(
            name: "CLinux", path: "Sources/Linux/CLinux",
            cSettings: [.treatAllWarnings(as: .error), .enableWarning("all"), .enableWarning("extra")]),
        // 1
        module("LinuxSyscalls", in: "Linux", uses: ["CLinux", systemPackage], ordering: [functionSections]),
        module("CoreTypes", in: "Base", ordering: embeddableFunctionSections),
        module("JSON", in: "Base", ordering: embeddableFunctionSections),
        module("Protobuf", in: "Base", ordering: [functionSections]),
        module("Tracing", in: "Base", uses: ["Protobuf"]),
        module("Templates", in: "Base"),
        cLibrary("CZstd", in: "Base", package: "libzstd"),
        module("Zstd", in: "Base", uses: ["CZstd"]),
        module("OCISpec", in: "Base", uses: ["CoreTypes", "JSON"], ordering: embeddableFunctionSections),
        // 2
        module("Cgroups", in: "Linux", uses: ["LinuxSyscalls", "OCISpec", "CoreTypes"], ordering: [functionSections]),
        cLibrary("CSeccomp", in: "Linux", package: "libseccomp"),
        module("Seccomp", in: "Linux", uses: ["LinuxSyscalls", "OCISpec", "CSeccomp"], ordering: [functionSections]),
        module("Netlink", in: "Linux", uses: ["LinuxSyscalls", "CoreTypes"], ordering: [functionSections]),
        module("Rootfs", in: "Runtime", uses: ["LinuxSyscalls", "OCISpec", "CoreTypes"], ordering: [functionSections]),
        cLibrary("CArchive", in: "Storage", package: "libarchive"),
        cLibrary("CISAL", in: "Storage", package: "libisal"),
        cLibrary("CLZMA", in: "Storage", package: "liblzma"),
        cLibrary("CBZip2", in: "Storage", package: nil),
        module("Archive", in: "Storage", uses: ["LinuxSyscalls", "CoreTypes", "CArchive", "CISAL", "CZstd", "CLZMA", "CBZip2"]),
        module("ShimProtocol", in: "Shim", uses: ["CoreTypes", "OCISpec", "Protobuf"]),
        module("EngineAPI", in: "Base", uses: ["CoreTypes", "JSON"]),
        .target(
            name: "CTLS", path: "Sources/Base/CTLS",
            cSettings: [.treatAllWarnings(as: .error), .enableWarning("all"), .enableWarning("extra")]),
        module("TLSTransport", in: "Base", uses: ["CTLS", nioCore]),
        // 3
        module("RuntimeCore", in: "Runtime", uses: ["Cgroups", "Seccomp", "Netlink", "Rootfs", "Protobuf"], ordering: [functionSections]),
        module("ShimCore", in: "Shim", uses: ["ShimProtocol", "Cgroups", "LinuxSyscalls", "Zstd"]),
        cLibrary("CCrypto", in: "Storage", package: "libcrypto"),
        module("ContentStore", in: "Storage", uses: ["OCISpec", "CoreTypes", "LinuxSyscalls", "CCrypto"]),
        cLibrary("CCurl", in: "Images", package: "libcurl"),
        module("Registry", in: "Images", uses: ["OCISpec", "CoreTypes", "LinuxSyscalls", "CCurl"], isTestable: true),
        module("Snapshots", in: "Storage", uses: ["Archive", "LinuxSyscalls", "CoreTypes"]),
        module("Networking", in: "Engine", uses: ["Netlink", "LinuxSyscalls", "CoreTypes"]),
        module("NameService", in: "Engine", uses: ["Netlink", "LinuxSyscalls", "CoreTypes", "JSON"], isTestable: true),
        module("Records", in: "Storage", uses: ["CoreTypes", grdb]),
        module("EngineClient", in: "Client", uses: ["EngineAPI", "TLSTransport", nioCore, nioPosix, nioHTTP1]),
        // 4
        module(
            "Images", in: "Images", uses: ["ContentStore", "Registry", "Snapshots", "Archive", "Records", "Tracing"], isTestable: true),
        // 5
        module(
            "Engine", in: "Engine",
            uses: [
                "Images", "Networking", "NameService", "Records", "ShimProtocol", "Cgroups", "EngineAPI", "Templates", "Zstd", "Tracing",
                logging,
            ],
            isTestable: true),
        module("Telemetry", in: "Engine", uses: ["Tracing", "TLSTransport", logging, nioCore, nioPosix, nioHTTP1], isTestable: true),
        // 6
        module(
            "APIServer", in: "Engine", uses: ["Engine", "EngineAPI", "TLSTransport", "Tracing", logging, nioCore, nioPosix, nioHTTP1],
            isTestable: true),
        // 7
        .target(
            name: "CRuntimeEntry", path: "Sources/Runtime/CRuntimeEntry",
            cSettings: [.unsafeFlags(["-ffreestanding", "-fno-builtin", "-fno-stack-protector"]), .treatAllWarnings(as: .error)]),
        executable(
            "apus-runtime", in: "Runtime", uses: ["RuntimeCore", "CRuntimeEntry"],
            linking: fullyStatic + orderedFunctions + namelessFunctionsTogether + ["-Xlinker", "--entry=apus_runtime_entry"],
            excluding: ["nameless.ld", "symbols.order"], ordering: [functionSections]),
        executable("apus-shim", in: "Shim", uses: ["ShimCore"], linking: fullyStatic + orderedData, excluding: ["symbols.order"]),
        .executableTarget(
            name: "apus-init", path: "Sources/Shim/apus-init",
            cSettings: [.treatAllWarnings(as: .error), .enableWarning("all"), .enableWarning("extra")],
            // Embedded: the driver then leaves the Swift runtime, of which C has no use, out of the link.
            linkerSettings: [.unsafeFlags(fullyStatic + ["-enable-experimental-feature", "Embedded"])]),
        executable("apus-net", in: "Engine", uses: ["NameService"], linking: fullyStatic),
        executable("apusd", in: "Engine", uses: ["APIServer", "Telemetry"], linking: staticSwiftWithFoundation),
        executable("apus", in: "Client", uses: ["EngineClient", "Templates", "Archive"], linking: staticSwift),
        // Tests
        tests("LinuxSyscallsTests", in: "Kernel", of: ["LinuxSyscalls"]),
        tests("NetlinkTests", in: "Unit", of: ["Netlink"]),
        tests("NetlinkKernelTests", in: "Kernel", of: ["Netlink", "LinuxSyscalls", "CoreTypes", systemPackage]),
        tests("ArchiveTests", in: "Kernel", of: ["Archive", "LinuxSyscalls", systemPackage]),
        tests("ContentStoreTests", in: "Kernel", of: ["ContentStore", "CoreTypes", "LinuxSyscalls", systemPackage]),
        tests("SnapshotsTests", in: "Kernel", of: ["Snapshots", "Archive", "CoreTypes", "LinuxSyscalls", systemPackage]),
        tests("RootfsTests", in: "Unit", of: ["Rootfs", "OCISpec", "LinuxSyscalls", "CoreTypes"]),
        tests("RuntimeCoreTests", in: "Unit", of: ["RuntimeCore", "LinuxSyscalls", "OCISpec"]),
        tests("RootDirectoryTests", in: "Kernel", of: ["Rootfs", "LinuxSyscalls"]),
        tests("SeccompTests", in: "Unit", of: ["Seccomp", "OCISpec", "LinuxSyscalls", "Engine"]),
        tests("TelemetryTests", in: "Unit", of: ["Telemetry", "Tracing"]),
        tests("CoreTypesTests", in: "Unit", of: ["CoreTypes"]),
        tests("JSONTests", in: "Unit", of: ["JSON"]),
        tests("OCISpecTests", in: "Unit", of: ["OCISpec", "CoreTypes"]),
        tests("CgroupPlanTests", in: "Unit", of: ["Cgroups", "OCISpec", "CoreTypes", "JSON"]),
        tests("CgroupsTests", in: "Kernel", of: ["Cgroups", "LinuxSyscalls", "OCISpec", "CoreTypes", systemPackage]),
        tests(
            "EngineTests", in: "Unit",
            of: [
                "Engine", "Records", "EngineAPI", "Cgroups", "LinuxSyscalls", "CoreTypes", "OCISpec", "ShimProtocol", systemPackage,
                logging,
            ]),
        tests("RegistryTests", in: "Unit", of: ["Registry"]),
        tests("NameServiceTests", in: "Unit", of: ["NameService", "CoreTypes", "LinuxSyscalls", systemPackage]),
        tests("RecordsTests", in: "Kernel", of: ["Records"]),
        tests("ImagesTests", in: "Kernel", of: ["Images"]),
        tests("EngineAPITests", in: "Unit", of: ["EngineAPI"]),
        tests("APIServerTests", in: "Unit", of: ["APIServer", "Engine", "EngineAPI", logging, systemPackage, nioEmbedded]),
        tests("ShimProtocolTests", in: "Unit", of: ["ShimProtocol", "Protobuf"]),
        tests("ShimCoreTests", in: "Unit", of: ["ShimCore", "ShimProtocol", "Protobuf", "LinuxSyscalls"]),
    ],
    swiftLanguageModes: [.v6]
)

/// What the fuzzer's readers are made of.
let fuzzedModules: [Target.Dependency] = [
    "CoreTypes", "JSON", "OCISpec", "Cgroups", "Rootfs", "RuntimeCore", "Registry", "Archive", "LinuxSyscalls", "ShimProtocol", "Protobuf",
    "EngineAPI", "NameService", "ContentStore", "Images", "Engine", systemPackage,
]
let fuzzFolder = "Tests/Fuzz"

// The same readers twice: libFuzzer gives them what it likes, and a test among the others what it begins with.
if let fuzzArchive {
    package.targets += [
        .target(name: "CFuzzDriver", path: "\(fuzzFolder)/CFuzzDriver"),
        .executableTarget(
            name: "apus-fuzz", dependencies: ["CFuzzDriver"] + fuzzedModules, path: fuzzFolder,
            exclude: ["CFuzzDriver", "Corpus", "FuzzTests"], sources: ["Targets", "apus-fuzz"], swiftSettings: strict,
            linkerSettings: [.unsafeFlags([fuzzArchive, "-lstdc++"])]),
    ]
    package.products.append(.executable(name: "apus-fuzz", targets: ["apus-fuzz"]))
} else {
    package.targets.append(
        .testTarget(
            name: "FuzzTests", dependencies: fuzzedModules, path: fuzzFolder, exclude: ["CFuzzDriver", "Corpus", "apus-fuzz"],
            sources: ["Targets", "FuzzTests"], swiftSettings: strict))
}
