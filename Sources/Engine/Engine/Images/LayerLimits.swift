internal import Archive
internal import Images

extension LibrarySettings {
    init(_ configuration: EngineConfiguration) {
        self.init(dataRoot: configuration.dataRoot)
        let wanted = configuration.layerLimits
        limits.uncompressedBytes = wanted.sizeBytes ?? limits.uncompressedBytes
        limits.ratio = wanted.ratio ?? limits.ratio
        limits.entries = wanted.entries ?? limits.entries
        limits.depth = wanted.depth ?? limits.depth
        limits.ratioFreeBytes = wanted.ratioFreeBytes ?? limits.ratioFreeBytes
        limits.pathBytes = wanted.pathBytes ?? limits.pathBytes
        limits.keptNameBytes = wanted.keptNameBytes ?? limits.keptNameBytes
        limits.attributeBytes = wanted.attributeBytes ?? limits.attributeBytes
        limits.headerBytes = wanted.headerBytes ?? limits.headerBytes
        limits.zstdWindowLog = wanted.zstdWindowLog ?? limits.zstdWindowLog
        limits.reservedFreeBytes = wanted.freeBytes ?? limits.reservedFreeBytes
        limits.reservedFreeInodes = wanted.freeInodes ?? limits.reservedFreeInodes
    }
}
