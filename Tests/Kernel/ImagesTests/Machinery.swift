import Foundation
import Synchronization

/// A program that a test runs beside itself; ended by its process id.
final class Companion: Sendable {
    private struct State: ~Copyable {
        var process: Process
        var input: Pipe
    }

    struct Failure: Error, CustomStringConvertible { let description: String }

    private let state: Mutex<State>
    /// The first line that it printed; empty where it was not waited for.
    let greeting: String

    init(_ arguments: [String], output: String? = nil, waitsForGreeting: Bool) throws {
        let process = Process()
        let (input, printed) = (Pipe(), Pipe())
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = arguments
        process.standardInput = input
        if let output {
            try Data().write(to: URL(fileURLWithPath: output))
            let log = try FileHandle(forWritingTo: URL(fileURLWithPath: output))
            process.standardOutput = log
            process.standardError = log
        } else {
            process.standardOutput = printed
        }
        try process.run()
        greeting = waitsForGreeting ? String(decoding: printed.fileHandleForReading.availableData, as: UTF8.self) : ""
        state = Mutex(State(process: process, input: input))
    }

    func stop() {
        state.withLock { state in
            try? state.input.fileHandleForWriting.close()
            if state.process.isRunning { state.process.terminate() }
            state.process.waitUntilExit()
        }
    }
}

/// Runs a script to its end and returns what it printed.
@discardableResult
func shell(_ script: String) throws -> String {
    let process = Process()
    let output = Pipe()
    process.executableURL = URL(fileURLWithPath: "/bin/sh")
    process.arguments = ["-euc", script]
    process.standardOutput = output
    process.standardError = output
    try process.run()
    let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    guard process.terminationStatus == 0 else {
        throw Companion.Failure(description: "\(script): exit \(process.terminationStatus): \(text)")
    }
    return text
}

/// A folder of a test's own, gone afterwards.
func withFolder<Value>(_ body: (String) async throws -> Value) async throws -> Value {
    let folder = "/tmp/apus-images-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    let result: Result<Value, any Error>
    do { result = .success(try await body(folder)) } catch { result = .failure(error) }
    try shell("rm -rf '\(folder)'")
    return try result.get()
}

/// An OCI layout with image `one` (busybox and a large file) and `two`, which adds a layer to it.
func makeLayout(in folder: String) throws -> String {
    try shell(
        """
        cd '\(folder)'
        mkdir -p base/bin large second
        cp /bin/busybox base/bin/
        head -c 3000000 /dev/urandom > large/large
        echo second > second/second
        for layer in base large second; do tar -C $layer -cf $layer.tar .; done
        umoci init --layout layout
        umoci new --image layout:one
        umoci raw add-layer --image layout:one base.tar
        umoci raw add-layer --image layout:one large.tar
        umoci config --image layout:one --config.entrypoint /bin/busybox --config.label who=one
        umoci tag --image layout:one two
        umoci raw add-layer --image layout:two second.tar
        umoci gc --layout layout
        """)
    return folder + "/layout"
}

/// Debian's docker-registry on a port of its own.
struct RealRegistry {
    let companion: Companion
    let port: Int
    let log: String

    init(in folder: String, password: Bool) throws {
        let port = try Int(
            shell("python3 -c 'import socket; s = socket.socket(); s.bind((\"127.0.0.1\", 0)); print(s.getsockname()[1])'").dropLast())
        guard let port else { throw Companion.Failure(description: "no free port") }
        self.port = port
        log = folder + "/registry.log"
        var configuration = """
            version: 0.1
            log: {level: warn, accesslog: {disabled: false}}
            storage: {filesystem: {rootdirectory: \(folder)/registry}}
            http: {addr: "127.0.0.1:\(port)"}

            """
        if password {
            try shell(
                "python3 -c 'import crypt; print(\"ann:\" + crypt.crypt(\"s3cret\", crypt.mksalt(crypt.METHOD_BLOWFISH, rounds=32)))' > '\(folder)/users'"
            )
            configuration += "auth: {htpasswd: {realm: test, path: \(folder)/users}}\n"
        }
        try configuration.write(toFile: folder + "/registry.yml", atomically: true, encoding: .utf8)
        companion = try Companion(["docker-registry", "serve", folder + "/registry.yml"], output: log, waitsForGreeting: false)
        try shell(
            """
            for attempt in $(seq 100); do
                python3 -c 'import socket; socket.create_connection(("127.0.0.1", \(port)), 1)' 2>/dev/null && exit 0
                sleep 0.1
            done
            exit 1
            """)
    }

    /// `127.0.0.1:5000/one`
    func name(_ repository: String) -> String { "127.0.0.1:\(port)/\(repository)" }

    func push(_ layout: String, _ image: String, options: String = "") throws {
        try shell("skopeo --insecure-policy copy --dest-tls-verify=false \(options) oci:\(layout):\(image) docker://\(name(image)):latest")
    }

    /// How often each blob was fetched.
    func blobFetches() throws -> [String: Int] {
        let lines = try String(contentsOfFile: log, encoding: .utf8).split(separator: "\n")
        let digests = lines.compactMap { line -> String? in
            guard line.contains("\"GET /v2/"), let start = line.range(of: "/blobs/") else { return nil }
            return String(line[start.upperBound...].prefix { $0 != " " })
        }
        return Dictionary(digests.map { ($0, 1) }, uniquingKeysWith: +)
    }
}

/// The scripted registry of Tests/Fixtures, with one fault.
struct FaultyRegistry {
    let companion: Companion
    let name: String
    let log: String

    init(_ fault: String, layout: String, in folder: String) throws {
        let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../../Fixtures/faulty_registry.py")
            .path
        log = folder + "/faulty.log"
        companion = try Companion(["python3", script, layout, log, fault], waitsForGreeting: true)
        name = "127.0.0.1:\(companion.greeting.filter { $0.isNumber })/one"
    }

    /// Method, path, status, authorization, range of each request.
    func requests() throws -> [[String]] {
        try String(contentsOfFile: log, encoding: .utf8).split(separator: "\n").map { $0.split(separator: " ").map(String.init) }
    }
}
