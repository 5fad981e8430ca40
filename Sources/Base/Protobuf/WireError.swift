/// Bytes that do not follow a format of the wire.
package struct WireError: Error, Equatable, Sendable, CustomStringConvertible {
    /// What is wrong with the bytes.
    package enum Code: Equatable, Sendable {
        /// They end inside a value.
        case truncated
        /// A length passes its named maximum.
        case tooLarge
        /// A value that the format does not allow.
        case malformed
        /// A version, or a method's shape, that this build does not speak.
        case unsupported
    }

    package let code: Code
    /// Where: `CreateTaskRequest field 3`, `log header`, `ttrpc frame`.
    package let subject: String

    package init(_ code: Code, _ subject: String) {
        self.code = code
        self.subject = subject
    }

    package var description: String { "\(subject): \(code)" }
}
