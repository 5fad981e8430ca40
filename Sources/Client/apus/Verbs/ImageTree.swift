internal import EngineAPI

/// `images --tree`: each image with its names, and below it what it is of for which platform, as docker's tables are.
func imageTree(_ images: [ImageSummary], isWhole: Bool) -> String {
    var rows = [["IMAGE", "ID", "DISK USAGE", "CONTENT SIZE", "EXTRA"]]
    for image in images {
        let manifests = image.manifests ?? []
        let isUsed = image.containers > 0 || manifests.contains { !($0.imageData?.containers.isEmpty ?? true) }
        let content = manifests.reduce(0) { $0 + $1.size.content }
        let names = image.repoTags.isEmpty ? ["<untagged>"] : image.repoTags.sorted()
        // All names of an image stand above each other; the last of them has the figures.
        rows += names.dropLast().map { [printable($0), "", "", "", ""] }
        rows.append([
            printable(names.last ?? ""), isWhole ? image.id : shortID(image.id), humanSize(image.size + content), humanSize(content),
            isUsed ? "U" : "",
        ])
        for (position, manifest) in manifests.enumerated() {
            let branch = position == manifests.count - 1 ? "└─ " : "├─ "
            rows.append([
                branch + printable(manifest.platformName), isWhole ? manifest.id : shortID(manifest.id), humanSize(manifest.size.total),
                humanSize(manifest.size.content), manifest.imageData?.containers.isEmpty ?? true ? "" : "U",
            ])
        }
        rows.append(["", "", "", "", ""])
    }
    return tableText(rows).split(separator: "\n", omittingEmptySubsequences: false)
        .map { $0.trimmed(ofSpacesBehind: ()) }.joined(separator: "\n")
}

extension ImageManifestSummary {
    fileprivate var platformName: String {
        let platform = imageData?.platform ?? PlatformDocument()
        return [platform.os, platform.architecture, platform.variant].filter { !$0.isEmpty }.joined(separator: "/")
    }
}

extension Substring {
    fileprivate func trimmed(ofSpacesBehind _: Void) -> String {
        var rest = self
        while rest.last == " " { rest.removeLast() }
        return String(rest)
    }
}
