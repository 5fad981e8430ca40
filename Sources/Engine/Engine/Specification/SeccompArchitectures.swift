internal import CoreTypes
package import OCISpec

extension SeccompConfiguration.Architecture {
    /// GOARCH's names of the machines that this program may be built for.
    private static let goNames: [Self: String] = [
        .x86_64: "amd64", .aarch64: "arm64", .riscv64: "riscv64", .ppc64le: "ppc64le", .s390x: "s390x",
    ]

    /// The architecture that this program was built for.
    package static var machine: Self {
        let name = CoreTypes.Platform.host.architecture
        guard let found = goNames.first(where: { $0.value == name }) else { preconditionFailure("\(name) has no calls in the table") }
        return found.key
    }

    /// The name that profiles use in their conditions.
    var goName: String { Self.goNames[self] ?? rawValue }
}
