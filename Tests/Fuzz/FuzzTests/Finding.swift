import Testing

/// What a reader has been given.
enum Input {
    @TaskLocal static var name = ""
}

/// Fails the test, which goes on.
func require(_ holds: Bool, _ finding: @autoclosure () -> String) {
    if !holds { Issue.record("\(Input.name): \(finding())") }
}
