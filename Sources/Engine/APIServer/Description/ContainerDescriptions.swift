internal import EngineAPI
internal import NIOHTTP1

extension APIDescription {
    /// What containers are and become.
    static var containers: [DescribedOperation] {
        [
            DescribedOperation(
                .GET, "/containers/json", "Lists containers.",
                query: [
                    .flag("all", "Also those that do not run."), .number("limit", "At most so many, the newest."),
                    .flag("size", "With sizes."), .filters,
                ],
                .document([ContainerSummary].self)),
            DescribedOperation(
                .POST, "/containers/create", "Makes a container.",
                query: [
                    .text("name", "Its name."), .text("platform", "Of the image: os[/arch[/variant]].").since(APIVersion(1, 41)),
                ],
                body: .document(ContainerCreateRequest.self), .document(ContainerCreateResponse.self, 201)),
            DescribedOperation(
                .GET, "/containers/{id}/json", "Describes a container.", query: [.flag("size", "With sizes.")],
                .document(ContainerInspect.self)),
            DescribedOperation(
                .POST, "/containers/prune", "Removes containers that do not run.", query: [.filters],
                .document(ContainersPruneResponse.self)),
            DescribedOperation(
                .POST, "/containers/{id}/rename", "Renames a container.", query: [.text("name", "The new name.").required], .nothing),
            DescribedOperation(
                .DELETE, "/containers/{id}", "Removes a container.",
                query: [
                    .flag("force", "Also one that runs: it is killed."), .flag("v", "With its anonymous volumes."),
                    .flag("link", "The link alone; there are none."),
                ],
                .nothing),
            DescribedOperation(
                .POST, "/containers/{id}/start", "Starts a container.",
                query: [.text("checkpoint", "Refused: no checkpoints are kept.")], .nothing, .unchanged),
            DescribedOperation(.POST, "/containers/{id}/stop", "Stops a container.", query: ending, .nothing, .unchanged),
            DescribedOperation(.POST, "/containers/{id}/restart", "Stops and starts a container.", query: ending, .nothing),
            DescribedOperation(
                .POST, "/containers/{id}/kill", "Sends a container a signal.", query: [.text("signal", "A name or a number; KILL.")],
                .nothing),
            DescribedOperation(.POST, "/containers/{id}/pause", "Freezes a container's processes.", .nothing),
            DescribedOperation(.POST, "/containers/{id}/unpause", "Lets them go on.", .nothing),
            DescribedOperation(.POST, "/containers/{id}/resize", "Sizes a container's terminal.", query: size, .empty(200)),
            DescribedOperation(
                .POST, "/containers/{id}/update", "Changes limits and the restart policy.", body: .document(HostConfig.self),
                .document(ContainerUpdateResponse.self)),
            DescribedOperation(
                .POST, "/containers/{id}/wait", "Waits for a container's end.",
                query: [
                    .words("condition", ["not-running", "next-exit", "removed"], "What is waited for.").since(APIVersion(1, 30))
                ],
                .document(WaitResponse.self), isEndless: true),
            DescribedOperation(
                .POST, "/containers/{id}/exec", "Prepares a further process.", body: .document(ExecCreateRequest.self),
                .document(ExecCreateResponse.self, 201)),
            DescribedOperation(
                .POST, "/exec/{id}/start", "Starts it; unless it is detached, the connection is its input and output then.",
                body: .document(ExecStartRequest.self), .empty(200), .upgrade, isEndless: true),
            DescribedOperation(.POST, "/exec/{id}/resize", "Sizes its terminal.", query: size, .empty(200)),
            DescribedOperation(.GET, "/exec/{id}/json", "Describes it.", .document(ExecInspect.self)),
        ]
    }

    /// What containers write, use and hold.
    static var containerData: [DescribedOperation] {
        let path = DescribedParameter.text("path", "In the container.").required
        let archive = DescribedAnswer.bytes("application/x-tar", "The archive")
        return [
            DescribedOperation(
                .GET, "/containers/{id}/logs", "A container's output.",
                query: [
                    .flag("stdout", "With standard output."), .flag("stderr", "With standard error."),
                    .flag("follow", "And what is to come."),
                    .moment("since", "From then on."), .moment("until", "Until then."),
                    .text("tail", "Only so many of the last lines, or all."),
                    .flag("timestamps", "With the time of each line."),
                    .flag("details", "With labels and variables that log options name."),
                ],
                .bytes(StreamMediaType.multiplexed, "Frames, or bytes as they are where there is a terminal"), isEndless: true),
            DescribedOperation(.DELETE, "/containers/{id}/logs", "Forgets a container's output; Apus's own.", .nothing),
            DescribedOperation(
                .POST, "/containers/{id}/attach", "A container's input and output, on this connection.", query: attachment,
                .bytes(StreamMediaType.raw, "Frames, or bytes as they are where there is a terminal"), .upgrade, isEndless: true),
            DescribedOperation(
                .GET, "/containers/{id}/attach/ws", "The same as a WebSocket.", query: attachment, .upgrade, isEndless: true),
            DescribedOperation(
                .GET, "/containers/{id}/stats", "What a container uses.",
                query: [
                    .flag("stream", "Once a second; the default."),
                    .flag("one-shot", "One sample at once, with nothing to compare.").since(APIVersion(1, 41)),
                ],
                .documents(ContainerStatistics.self), isEndless: true),
            DescribedOperation(
                .GET, "/containers/{id}/top", "A container's processes.", query: [.text("ps_args", "Arguments of ps(1); -ef.")],
                .document(ContainerTopResponse.self)),
            DescribedOperation(.GET, "/containers/{id}/changes", "What differs from the image.", .document([FilesystemChange]?.self)),
            DescribedOperation(
                .GET, "/containers/{id}/export", "A container's root as a tar archive.", .bytes("application/octet-stream", "The archive")),
            DescribedOperation(
                .HEAD, "/containers/{id}/archive", "What a path is: the header X-Docker-Container-Path-Stat.", query: [path], .empty(200)),
            DescribedOperation(.GET, "/containers/{id}/archive", "A file or folder as a tar archive.", query: [path], archive),
            DescribedOperation(
                .PUT, "/containers/{id}/archive", "Unpacks a tar archive into a folder.",
                query: [
                    path, .flag("noOverwriteDirNonDir", "Whether a folder is not to be replaced by a file, nor a file by a folder."),
                    .flag("copyUIDGID", "Whether files become the container's user's."),
                ],
                body: .bytes("application/x-tar", isRequired: true), .empty(200)),
        ]
    }

    private static var ending: [DescribedParameter] {
        [.number("t", "Seconds until it is killed."), .text("signal", "What it is asked to end with.").since(APIVersion(1, 42))]
    }

    private static var size: [DescribedParameter] { [.cells("h", "Lines."), .cells("w", "Columns.")] }

    private static var attachment: [DescribedParameter] {
        [
            .flag("stdin", "Its input."), .flag("stdout", "Its standard output."), .flag("stderr", "Its standard error."),
            .flag("stream", "What is to come."), .flag("logs", "What came before."),
            .text("detachKeys", "What ends the connection and not the container, as ctrl-p,ctrl-q."),
        ]
    }
}
