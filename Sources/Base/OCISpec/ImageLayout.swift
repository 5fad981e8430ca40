internal import JSON

/// The directory form of images: `oci-layout`, `index.json` and `blobs/ALGORITHM/HEX`.
/// - Spec: image-spec v1.1, image-layout.md.
public enum ImageLayout {
    /// The file that marks a directory as a layout.
    public static let markerFileName = "oci-layout"
    /// The index from which everything else is found.
    public static let indexFileName = "index.json"
    /// `imageLayoutVersion` of the file `oci-layout`. - Spec: image-spec v1.1, image-layout.md.
    public static let version = "1.0.0"
    /// The annotation of a descriptor in `index.json` that names the tag.
    public static let tagAnnotation = "org.opencontainers.image.ref.name"

    /// The content of the marker file.
    public static var marker: [UInt8] {
        encodeDocument(indented: false) { writer in writer.object { writer in writer.member("imageLayoutVersion", version) } }
    }

    /// Checks a marker file.
    /// - Throws: `SpecProblem` where the version is another than ours.
    public static func checkMarker(_ bytes: [UInt8]) throws(SpecProblem) {
        try decodeDocument(bytes, limits: JSONLimits(maximumBytes: 65_536, maximumDepth: 8)) {
            (reader: inout JSONReader) throws(JSONError) in
            var found: String?
            try reader.readObject { (reader: inout JSONReader, name: String) throws(JSONError) in
                switch name {
                case "imageLayoutVersion":
                    let text = try reader.readString()
                    if text != version { throw reader.problem("unsupported version \(String(text.prefix(100)).debugDescription)") }
                    found = text
                default: try reader.skipValue()
                }
            }
            _ = try reader.require(found, "imageLayoutVersion")
        }
    }
}
