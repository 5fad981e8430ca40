internal import CoreTypes

/// How what comes from elsewhere reaches the containers of a bridge network, and how what they send leaves, in one family.
///
/// - Source: Docker's manual, "Port publishing and mapping", "Gateway modes".
enum GatewayMode: String, Sendable {
    /// By published ports of the host, and under the host's address.
    case nat
    /// The same, and whoever has a route to a container's address reaches all its ports there.
    case unprotected = "nat-unprotected"
    /// By published ports of the containers' own addresses, and under those.
    case routed
    /// Of an internal network on which the host has no address either.
    case isolated

    /// Whether what leaves may carry the host's address.
    var translates: Bool { self == .nat || self == .unprotected }
}

/// A gateway mode for each family.
struct GatewayModes: Equatable, Sendable {
    var v4 = GatewayMode.nat
    var v6 = GatewayMode.nat

    subscript(_ family: IPAddress.Family) -> GatewayMode { family == .v4 ? v4 : v6 }

    /// The families that have a mode.
    func families(_ isMeant: (GatewayMode) -> Bool) -> Set<IPAddress.Family> { Set([.v4, .v6].filter { isMeant(self[$0]) }) }
}
