internal import EngineAPI
internal import NIOHTTP1

extension APIDescription {
    static var system: [DescribedOperation] {
        [
            DescribedOperation(.GET, "/_ping", "Whether the daemon answers.", .bytes("text/plain", "OK")),
            DescribedOperation(.HEAD, "/_ping", "Whether the daemon answers.", .empty(200)),
            DescribedOperation(.GET, "/version", "Versions of the daemon and of what it uses.", .document(SystemVersion.self)),
            DescribedOperation(.GET, "/info", "What the daemon and its machine are like.", .document(SystemInfo.self)),
            DescribedOperation(.GET, "/openapi.json", "This description; Apus's own.", .document(EmptyObject.self)),
            DescribedOperation(.GET, "/metrics", "Numbers for Prometheus.", .bytes("text/plain", "Prometheus' text")),
            DescribedOperation(
                .GET, "/events", "What happens, and happened.",
                query: [
                    .moment("since", "Events from then on."), .moment("until", "Events until then; without it, the answer has no end."),
                    .number("cursor", "Apus's own: the number of the first event that is wanted."), .filters,
                ],
                .documents(EventMessage.self), isEndless: true),
            DescribedOperation(
                .GET, "/system/df", "What the disk is used for.",
                query: [.texts("type", "Kinds that are wanted: container, image, volume.")],
                .document(SystemDiskUsage.self)),
            DescribedOperation(
                .POST, "/system/check", "Looks for damage on the disk, and mends it where that is asked for; Apus's own.",
                body: .optionalDocument(SystemCheckRequest.self), .document(SystemCheckReport.self)),
            DescribedOperation(
                .POST, "/auth", "Whether a registry accepts a password.", body: .document(AuthConfig.self),
                .document(AuthenticateAnswer.self)),
        ]
    }

    static var networks: [DescribedOperation] {
        [
            DescribedOperation(.GET, "/networks", "Lists networks.", query: [.filters], .document([NetworkResource].self)),
            DescribedOperation(
                .GET, "/networks/{id}", "Describes a network.", query: [.text("scope", "Of which it must be; all are local.")],
                .document(NetworkResource.self)),
            DescribedOperation(.DELETE, "/networks/{id}", "Removes a network.", .nothing),
            DescribedOperation(
                .POST, "/networks/create", "Makes a network.", body: .document(NetworkCreateRequest.self),
                .document(NetworkCreateResponse.self, 201)),
            DescribedOperation(
                .POST, "/networks/{id}/connect", "Puts a container on a network.", body: .document(NetworkConnectRequest.self), .empty(200)),
            DescribedOperation(
                .POST, "/networks/{id}/disconnect", "Takes a container off a network.", body: .document(NetworkDisconnectRequest.self),
                .empty(200)),
            DescribedOperation(
                .POST, "/networks/prune", "Removes networks that nobody is on.", query: [.filters], .document(NetworksPruneResponse.self)),
        ]
    }

    static var volumes: [DescribedOperation] {
        [
            DescribedOperation(.GET, "/volumes", "Lists volumes.", query: [.filters], .document(VolumeList.self)),
            DescribedOperation(
                .POST, "/volumes/create", "Makes a volume, or returns the one that is there.", body: .document(VolumeCreateRequest.self),
                .document(Volume.self, 201)),
            DescribedOperation(.GET, "/volumes/{name}", "Describes a volume.", .document(Volume.self)),
            DescribedOperation(
                .DELETE, "/volumes/{name}", "Removes a volume.", query: [.flag("force", "Whether one that is not there is no error.")],
                .nothing),
            DescribedOperation(
                .POST, "/volumes/prune", "Removes volumes that no container has.", query: [.filters], .document(VolumesPruneReport.self)),
            DescribedOperation(
                .POST, "/volumes/{name}/rename", "Renames a volume; Apus's own.", query: [.text("name", "The new name.").required],
                .nothing),
            DescribedOperation(
                .POST, "/volumes/{name}/clone", "Copies a volume; Apus's own.", query: [.text("name", "The copy's name.").required],
                .document(Volume.self, 201)),
            DescribedOperation(
                .GET, "/volumes/{name}/export", "A volume as a tar archive; Apus's own.", .bytes("application/x-tar", "The archive")),
            DescribedOperation(
                .POST, "/volumes/{name}/import", "Unpacks a tar archive into a volume; Apus's own.",
                body: .bytes("application/x-tar", isRequired: true), .nothing),
        ]
    }
}
