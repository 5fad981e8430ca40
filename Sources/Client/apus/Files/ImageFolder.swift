internal import Archive
internal import Glibc
internal import LinuxSyscalls
internal import SystemPackage

/// A folder that holds images: an OCI layout, or what `docker save` wrote, unpacked.
/// - Spec: image-spec v1.1, image-layout.md.
struct ImageFolder: Sendable {
    private let path: FilePath
    /// What is packed; empty is everything.
    private let names: [FilePath]

    /// - Returns: nil for what is no folder.
    /// - Throws: `Complaint` for a folder that holds no images.
    init?(_ text: String) throws(Complaint) {
        path = CopyPath.here(text).clean
        // What is not there, or is no folder, is for the reader of files to name.
        guard (try? fileStatus(path))?.type == .directory else { return nil }
        let folder = path
        let isThere = { (name: FilePath.Component) in (try? fileStatus(folder.appending(name))) != nil }
        if isThere("oci-layout") && isThere("index.json") {
            names = ["oci-layout", "index.json", "blobs"]
        } else if isThere("manifest.json") {
            names = []
        } else {
            throw Complaint("\(text) holds neither an OCI layout (oci-layout, index.json) nor Docker's manifest.json")
        }
    }

    /// Packs it. Blocks.
    func pack(to sink: @escaping TreeWriter.Sink) throws {
        var writer = TreeWriter(.tree, to: sink)
        let folder = try openFile(path, [.readOnly, .directory])
        if names.isEmpty { try writer.addContents(of: folder) }
        for name in names { try writer.add(name, in: folder, as: Array(name.string.utf8)) }
        try writer.finish()
    }
}
