internal import ContentStore
package import CoreTypes
internal import Records
internal import Registry
internal import Snapshots

/// What images take on the disk.
package struct DiskUsage: Equatable, Sendable {
    /// Bytes of all layers, unpacked and as blobs, and of what interrupted pulls brought.
    package var totalBytes: Int64 = 0
    /// Bytes of an image's unpacked layers that another image has, too.
    package var sharedBytes: [Digest: Int64] = [:]
}

extension ImageLibrary {
    /// Measures what images take, without the writable layers of containers.
    package func diskUsage() async throws(ImageError) -> DiskUsage {
        let storage = try storage()
        let images = try await list()
        var users: [Digest: Int] = [:]
        for chain in images.flatMap({ Set($0.image.layers.map(\.chainID)) }) { users[chain, default: 0] += 1 }
        var usage = DiskUsage()
        for named in images {
            let shared = named.image.layers.filter { users[$0.chainID, default: 0] > 1 }
            usage.sharedBytes[named.image.id] = Int64(clamping: shared.size.bytes)
        }
        usage.totalBytes = try await storage.chores.run { () throws(ImageError) in try storage.allocatedBytes() }
        return usage
    }
}

extension ImageStorage {
    /// What layers and blobs take on the disk. Blocks.
    fileprivate func allocatedBytes() throws(ImageError) -> Int64 {
        do { return try snapshots.layersAllocatedBytes().addingClamped(blobs.allocatedBytes()) } catch { throw .storage(error) }
    }
}
