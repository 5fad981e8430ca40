// Rows: features
import CoreTypes
import EngineAPI
import Testing

@testable import Engine

@Suite struct NamesAndTextsTests {
    @Test("C14 a made-up name is an adjective and a surname, with a digit when that was taken")
    func randomNames() throws {
        var generator = SystemRandomNumberGenerator()
        for attempt in [0, 1] {
            let name = ContainerNames.random(attempt: attempt, using: &generator)
            let parts = name.split(separator: "_", maxSplits: 1)
            #expect(ContainerNames.adjectives.contains(String(parts[0])))
            #expect(ContainerNames.surnames.contains(String(attempt == 0 ? parts[1] : parts[1].dropLast())))
            #expect(try ContainerNames.validated(name) == name)
        }
        #expect(Set(ContainerNames.adjectives).count == ContainerNames.adjectives.count)
        #expect(Set(ContainerNames.surnames).count == ContainerNames.surnames.count)
    }

    @Test(
        "C13 a name is letters, digits, underscore, dot and dash",
        arguments: ["a", "-ab", "a b", "", "a/b", "é1", String(repeating: "a", count: 256)])
    func badNames(name: String) {
        #expect(
            refusal { _ = try ContainerNames.validated(name) }?.message
                == "Invalid container name (\(name)), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed")
    }

    @Test("a taken name is refused with its owner, and given back for that one alone")
    func takenName() throws {
        let index = ContainerIndex()
        let (id, other) = (try ContainerID("0123456789ab"), try ContainerID("ffff"))
        try index.reserve(name: "x", for: id)
        let refused = refusal { try index.reserve(name: "x", for: other) }
        #expect(refused?.code == .conflict)
        #expect(refused?.message.hasPrefix("Conflict. The container name \"/x\" is already in use by container \"0123456789ab\".") == true)
        // A change of name that came too late: the name is another's by now.
        index.release(name: "x", for: other)
        #expect(refusal { try index.reserve(name: "x", for: other) }?.code == .conflict)
        index.release(name: "x", for: id)
        try index.reserve(name: "x", for: id)
        #expect(refusal { _ = try index.find("x") }?.message == "No such container: x")
    }

    @Test("an id is 64 hexadecimal digits, and its short form no number")
    func identifiers() {
        let id = Identifiers.random()
        #expect(id.count == 64 && id.allSatisfy { $0.isHexDigit && !$0.isUppercase })
        let isNumber = id.shortID.allSatisfy(\.isNumber)
        #expect(!isNumber)
    }

    @Test(
        "spans of time are told in Docker's words",
        arguments: [
            (0, "Less than a second"), (1, "1 second"), (59, "59 seconds"), (60, "About a minute"), (150, "2 minutes"),
            (3600, "About an hour"),
            (2 * 3600, "2 hours"), (49 * 3600, "2 days"), (15 * 86400, "2 weeks"), (70 * 86400, "2 months"), (800 * 86400, "2 years"),
        ] as [(Int64, String)])
    func ages(seconds: Int64, words: String) {
        #expect(Ages.words(from: Timestamp(seconds: 1000), to: Timestamp(seconds: 1000 + seconds)) == words)
    }

    @Test("D03 a name filter is found anywhere, or where its anchors say")
    func nameFilter() throws {
        #expect(try NamePattern("eb").matches("web"))
        #expect(try NamePattern("^/web$").matches("web"))
        #expect(try !NamePattern("^eb").matches("web"))
        #expect(refusal { _ = try NamePattern(String(repeating: "a", count: 257)) }?.code == .invalidParameter)
    }

    @Test("D03 a name filter is a regular expression as Docker's, which no name makes slow")
    func expressions() throws {
        let found = [
            ("a.*b", "xa-b"), ("^w[a-e]b$", "web"), ("web|db", "mydb"), ("^(web|db)-[0-9]+$", "db-12"), ("^/we?b", "wb"),
            ("x{2,3}y", "axxy"), ("^.{3}$", "web"),
            ("[^a-c]z", "dz"), ("\\d\\d", "a42"), ("\\.", "a.b"), ("^\\w+$", "a_1"), ("(?:ab)+c", "ababc"), ("a{,2}", "a{,2}"),
            ("[]x]", "]"), ("", "any"),
            ("a+?b", "aab"), ("[a-]", "-"), ("(web)(1|2)?$", "web2"), ("[web", "[web"),
        ]
        for (expression, name) in found { #expect(try NamePattern(expression).matches(name), "\(expression) \(name)") }
        let missed = [
            ("^a.*b$", "abc"), ("[a-c]z", "dz"), ("^db$", "mydb"), ("x{2}y", "xy"), ("\\d", "abc"), ("[web", "web"), ("(a", "a"),
            ("a**b|*", "ab"),
        ]
        for (expression, name) in missed { #expect(try !NamePattern(expression).matches(name), "\(expression) \(name)") }
        let begin = ContinuousClock.now
        #expect(try !NamePattern("^(a+)+$").matches(String(repeating: "a", count: 250) + "b"))
        #expect(try !NamePattern("(.*)*(.*)*(.*)*x").matches(String(repeating: "a", count: 250)))
        #expect(ContinuousClock.now - begin < .seconds(20))
        #expect(throws: TextExpression.Malformed.self) { try TextExpression("((a{1000}){1000}){1000}") }
        #expect(throws: TextExpression.Malformed.self) { try TextExpression(String(repeating: "(", count: 200)) }
        #expect(throws: TextExpression.Malformed.self) { try TextExpression(String(repeating: "a", count: 5000)) }
        // A thousand times nothing, a thousand times, …
        let nothing = String(repeating: "(", count: 20) + String(repeating: "){1000}", count: 20)
        #expect(try TextExpression(nothing).matches("x"))
    }

    @Test(
        "an expression means what it means to Go",
        arguments: [
            ("^.$", "é", true), ("^[à-ü]+$", "éü", true), ("^[^a]$", "é", true), ("^a.b$", "a\nb", false), ("(?s)^a.b$", "a\nb", true),
            ("(?i)^AbÉ[x-z]$", "aBéY", true), ("(?i)[^a]", "A", false), ("a(?i)b", "aB", true), ("(?:(?i)a)b", "AB", false),
            ("(?i:a)b", "Ab", true), ("(?i)(?-i)a", "A", false), ("^b", "a\nb", false), ("(?m)^b$", "a\nb\nc", true),
            ("(?P<one>a)(?<two>b)", "ab", true), ("\\bdb\\b", "my-db.1", true), ("\\bdb\\b", "mydb", false), ("\\Bdb", "mydb", true),
            ("\\Aa\\z", "a", true), ("^[[:alpha:]]+$", "ab", true), ("[[:^alpha:]]", "ab", false), ("^[\\d.]+$", "1.2", true),
            ("[^\\W]", "-", false), ("\\Qa.b\\E+$", "a.bb", true), ("\\Qa.b", "axb", false), ("^\\x41\\x{e9}\\101\\t$", "AéA\t", true),
            ("\\s", "\u{b}", false), ("a{1,2}{", "a{", true), ("^a{01}$", "a{01}", true), ("(|a)+$", "b", true), ("()*", "", true),
        ])
    func expressionsOfGo(expression: String, text: String, isFound: Bool) throws {
        #expect(try TextExpression(expression).matches(text) == isFound)
    }

    @Test("a set has the letters that it names, in whatever order, and no others")
    func setsOfLetters() throws {
        var (set, expected) = (ScalarSet.none, Set<UInt32>())
        // Each third letter, from both ends to the middle, then ranges that touch, overlap and hold others.
        for step in 0..<100 { for value in [0x100 + 3 * UInt32(step), 0x400 - 3 * UInt32(step)] { add(value...value) } }
        let ranges: [ClosedRange<UInt32>] = [
            0x60...0x85, 0x101...0x101, 0x3f0...0x410, 0x500...0x510, 0x511...0x511, 0x4ff...0x4ff, 0x120...0x140,
        ]
        for range in ranges { add(range) }
        for value in UInt32(0)...0x600 {
            let letter = try #require(Unicode.Scalar(value))
            #expect(set.contains(letter) == expected.contains(value), "\(value)")
        }

        func add(_ range: ClosedRange<UInt32>) {
            guard let least = Unicode.Scalar(range.lowerBound), let most = Unicode.Scalar(range.upperBound) else { return }
            set.formUnion(ScalarSet(least...most))
            expected.formUnion(range)
        }
    }

    @Test(
        "what is no expression is refused in Go's words",
        arguments: [
            ("a**", "invalid nested repetition operator"), ("*", "missing argument to repetition operator"),
            ("(?i)*", "missing argument to repetition operator"), ("a{1001}", "invalid repeat count"), ("a{2,1}", "invalid repeat count"),
            ("(a", "missing closing )"), ("a)", "unexpected )"), ("[a", "missing closing ]"), ("[b-a]", "invalid character class range"),
            ("[[:none:]]", "invalid character class range"), ("\\1", "invalid escape sequence"), ("\\x{110000}", "invalid escape sequence"),
            ("a\\", "trailing backslash at end of expression"), ("(?=a)", "invalid or unsupported Perl syntax"),
            ("(?P<a-b>c)", "invalid named capture"), ("\\pL", "Unicode classes are not supported: \\p"),
            ("[\\PL]", "Unicode classes are not supported: \\P"), ("(?i", "missing closing )"), ("[a-\\d]", "invalid escape sequence"),
        ])
    func refusedExpressions(expression: String, reason: String) throws {
        let refusal = #expect(throws: TextExpression.Malformed.self) { try TextExpression(expression) }
        #expect(refusal?.reason == reason)
    }

    @Test("B04 a reference filter is a shell pattern over the name with or without its tag")
    func referenceFilter() {
        #expect(ReferencePattern("busy*").matches("busybox:latest"))
        #expect(ReferencePattern("*:latest").matches("busybox:latest"))
        #expect(ReferencePattern("127.0.0.1:5000/b?sybox").matches("127.0.0.1:5000/busybox:1"))
        #expect(!ReferencePattern("*box").matches("library/busybox:1"))
        #expect(!ReferencePattern(String(repeating: "*a", count: 50) + "b").matches(String(repeating: "a", count: 200)))
    }

    @Test(
        "what the docker CLI turns into exit codes is in the sentence of a failed start",
        arguments: [
            ("exec: \"x\": executable file not found in $PATH", 127, true), ("exec: \"/x\": stat /x: no such file or directory", 127, true),
            ("exec: \"/etc\": permission denied", 126, true), ("mount /x: ENOSPC (28)", 128, false),
        ])
    func startFailures(words: String, exitCode: Int, isCallersFault: Bool) {
        let failure = StartFailure(.create, words: words)
        #expect(failure.exitCode == exitCode && failure.isCallersFault == isCallersFault)
        #expect(
            failure.message
                == "failed to create task for container: failed to create shim task: OCI runtime create failed: \(words): unknown")
        #expect(StartFailure(.create, words: "OCI runtime create failed: \(words): unknown\n") == failure)
    }

    @Test("a log that cannot be begun is laid to no runtime")
    func logFailures() {
        let words = "failed to initialize logging driver: connect tcp 127.0.0.1:1: ECONNREFUSED (111)"
        let failure = StartFailure(.create, words: "log /d/log: \(words)")
        #expect(failure.message == "failed to create task for container: \(words)")
        #expect(failure.exitCode == 128 && !failure.isCallersFault)
    }

    @Test(
        "how long a process ran is told in whole seconds that are over",
        arguments: [(27.91, 29.21, 1), (27.21, 29.91, 2), (1.5, 1.5, 0), (1.5, 3.5, 2), (3.0, 1.0, 0)])
    func secondsRun(began: Double, ended: Double, seconds: Int64) {
        func moment(_ value: Double) -> Timestamp { Timestamp(unixNanoseconds: Int64((value * 100).rounded()) * 10_000_000) }
        #expect(moment(began).wholeSeconds(until: moment(ended)) == seconds)
    }

    @Test("a proxy's password is not shown")
    func proxies() {
        #expect(ContainerEngine.withoutCredentials("http://me:secret@proxy:3128") == "http://xxxxx:xxxxx@proxy:3128")
        #expect(ContainerEngine.withoutCredentials("http://proxy:3128") == "http://proxy:3128")
    }
}
