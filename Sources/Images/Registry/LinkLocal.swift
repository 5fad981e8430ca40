package import CoreTypes

extension IPAddress {
    /// Whether a connection to it stays on one link: 169.254.0.0/16 and fe80::/10, where a machine of a cloud is told its secrets, and each
    /// address of IPv6 from which the kernel, or a translator on the way, makes such a one of IPv4.
    package var leadsToOneLink: Bool { isLinkLocal || standsFor?.isLinkLocal ?? false }

    private var standsFor: IPAddress? {
        guard family == .v6 else { return nil }
        switch bits >> 32 {
        // ::/96, IPv4-compatible, and ::ffff:0:0/96, IPv4-mapped. - Source: RFC 4291, section 2.5.5.
        case 0, 0xffff: return IPAddress(.v4, bits: bits)
        // 64:ff9b::/96: a translator should drop these, and not each does. - Source: RFC 6052, section 3.1.
        case 0x64_ff9b << 64: return IPAddress(.v4, bits: bits)
        default: return nil
        }
    }
}
