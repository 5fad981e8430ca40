internal import Engine
internal import OCISpec
internal import Registry

/// What images from strangers may cost, and how much of the disk is kept for removals.
extension DaemonOptions {
    /// A limit of `--layer-limit`, in which range, and where it goes.
    private struct LayerLimit {
        let name: String
        let range: ClosedRange<Int64>
        let set: @Sendable (inout EngineConfiguration.LayerLimits, Int64) -> Void

        init(
            _ name: String, _ range: ClosedRange<Int64> = 1...Int64.max,
            _ set: @escaping @Sendable (inout EngineConfiguration.LayerLimits, Int64) -> Void
        ) {
            self.name = name
            self.range = range
            self.set = set
        }
    }

    private static let layerLimitNames = [
        LayerLimit("size") { $0.sizeBytes = $1 },
        LayerLimit("ratio") { $0.ratio = $1 },
        LayerLimit("ratio-free") { $0.ratioFreeBytes = $1 },
        LayerLimit("entries") { $0.entries = Int($1) },
        LayerLimit("depth") { $0.depth = Int($1) },
        // PATH_MAX with its end: no longer name reaches the kernel.
        LayerLimit("path", 255...4095) { $0.pathBytes = Int($1) },
        LayerLimit("names", 4096...1 << 32) { $0.keptNameBytes = Int($1) },
        LayerLimit("attributes", 256...64 << 20) { $0.attributeBytes = Int($1) },
        LayerLimit("header", 65_536...1 << 30) { $0.headerBytes = Int($1) },
        LayerLimit("zstd-window", 1 << 10...1 << 31) { $0.zstdWindowLog = Int32($1.trailingZeroBitCount) },
        LayerLimit("free") { $0.freeBytes = UInt64($1) },
        LayerLimit("free-inodes") { $0.freeInodes = UInt64($1) },
    ]

    /// Limits of `--image-limit`, each with where it goes.
    private static var imageLimitNames: [(name: String, range: ClosedRange<Int>, limit: WritableKeyPath<ImageLimits, Int>)] {
        let ceiling = DocumentLimits.ceiling
        return [
            ("configuration", 4096...ceiling.bytes, \.configurationBytes),
            ("descriptors", 1...ceiling.descriptors, \.descriptors),
            ("json-depth", 8...ceiling.depth, \.jsonDepth),
            ("indexes", 1...16, \.nestedIndexes),
            ("layers", 1...ImageLimits().layers, \.layers),
            ("archive-images", 1...65_536, \.archiveImages),
            ("archive-members", 1...10_000_000, \.archiveMembers),
            ("archive-depth", 3...512, \.archiveDepth),
            ("archive-names", 4096...1 << 30, \.archiveNameBytes),
            ("archive-links", 1...128, \.archiveLinks),
            ("marker", 64...1 << 20, \.markerBytes),
            ("signatures", 1...256, \.signatures),
            ("signature", 1024...65_536, \.signatureBytes),
            ("tags", 1...1_000_000, \.tags),
            ("tag-pages", 1...1_000_000, \.tagPages),
            ("redirects", 1...50, \.redirects),
            ("download-redirects", 1...50, \.downloadRedirects),
            ("error", 1024...1 << 20, \.errorBytes),
            ("unread", 1024...64 << 20, \.unreadBytes),
            ("answer", 4096...64 << 20, \.answerBytes),
            ("header", 4096...1 << 20, \.headerBytes),
        ]
    }

    mutating func addLayerLimit(_ value: String) throws(UsageError) {
        let (name, text) = try Self.pair("--layer-limit", value)
        guard let number = Int64(text), number > 0 else {
            throw UsageError("--layer-limit takes NAME=NUMBER, a number above 0, not '\(value)'")
        }
        guard let limit = Self.layerLimitNames.first(where: { $0.name == name }) else {
            throw UsageError("--layer-limit knows \(Self.list(Self.layerLimitNames.map(\.name))), not '\(name)'")
        }
        if name == "zstd-window", number.nonzeroBitCount != 1 || !limit.range.contains(number) {
            throw UsageError("--layer-limit zstd-window takes a power of two from 1024 to 2147483648, not '\(text)'")
        }
        guard limit.range.contains(number) else {
            throw UsageError("--layer-limit \(name) takes \(limit.range.lowerBound) to \(limit.range.upperBound), not '\(text)'")
        }
        limit.set(&layerLimits, number)
    }

    mutating func addImageLimit(_ value: String) throws(UsageError) {
        let (name, text) = try Self.pair("--image-limit", value)
        let known = Self.imageLimitNames
        guard let found = known.first(where: { $0.name == name }) else {
            throw UsageError("--image-limit knows \(Self.list(known.map(\.name))), not '\(name)'")
        }
        guard let number = Int(text), found.range.contains(number) else {
            throw UsageError("--image-limit \(name) takes \(found.range.lowerBound) to \(found.range.upperBound), not '\(text)'")
        }
        imageLimits[keyPath: found.limit] = number
    }

    static func manifestLimit(_ value: String) throws(UsageError) -> Int {
        let most = DocumentLimits.ceiling.bytes
        guard let bytes = Int(value), (4096...most).contains(bytes) else {
            throw UsageError("--manifest-limit takes bytes from 4096 to \(most), not '\(value)'")
        }
        return bytes
    }

    static func diskReserve(_ value: String) throws(UsageError) -> Int64 {
        guard let bytes = Int64(value), bytes == 0 || (1 << 20...1 << 40).contains(bytes) else {
            throw UsageError("--disk-reserve takes bytes from 1048576 to 1099511627776, or 0, not '\(value)'")
        }
        return bytes
    }

    private static func pair(_ flag: String, _ value: String) throws(UsageError) -> (name: String, text: String) {
        let parts = value.split(separator: "=", maxSplits: 1).map(String.init)
        guard parts.count == 2 else { throw UsageError("\(flag) takes NAME=NUMBER, not '\(value)'") }
        return (parts[0], parts[1])
    }

    private static func list(_ names: [String]) -> String { names.dropLast().joined(separator: ", ") + " and " + (names.last ?? "") }
}
