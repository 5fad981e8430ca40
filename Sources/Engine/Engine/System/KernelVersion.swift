/// The first two numbers of a kernel's release: 6.18.
struct KernelVersion: Equatable, Comparable, Sendable {
    let major: Int
    let minor: Int

    /// Reads `6.18.5-cloud` or `4.8`; nil where no two numbers stand first.
    init?(_ text: String) {
        let numbers = text.split(separator: ".", maxSplits: 2).prefix(2).compactMap { Int($0.prefix(while: \.isNumber)) }
        guard numbers.count == 2 else { return nil }
        major = numbers[0]
        minor = numbers[1]
    }

    static func < (left: KernelVersion, right: KernelVersion) -> Bool { (left.major, left.minor) < (right.major, right.minor) }
}
