package import CoreTypes

/// Addresses that networks take blocks of, one after the other.
package struct NetworkPool: Equatable, Sendable {
    package let block: AddressBlock
    /// Of the blocks that networks get.
    package let prefixLength: Int

    /// - Returns: nil where the pool has no room for a block, or a block none for a gateway and a container.
    package init?(_ block: AddressBlock, prefixLength: Int) {
        guard prefixLength >= block.prefixLength, prefixLength <= block.family.bitCount - 2 else { return nil }
        self.block = block
        self.prefixLength = prefixLength
    }
}

/// Chooses the addresses of networks that ask for none in particular. Pure.
package enum AddressPools {
    /// Docker's default pools for IPv4: private blocks that networks take one after the other.
    package static let defaultBlocksV4: [AddressBlock] = ["172.16.0.0/12", "192.168.0.0/16", "10.0.0.0/8"].compactMap { AddressBlock($0) }
    /// The first choice of the default network: as many addresses as a bridge has ports, and more.
    package static let defaultNetworkBlock = AddressBlock(containing: IPAddress(.v4, bits: 0xac11_0000), prefixLength: 16)
    /// Addresses of a user's network.
    package static let prefixLengthV4 = 24
    /// Where user networks begin: behind the default network.
    private static let firstUserBlock: UInt128 = 0xac12_0000

    /// The first free block, no address of which is in use elsewhere.
    /// - Parameter taken: the blocks of other networks and of the host's routes, the default route aside.
    package static func chooseV4(avoiding taken: [AddressBlock], isDefaultNetwork: Bool) throws(NetworkingError) -> AddressBlock {
        if isDefaultNetwork, let block = defaultNetworkBlock, !taken.contains(where: block.overlaps) { return block }
        let used = taken.filter { $0.family == .v4 && $0.prefixLength > 0 }
        for pool in defaultBlocksV4 {
            var next = max(pool.base.bits, pool.contains(IPAddress(.v4, bits: firstUserBlock)) ? firstUserBlock : 0)
            while next <= pool.last.bits {
                guard let block = AddressBlock(containing: IPAddress(.v4, bits: next), prefixLength: prefixLengthV4) else { break }
                guard let obstacle = used.filter(block.overlaps).max(by: { $0.last < $1.last }) else { return block }
                next = max(obstacle.last.bits, block.last.bits) + 1
            }
        }
        throw NetworkingError(.exhausted, "all predefined address pools have been fully subnetted")
    }

    /// The first free block of pools of one's own, no address of which is in use elsewhere.
    /// - Parameter taken: the blocks of other networks and of the host's routes, the default route aside.
    package static func choose(
        _ family: IPAddress.Family, from pools: [NetworkPool], avoiding taken: [AddressBlock]
    ) throws(NetworkingError) -> AddressBlock {
        let used = taken.filter { $0.family == family && $0.prefixLength > 0 }
        for pool in pools where pool.block.family == family {
            var next = pool.block.base.bits
            while next <= pool.block.last.bits {
                guard let block = AddressBlock(containing: IPAddress(family, bits: next), prefixLength: pool.prefixLength) else { break }
                guard let obstacle = used.filter(block.overlaps).max(by: { $0.last < $1.last }) else { return block }
                let last = max(obstacle.last.bits, block.last.bits)
                if last >= pool.block.last.bits { break }
                next = last + 1
            }
        }
        throw NetworkingError(.exhausted, "all predefined address pools have been fully subnetted")
    }

    /// A block of this machine's own unique local prefix.
    /// - Parameter seed: what the prefix is made of: 40 bits that other machines do not share. - Source: RFC 4193.
    package static func chooseV6(avoiding taken: [AddressBlock], seed: UInt64) throws(NetworkingError) -> AddressBlock {
        let prefix = UInt128(0xfd) << 120 | UInt128(seed & 0xff_ffff_ffff) << 80
        let used = taken.filter { $0.family == .v6 && $0.prefixLength > 0 }
        for number in UInt128(0)..<65_536 {
            guard let block = AddressBlock(containing: IPAddress(.v6, bits: prefix | number << 64), prefixLength: 64) else { break }
            if !used.contains(where: block.overlaps) { return block }
        }
        throw NetworkingError(.exhausted, "all predefined address pools have been fully subnetted")
    }
}

/// Which addresses of one block are in use. A value: whoever owns the network owns it.
package struct AddressLeases: Sendable {
    package let block: AddressBlock
    /// Where addresses are chosen from; the whole block unless a range was asked for.
    private let range: AddressBlock
    private var used: Set<IPAddress> = []
    /// Below this one no address is free.
    private var hint: UInt128

    /// - Parameter reserved: addresses that no container gets: the gateway and auxiliary ones.
    package init(_ block: AddressBlock, range: AddressBlock? = nil, reserved: [IPAddress]) {
        self.block = block
        self.range = range ?? block
        hint = self.range.base.bits
        used = Set(reserved)
        // The first address means the network itself (in IPv6 any router of it), the last everyone on it.
        if block.prefixLength < block.family.bitCount - 1 {
            used.insert(block.base)
            if block.family == .v4 { used.insert(block.last) }
        }
    }

    /// The lowest free address.
    /// - Parameter others: those that are somebody's still who let go of them.
    package mutating func take(besides others: Set<IPAddress> = []) throws(NetworkingError) -> IPAddress {
        var next = hint
        // Theirs are free one day, of which nobody is told.
        var passedOver: UInt128?
        while next <= range.last.bits {
            let address = IPAddress(block.family, bits: next)
            if others.contains(address) {
                passedOver = passedOver ?? next
            } else if used.insert(address).inserted {
                hint = passedOver ?? next
                return address
            }
            if next == .max { break }
            next += 1
        }
        throw NetworkingError(.exhausted, "no available \(block.family == .v4 ? "IPv4" : "IPv6") addresses on this network's address pools")
    }

    /// A certain address. - Throws: `.addressTaken`, or `.invalid` for one outside the block.
    package mutating func take(_ address: IPAddress, besides others: Set<IPAddress> = []) throws(NetworkingError) {
        guard block.contains(address) else { throw NetworkingError(.invalid, "invalid address \(address): it does not lie in \(block)") }
        guard !others.contains(address), used.insert(address).inserted else {
            throw NetworkingError(.addressTaken, "Address already in use")
        }
    }

    /// Gives an address back.
    package mutating func release(_ address: IPAddress) {
        used.remove(address)
        if range.contains(address) { hint = min(hint, address.bits) }
    }
}
