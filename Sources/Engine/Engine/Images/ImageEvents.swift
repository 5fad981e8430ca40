internal import CoreTypes
internal import EngineAPI
internal import Images
internal import Logging
internal import Records

/// Events of images: each tells the labels of an image that is there, besides its name, as Docker's does.
extension ContainerServices {
    /// - Parameters:
    ///   - id: whom the event is about: an image's id, or the name of one.
    ///   - name: what the event says of it.
    func tell(_ action: String, image id: String, name: String, labels: [String: String]) {
        events.publish(.image, action, id: id, attributes: labels.merging(["name": name]) { _, name in name })
    }

    /// The same of an image that is looked for by `id`; of one that is gone meanwhile without its labels.
    func tell(_ action: String, image id: String, name: String) async {
        var labels: [String: String] = [:]
        do throws(ImageError) { labels = await self.labels(of: try await images.lookUp(id)) } catch {
            logger.debug("labels for an event: \(error)", metadata: ["image": "\(id)"])
        }
        tell(action, image: id, name: name, labels: labels)
    }

    /// The labels of an image, for an event; none where the disk lost them.
    func labels(of image: NamedImage) async -> [String: String] {
        do throws(EngineError) { return try await imageLabels.labels(of: image, in: images) ?? [:] } catch {
            logger.warning("labels for an event: \(error)", metadata: ["image": "\(image.image.id)"])
            return [:]
        }
    }

    /// Tells what a removal did to an image.
    /// - Parameter labels: its own, of before.
    func tell(_ steps: [RemovalStep], of id: Digest, labels: [String: String]) {
        for step in steps {
            switch step {
            case .untagged: tell("untag", image: id.description, name: id.description, labels: labels)
            case .deleted(let digest): if digest == id { tell("delete", image: id.description, name: id.description, labels: [:]) }
            }
        }
    }
}
