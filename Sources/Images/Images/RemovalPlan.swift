package import CoreTypes
package import Records

/// What removing an image by one of its words comes to, by Docker's rules, before anything is touched.
package struct RemovalPlan: Equatable {
    /// Names to take away, in this order.
    package var untag: [ImageReference] = []
    /// Whether the image itself goes.
    package var deletesImage = false

    /// - Parameter word: what the user typed; a name takes that name away, an id the whole image.
    /// - Parameter users: containers made from this image.
    /// - Throws: `.conflict` with Docker's sentence.
    package static func removing(
        _ named: NamedImage, by word: String, force: Bool, users: [ImageUser]
    ) throws(ImageError) -> RemovalPlan {
        let names = named.names
        guard let name = name(in: word, of: named) else {
            return try removingWhole(named, names: names, force: force, users: users)
        }
        if !force, isSingle(names), let user = users.first {
            throw ImageError(
                .conflict,
                "conflict: unable to remove repository reference \"\(word)\" (must force) - container \(user.container.short) "
                    + "is using its referenced image \(named.image.id.short)")
        }
        var untag = [name]
        // With the repository's last tag go the digests that it was pulled by.
        if name.tag != nil, !named.tags.contains(where: { $0 != name && $0.name == name.name }) {
            untag += named.repositoryDigests.filter { $0.name == name.name }
        }
        // What a container still needs stays, without a name.
        let mayGo = users.allSatisfy { force && !$0.isRunning }
        return RemovalPlan(untag: untag, deletesImage: untag.count == names.count && mayGo)
    }

    private static func removingWhole(
        _ named: NamedImage, names: [ImageReference], force: Bool, users: [ImageUser]
    ) throws(ImageError) -> RemovalPlan {
        if let user = users.first(where: \.isRunning) {
            throw conflict(named, "cannot be forced", "image is being used by running container \(user.container.short)")
        }
        if !force {
            if !isSingle(names) { throw conflict(named, "must be forced", "image is referenced in multiple repositories") }
            if let user = users.first {
                throw conflict(named, "must be forced", "image is being used by stopped container \(user.container.short)")
            }
        }
        return RemovalPlan(untag: names, deletesImage: true)
    }

    private static func conflict(_ named: NamedImage, _ remedy: String, _ reason: String) -> ImageError {
        ImageError(.conflict, "conflict: unable to delete \(named.image.id.short) (\(remedy)) - \(reason)")
    }

    /// The name that the word is; nil where it means the image by id.
    private static func name(in word: String, of named: NamedImage) -> ImageReference? {
        guard case .name(let name, _) = ImageWord(word) else { return nil }
        return named.names.first { $0 == name }
    }

    /// Whether all names are one tag with the digests of its own repository, or fewer.
    private static func isSingle(_ names: [ImageReference]) -> Bool {
        if names.count <= 1 { return true }
        let tags = names.filter { $0.digest == nil }
        guard tags.count <= 1, let single = tags.first ?? names.first else { return false }
        return names.allSatisfy { $0.name == single.name }
    }
}

extension ContainerID {
    /// The first twelve characters, as tables and messages print an id.
    var short: String { String(text.prefix(12)) }
}
