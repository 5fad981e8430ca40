/// A reader of outside bytes. Refusing them is right; a trap, a hang or a document that does not survive being written and read again is a
/// finding.
struct FuzzTarget: Sendable {
    let name: String
    let run: @Sendable ([UInt8]) -> Void

    static let all =
        [
            FuzzTarget(name: "json", run: readJSON), FuzzTarget(name: "config", run: readRuntimeConfiguration),
            FuzzTarget(name: "state", run: readStateFiles), FuzzTarget(name: "mount-options", run: readMountOptions),
            FuzzTarget(name: "cgroup-path", run: readCgroupPath), FuzzTarget(name: "payload-files", run: readPayloadFiles),
            FuzzTarget(name: "reference", run: readReferences), FuzzTarget(name: "challenge", run: readChallenge),
            FuzzTarget(name: "image-documents", run: readImageDocuments), FuzzTarget(name: "tar", run: unpackTar),
            FuzzTarget(name: "ttrpc", run: readFrames), FuzzTarget(name: "log", run: readLog),
            FuzzTarget(name: "docker", run: readDockerBodies), FuzzTarget(name: "names", run: readNames),
            FuzzTarget(name: "registries", run: readRegistrySettings),
            FuzzTarget(name: "variant", run: readVariantText), FuzzTarget(name: "bus-message", run: readBusMessage),
            FuzzTarget(name: "token", run: readTokenAnswer),
            FuzzTarget(name: "accounts", run: readAccountFiles), FuzzTarget(name: "change", run: readConfigurationChanges),
            FuzzTarget(name: "cdi", run: readCDIDocument), FuzzTarget(name: "events", run: readEventSegment),
            FuzzTarget(name: "docker-archive", run: readDockerArchive), FuzzTarget(name: "next-page", run: readNextPage),
            FuzzTarget(name: "yaml", run: readYAML),
        ]
}
