internal import CoreTypes
internal import EngineClient

let tagVerb = Verb(
    ["tag", "image tag"], "SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]", "Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE",
    operands: .exactly(2)
) { invocation in
    let operands = invocation.arguments.operands
    let target: ImageReference
    do throws(InvalidImageReference) {
        target = try ImageReference(operands[1]).withDefaultTag
    } catch {
        throw Complaint("Error parsing reference: \"\(operands[1])\" is not a valid repository/tag: \(error)")
    }
    guard let tag = target.tag, target.digest == nil else {
        throw Complaint("refusing to create a tag with a digest reference")
    }
    try await invocation.environment.client.tagImage(operands[0], repository: target.familiarName, tag: tag)
    return 0
}
