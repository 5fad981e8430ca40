package import CoreTypes

/// Where in every hierarchy a container's cgroup lies: checked components, so that no file outside can be meant.
package struct CgroupPath: Equatable, Sendable {
    /// The most components.
    package static let maximumDepth = 32
    /// The longest text.
    package static let maximumLength = 4096

    /// Below the root of each hierarchy, or below the runtime's own cgroup there.
    package let isAbsolute: Bool
    /// At least one; none is `.`, `..`, empty or longer than a file name.
    package let components: [String]

    /// - Parameters:
    ///   - specification: `linux.cgroupsPath`; nil or empty means a cgroup beside the runtime's own, named as the container.
    ///   - container: the name where the configuration gives none.
    /// - Throws: `invalidPath` for `..`, for the root itself and for names that no file has.
    /// - Spec: runtime-spec v1.3.0, config-linux.md, "Cgroups Path".
    package init(_ specification: String?, container: ContainerID) throws(CgroupError) {
        let text = specification ?? ""
        if text.isEmpty {
            isAbsolute = false
            components = [container.text]
        } else {
            isAbsolute = text.utf8.first == UInt8(ascii: "/")
            components = try Self.checkedComponents(of: text, field: "linux.cgroupsPath")
        }
    }

    /// Relative to a hierarchy's root.
    var relative: String { relativePath(of: components) }

    static func checkedComponents(of text: String, field: String) throws(CgroupError) -> [String] {
        func invalid(_ reason: String) -> CgroupError {
            CgroupError(.invalidPath, doing: "\(field) \(String(text.prefix(200)).debugDescription)", reason: reason)
        }
        if text.utf8.count > maximumLength { throw invalid("longer than \(maximumLength) bytes") }
        // By bytes, as the kernel does: a slash and a combining mark after it are one character.
        let components = text.utf8.split(separator: UInt8(ascii: "/")).map { String(Substring($0)) }
        if components.isEmpty { throw invalid("names the root of the hierarchy") }
        if components.count > maximumDepth { throw invalid("deeper than \(maximumDepth) levels") }
        for component in components {
            if component == "." || component == ".." { throw invalid("\(component.debugDescription) is not allowed in it") }
            if component.utf8.count > 255 { throw invalid("a component is longer than 255 bytes") }
            if component.utf8.contains(where: { $0 < 0x20 || $0 == 0x7f }) { throw invalid("a component has a control character") }
        }
        return components
    }
}

/// Components as one relative path. Spelled out: the generic `joined` looks up conformances at run time.
func relativePath(of components: some Sequence<some StringProtocol>) -> String {
    var path = ""
    for component in components {
        if !path.isEmpty { path += "/" }
        path += component
    }
    return path
}
