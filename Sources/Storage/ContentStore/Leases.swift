package import CoreTypes
internal import Glibc
internal import LinuxSyscalls
internal import Synchronization
internal import SystemPackage

/// Names one lease of one store, for as long as the process lives.
package struct LeaseID: Hashable, Sendable {
    let number: UInt64
}

/// Which blobs a sweep looks at.
package enum SweepScope: Equatable, Sendable {
    case all
    case among(Set<Digest>)
    /// Those that arrived longer ago than this.
    case idle(Duration)
}

/// What a sweep did.
package struct SweepResult: Equatable, Sendable {
    package let removed: [Digest]
    package let freedBytes: Int64
}

extension BlobStore {
    /// Takes a lease: blobs added to it outlive every sweep until the lease is released, whether or not a record names
    /// them yet. Take it before the first ingest of a pull, release it after the record is durable. A lease dies with its
    /// process: the blobs then wait, unprotected, for the pull that goes on.
    /// - Parameter isTaking: whether nothing goes on with them then: they are `abandoned`.
    package func takeLease(isTaking: Bool = false) -> LeaseID {
        let lease = LeaseID(number: nextLease.wrappingAdd(1, ordering: .relaxed).oldValue)
        leases.withLock { $0[lease] = [] }
        // Where nothing can be written down the blobs wait as those of a pull do.
        if isTaking, let taking = try? Taking(takingPath(of: lease)) {
            takings.withLock { $0[lease] = taking }
        }
        return lease
    }

    /// Protects a blob, there or yet to come.
    package func protect(_ digest: Digest, by lease: LeaseID) {
        let isNew = leases.withLock { $0[lease]?.insert(digest).inserted ?? false }
        if isNew { takings.withLock { $0[lease] }?.add(digest) }
    }

    /// Ends a lease; to end it again does nothing.
    package func release(_ lease: LeaseID) {
        _ = endLease(lease)
        forgetTaking(of: lease)
    }

    /// Ends a lease. One that is a taking is `abandoned` until `forgetTaking`.
    /// - Returns: what it protected, for a sweep of what was not needed in the end.
    package func endLease(_ lease: LeaseID) -> Set<Digest> {
        _ = takings.withLock { $0.removeValue(forKey: lease) }
        return leases.withLock { leases in
            let blobs = leases.removeValue(forKey: lease) ?? []
            released.withLock { if $0.sweeps > 0 { $0.blobs.formUnion(blobs) } }
            return blobs
        }
    }

    /// Says that what such a lease protected has been looked through since its end.
    package func forgetTaking(of lease: LeaseID) { try? removeFile(takingPath(of: lease)) }

    private func takingPath(of lease: LeaseID) -> FilePath { root.appending("takings").appending("\(lease.number)") }

    /// Whether somebody has a lease: something large may be under way.
    package var isLeased: Bool { leases.withLock { !$0.isEmpty } }

    /// Whether a lease protects a blob.
    func isLeased(_ digest: Digest) -> Bool { leases.withLock { $0.values.contains { $0.contains(digest) } } }

    /// Call it before the roots of a sweep are read, and `endSweep` after the sweep: what leases let go in between stays.
    package func beginSweep() { released.withLock { $0.sweeps += 1 } }

    /// What leases let go of from here on is protected by nothing but the roots of the next sweep.
    package func endSweep() {
        released.withLock { state in
            state.sweeps -= 1
            if state.sweeps == 0 { state.blobs = [] }
        }
    }

    /// Removes one blob. One that is not there is no error; open readers keep what they have.
    package func removeBlob(_ digest: Digest) throws(ContentError) {
        do throws(SyscallError) { try removeFile(path(of: digest)) } catch  where error.errno != ENOENT {
            throw ContentError(.system, doing: "remove blob", subject: digest.description, cause: error)
        } catch {}
    }

    /// Removes each blob of `scope` that is neither among `roots` (all that records reach: indexes, manifests, configurations,
    /// layers) nor protected by a lease. No lease can be taken or extended meanwhile.
    package func sweep(_ scope: SweepScope = .all, keeping roots: Set<Digest>) throws(ContentError) -> SweepResult {
        try leases.withLock { leases throws(ContentError) in
            let leased = leases.values.reduce(into: released.withLock { $0.blobs }) { $0.formUnion($1) }
            var removed: [Digest] = []
            var freedBytes: Int64 = 0
            for digest in try digests() where !roots.contains(digest) && !leased.contains(digest) {
                guard try isIn(scope, digest) else { continue }
                freedBytes += try size(of: digest) ?? 0
                try removeBlob(digest)
                removed.append(digest)
            }
            return SweepResult(removed: removed, freedBytes: freedBytes)
        }
    }

    private func isIn(_ scope: SweepScope, _ digest: Digest) throws(ContentError) -> Bool {
        switch scope {
        case .all: true
        case .among(let candidates): candidates.contains(digest)
        case .idle(let age): try isIdle(path(of: digest), for: age)
        }
    }

    /// Whether a file was last written to longer ago than `age`; one that is gone was not.
    func isIdle(_ path: FilePath, for age: Duration) throws(ContentError) -> Bool {
        let written: Int64
        do throws(SyscallError) { written = try fileStatus(path).modified.seconds } catch {
            if error.errno == ENOENT { return false }
            throw ContentError(.system, doing: "look at", subject: path.string, cause: error)
        }
        return .nanoseconds(unixNanoseconds()) - .seconds(written) >= age
    }
}
