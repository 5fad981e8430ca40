import Testing

/// What a reader has been given.
enum Input {
    @TaskLocal static var name = ""
}

/// What is said of a finding, with its input; nil where there is none.
func complaint(_ holds: Bool, _ finding: @autoclosure () -> String) -> String? { holds ? nil : "\(Input.name): \(finding())" }

/// Fails the test, which goes on.
func require(_ holds: Bool, _ finding: @autoclosure () -> String) {
    if let complaint = complaint(holds, finding()) { Issue.record("\(complaint)") }
}
