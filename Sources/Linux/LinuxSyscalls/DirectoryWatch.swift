internal import CLinux
internal import Glibc
package import SystemPackage

/// Notices when files in some directories are written to, made or renamed. - Source: inotify(7).
package struct DirectoryWatch: ~Copyable, Sendable {
    private let descriptor: OwnedFD

    package init() throws(SyscallError) {
        descriptor = OwnedFD(owning: try checked("inotify_init1") { clinux_watch_open() })
    }

    /// For waiting: readable when there are notices.
    package var number: Int32 { descriptor.number }

    /// Watches a directory. - Returns: the watch's number; the same for the same directory.
    package func add(_ directory: FilePath) throws(SyscallError) -> Int32 {
        let number = descriptor.number
        return try checked("inotify_add_watch", directory.string) {
            unsafe directory.withPlatformString { unsafe clinux_watch_directory(number, $0) }
        }
    }

    /// Watches a directory no longer. One that is gone is no error.
    package func remove(_ watch: Int32) throws(SyscallError) {
        let number = descriptor.number
        do throws(SyscallError) { try checked("inotify_rm_watch") { clinux_watch_remove(number, watch) } } catch
            where error.errno == EINVAL
        {}
    }

    /// The watches with notices since the last call; nil says that the kernel lost some, so that any may have changed.
    /// - Source: inotify(7). The record is watch i32, mask u32, cookie u32, length u32, name.
    package func changed() throws(SyscallError) -> Set<Int32>? {
        var watches: Set<Int32> = []
        var lost = false
        var buffer = [UInt8](repeating: 0, count: 16_384)
        while case .bytes(let count) = try readAvailable(descriptor.number, into: &buffer) {
            var offset = 0
            while offset + 16 <= count {
                let word = { (place: Int) in (0..<4).reduce(UInt32(0)) { $0 | UInt32(buffer[offset + place + $1]) << UInt32(8 * $1) } }
                if word(4) & 0x4000 != 0 { lost = true }  // IN_Q_OVERFLOW
                watches.insert(Int32(bitPattern: word(0)))
                offset += 16 + Int(word(12))
            }
        }
        return lost ? nil : watches
    }
}
