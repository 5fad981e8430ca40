import EngineAPI
import Testing

@testable import Engine

@Suite("What commit and import change of a configuration")
struct ConfigurationChangeTests {
    private func apply(_ changes: [String]) throws -> ContainerConfig {
        var config = ContainerConfig()
        try ConfigurationChange.apply(changes, to: &config)
        return config
    }

    @Test("variables stand for what they are so far")
    func variables() throws {
        let config = try apply(["ENV a=one", "ENV b=$a-${a} c='$a'", "LABEL l=$b", "WORKDIR /$a"])
        #expect(config.env == ["a=one", "b=one-one", "c=$a"])
        #expect(config.labels == ["l": "one-one"] && config.workingDir == "/one")
    }

    @Test(
        "a variable may stand for another word where it is set, or is not",
        arguments: [
            ("${NO:-def}", "def"), ("${a:-def}", "one"), ("${a:+alt}", "alt"), ("${NO:+alt}", ""), ("${e:-def}", "def"), ("${e-def}", ""),
            ("${NO-x${a}y}", "xoney"), ("${NO:-'}'}", "}"), ("${a}${b}", "one"),
        ])
    func substitutions(text: String, expected: String) throws {
        #expect(try apply(["ENV a=one e=", "LABEL l=\(text)"]).labels == ["l": expected])
    }

    @Test(
        "what is no substitution is refused",
        arguments: ["${a:-b", "${a%b}", "${NO:?gone}", "${:-x}", String(repeating: "${b:-", count: 40)])
    func badSubstitutions(text: String) {
        let error = #expect(throws: EngineError.self) { try apply(["ENV a=one", "LABEL l=\(text)"]) }
        #expect(error?.code == .invalidParameter)
    }

    @Test("a command that comes with its entry point stays, one of before goes")
    func commandsAndEntryPoints() throws {
        let both = try apply([#"CMD ["a"]"#, #"ENTRYPOINT ["x"]"#])
        #expect(both.cmd?.words == ["a"] && both.entrypoint?.words == ["x"])
        var config = ContainerConfig()
        config.cmd = StringSlice(["old"])
        try ConfigurationChange.apply([#"ENTRYPOINT ["x"]"#], to: &config)
        #expect(config.cmd == nil)
        try ConfigurationChange.apply(["CMD new", "ENTRYPOINT []", "CMD []"], to: &config)
        #expect(config.cmd == nil && config.entrypoint == nil)
    }

    @Test("lines, comments and ports in a row are as in a Dockerfile")
    func lines() throws {
        let config = try apply(["ENV A=1\n# none\n\nENV B=2 \\\n  C=3", "EXPOSE 80-82 53/udp"])
        #expect(config.env == ["A=1", "B=2", "C=3"])
        #expect(config.exposedPorts.keys.sorted() == ["53/udp", "80/tcp", "81/tcp", "82/tcp"])
    }

    @Test("a line ends where a Dockerfile's does, and goes on behind a single backslash with all its blanks")
    func lineEnds() throws {
        let ended = try apply(["CMD a\r\nUSER b", "WORKDIR /c\r", "LABEL d=e"])
        #expect(ended.cmd?.words == ["/bin/sh", "-c", "a"] && ended.user == "b" && ended.workingDir == "/c" && ended.labels == ["d": "e"])
        #expect(try apply(["ENV A=1\\\n  B=2"]).env == ["A=1", "B=2"])
        #expect(try apply(["ENV A=1\\ \t\r\n\n # none\nB=2"]).env == ["A=1B=2"])
        #expect(try apply(["CMD a\\\\\nUSER b", "\\"]).user == "b")
    }

    @Test("ports are counted before they are made", .timeLimit(.minutes(1)))
    func manyPorts() throws {
        #expect(try apply(["EXPOSE 1-65535 1-65535/udp 1-65535/sctp"]).exposedPorts.count == 3 * 65535)
        for changes in [["EXPOSE" + String(repeating: " 1-65535", count: 8000)], Array(repeating: "EXPOSE 1-65535", count: 8000)] {
            let error = #expect(throws: EngineError.self) { try apply(changes) }
            #expect(error?.message == "EXPOSE: more than 196605 ports in one request")
        }
    }

    @Test(
        "instructions that no Dockerfile may have are refused",
        arguments: [
            ("ONBUILD FROM x", "FROM isn't allowed as an ONBUILD trigger"), ("ONBUILD onbuild RUN x", "Chaining ONBUILD"),
            ("HEALTHCHECK --interval=1us CMD x", "Interval \"interval\" cannot be less than 1ms"),
            ("EXPOSE 82-80", "invalid containerPort: 82-80"),
            ("EXPOSE 1-2-3", "invalid containerPort"), ("EXPOSE -", "invalid containerPort"),
        ])
    func refusals(change: String, words: String) {
        let error = #expect(throws: EngineError.self) { try apply([change]) }
        #expect(error?.message.contains(words) == true)
    }

    /// Forty such instructions would ask for a terabyte.
    @Test(
        "a variable that names itself twice again and again is refused before it is large",
        arguments: ["ENV a=$a$a", "ENV a=$a b=$a$a$a$a", "LABEL $a=$a$a$a"])
    func doubling(change: String) throws {
        let start = "ENV a=" + String(repeating: "x", count: 1000)
        let doublings = Array(repeating: "ENV a=$a$a", count: 8)
        let error = #expect(throws: EngineError.self) { try apply([start] + doublings + Array(repeating: change, count: 40)) }
        #expect(error?.code == .invalidParameter && error?.message.contains("longer than 1048576 bytes") == true)
    }
}
