internal import Glibc
package import SystemPackage

/// Overlays whose options are longer than mount(2) takes.
extension FstabMount {
    private static let layersOption = "lowerdir"

    func mountLongOverlay(_ options: FstabOptions, onto target: FilePath) throws(SyscallError) {
        do throws(SyscallError) { try mountLayerByLayer(options, onto: target) } catch  where error.errno == EINVAL {
            // A kernel before 6.7; another reason is met again.
            guard let (parent, data) = shortenedLayers(options.data), data.utf8.count <= Self.classicOptionByteCount else { throw error }
            try mountShortened(options, data, below: parent, onto: target)
        }
    }

    /// - Source: fsconfig(2); Documentation/filesystems/overlayfs.rst, "lowerdir+", Linux 6.7.
    private func mountLayerByLayer(_ options: FstabOptions, onto target: FilePath) throws(SyscallError) {
        let context = try openFileSystem(type: "overlay")
        for option in options.data.split(separator: ",") {
            let parts = option.split(separator: "=", maxSplits: 1).map(String.init)
            if parts.count == 2, parts[0] == Self.layersOption {
                for layer in parts[1].split(separator: ":") { try configureFileSystem(context, "lowerdir+", String(layer)) }
            } else {
                try configureFileSystem(context, parts[0], parts.count == 2 ? parts[1] : nil)
            }
        }
        try createFileSystem(context, subject: "overlay")
        let mounted = try mountFileSystem(context, options.attributes, subject: "overlay")
        let place = try openFile(target, [.path, .directory, .noFollow])
        try moveMount(mounted, onto: place, subject: target.string)
    }

    /// Names the layers from the directory that all of them lie below.
    /// - Source: containerd core/mount/mount_linux.go, `compactLowerdirOption`.
    private func mountShortened(
        _ options: FstabOptions, _ data: String, below parent: FilePath, onto target: FilePath
    ) throws(SyscallError) {
        // The target may be a relative name as well.
        let place = try openFile(target, [.path, .directory, .noFollow])
        let (source, type, flags, descriptor) = (source, type, options.flags, FilePath("/proc/self/fd/\(place.number)"))
        // Other threads of a daemon, or of a pod's shim, have names to look up meanwhile.
        try inOwnWorkingDirectory(parent) { () throws(SyscallError) in
            try mount(source, onto: descriptor, type: type, flags: flags, data: data)
        }
        try place.close()
    }
}

/// The directory that all layers of an overlay's options lie below, and the options with the layers' names from there; nil where there is none, as one of
/// them has no absolute name.
package func shortenedLayers(_ data: String) -> (parent: FilePath, data: String)? {
    var words = data.split(separator: ",").map(String.init)
    guard let index = words.firstIndex(where: { $0.hasPrefix("lowerdir=") }) else { return nil }
    let layers = words[index].dropFirst("lowerdir=".count).split(separator: ":").map { FilePath(String($0)) }
    guard let first = layers.first, layers.allSatisfy(\.isAbsolute) else { return nil }
    var common = Array(first.removingLastComponent().components)
    for layer in layers {
        let names = layer.removingLastComponent().components
        common = Array(zip(common, names).prefix { $0 == $1 }.map(\.0))
    }
    let relative = layers.map { FilePath(root: nil, $0.components.dropFirst(common.count)).string }
    words[index] = "lowerdir=" + relative.joined(separator: ":")
    return (FilePath(root: "/", common), words.joined(separator: ","))
}
