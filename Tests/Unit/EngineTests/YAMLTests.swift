import Testing

@testable import Engine

@Suite("YAML") struct YAMLTests {
    private func json(_ text: String, numbers: Set<String> = []) throws -> String {
        String(decoding: try YAMLReader.read(Array(text.utf8)).json(numbers: numbers), as: UTF8.self)
    }

    private func problem(_ text: String) -> String? {
        do throws(YAMLError) {
            _ = try YAMLReader.read(Array(text.utf8))
            return nil
        } catch { return "\(error)" }
    }

    @Test("a document as nvidia-ctk writes it is read whole")
    func document() throws {
        let text = """
            ---
            cdiVersion: 0.5.0
            kind: nvidia.com/gpu
            devices:
            - name: "0"
              containerEdits:
                deviceNodes:
                - path: /dev/nvidia0
                  major: 195
                  fileMode: 0666
                - path: /dev/dri/card1
            - name: all
            containerEdits:
              env:
              - NVIDIA_VISIBLE_DEVICES=void
              hooks:
              - hookName: createContainer
                path: /usr/bin/nvidia-cdi-hook
                args:
                - nvidia-cdi-hook
                - --link
                - ../libnvidia-allocator.so.1::/usr/lib/x86_64-linux-gnu/gbm/nvidia-drm_gbm.so
              mounts:
              - hostPath: /usr/bin/nvidia-smi
                containerPath: /usr/bin/nvidia-smi
                options: [ro, nosuid, nodev, bind]
            """
        let device =
            #"{"path":"/dev/nvidia0","major":195,"fileMode":438},{"path":"/dev/dri/card1"}"#
        let hook =
            #"{"hookName":"createContainer","path":"/usr/bin/nvidia-cdi-hook","args":["nvidia-cdi-hook","--link","#
            + #""../libnvidia-allocator.so.1::/usr/lib/x86_64-linux-gnu/gbm/nvidia-drm_gbm.so"]}"#
        let mount =
            #"{"hostPath":"/usr/bin/nvidia-smi","containerPath":"/usr/bin/nvidia-smi","options":["ro","nosuid","nodev","bind"]}"#
        #expect(
            try json(text, numbers: CDIDocument.numbers)
                == #"{"cdiVersion":"0.5.0","kind":"nvidia.com/gpu","devices":[{"name":"0","containerEdits":{"deviceNodes":["# + device
                + #"]}},{"name":"all"}],"containerEdits":{"env":["NVIDIA_VISIBLE_DEVICES=void"],"hooks":["# + hook + #"],"mounts":["#
                + mount + "]}}")
    }

    @Test(
        "values are what YAML says",
        arguments: [
            ("", "null"), ("# nothing\n", "null"), ("a:\nb: ~\nc: 'null'", #"{"a":null,"b":null,"c":"null"}"#),
            ("- - a\n  - b\n-\n  - c\n- d: e\n  f: g\n", #"[["a","b"],["c"],{"d":"e","f":"g"}]"#),
            ("a: b # c\nd: e#f\n", #"{"a":"b","d":"e#f"}"#), ("a: one\n  two\n\n  three\nb: c", #"{"a":"one two\nthree","b":"c"}"#),
            (#"a: "\x41\u00e9\U0001F600\t\"""#, #"{"a":"A\u{e9}\u{1f600}\t\""}"#), ("a: 'it''s\n  so'", #"{"a":"it's so"}"#),
            ("a: \"one \\\n  two\"", #"{"a":"one two"}"#), ("{a: [b, 'c: d',], e: , f}", #"{"a":["b","c: d"],"e":null,"f":null}"#),
            ("a:\r\n- b\r\n", #"{"a":["b"]}"#), (#"{"a":{"b":[1,"2"]}}"#, #"{"a":{"b":["1","2"]}}"#),
            ("\u{feff}a: b\n...\n# end", #"{"a":"b"}"#),
            ("[a\n b, c] # d", #"["a b","c"]"#), ("http://x:1", #""http://x:1""#),
        ])
    func values(text: String, expected: String) throws {
        #expect(try json(text) == expected.replacing("\\u{e9}", with: "\u{e9}").replacing("\\u{1f600}", with: "\u{1f600}"))
    }

    @Test(
        "what is not read is refused by its line",
        arguments: [
            ("a: 1\nb: &x c", "line 2: an anchor (&) is not read"), ("a: *x", "line 1: an alias (*) is not read"),
            ("<<: {a: b}", "line 1: a merge (<<) is not read"), ("a: !!str b", "line 1: a tag (!) is not read"),
            ("a: |\n  b", "line 1: a block scalar (| or >) is not read; write it in quotes"),
            ("%YAML 1.2\n---\na: b", "line 1: directives (%) are not read"),
            ("a: b\n---\nc: d", "line 2: a second document is not read; write it to a file of its own"),
            ("a: b\na: c", "line 2: a second member \"a\" of one mapping"),
            ("a:\n\t- b", "line 2: a tab cannot indent"), ("a: b: c", "line 1: a second \": \" on a line"),
            ("a: [b", "line 1: a bracket is not closed"),
            ("a: 'b\n\n", "line 1: a quote is not closed"), ("a: \"\\q\"", "line 1: an unknown escape in quotes"),
            ("a: - b", "line 1: a sequence cannot begin on the line of its key"),
            ("a: b\nc", "line 2: this line has no \": \", which a member of a mapping needs"),
            ("- a\nb: c", "line 2: this belongs to nothing above it; its indentation may be wrong"),
            ("? a\n: b", "line 1: a key that is no scalar (?) is not read"),
            ("a: b\n\u{1}", "line 2: a control character"), ("a: \"\\ud800\"", "line 1: an escape in quotes that is no character"),
        ])
    func refused(text: String, reason: String) { #expect(problem(text) == reason) }

    @Test("depth and number of values have their limits")
    func limits() {
        let deep = YAMLReader.maximumDepth
        #expect(problem(String(repeating: "[", count: deep) + String(repeating: "]", count: deep)) == nil)
        #expect(problem(String(repeating: "[", count: 1_000_000)) == "line 1: more than 32 collections within one another")
        #expect(problem(String(repeating: "- ", count: 100_000)) == "line 1: more than 32 collections within one another")
        #expect(problem(String(repeating: "-\n", count: YAMLReader.maximumValueCount + 1)) == "line 200001: more than 200000 values")
    }

    @Test(
        "members that are numbers are read as such",
        arguments: [("438", 438), ("0o666", 438), ("0666", 438), ("0x1b6", 438), ("-1", -1), ("+7", 7), ("0", 0)])
    func integers(text: String, value: Int64) throws {
        #expect(YAMLValue.integer(text) == value)
        #expect(try json("{uid: \(text), name: \(text)}", numbers: ["uid"]) == #"{"uid":\#(value),"name":"\#(text)"}"#)
    }

    @Test(
        "what is no number stays a text, which the document then refuses",
        arguments: ["1_0", "0x", "08", "--1", "+-1", "0x-1", "1.5", "99999999999999999999"])
    func notIntegers(text: String) { #expect(YAMLValue.integer(text) == nil) }
}
