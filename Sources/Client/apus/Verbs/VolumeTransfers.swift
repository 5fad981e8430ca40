internal import EngineAPI
internal import EngineClient

/// Verbs of `apus volume` that docker's has not, and the one that needs a cluster.
let volumeTransferVerbs = [volumeCloneVerb, volumeExportVerb, volumeImportVerb, volumeRenameVerb, volumeUpdateVerb]

private let volumeRenameVerb = Verb(
    ["volume rename"], "VOLUME NEW_NAME", "Rename a volume that no container has", operands: .exactly(2)
) { invocation in
    let operands = invocation.arguments.operands
    try await invocation.environment.client.renameVolume(operands[0], to: operands[1])
    return 0
}

private let volumeCloneVerb = Verb(
    ["volume clone"], "VOLUME NEW_NAME", "Make a volume with the options, labels and contents of another one", operands: .exactly(2)
) { invocation in
    let operands = invocation.arguments.operands
    StandardStream.output.write(try await invocation.environment.client.cloneVolume(operands[0], as: operands[1]).name + "\n")
    return 0
}

private let volumeExportVerb = Verb(
    ["volume export"], "[OPTIONS] VOLUME", "Export a volume's contents as a tar archive (streamed to STDOUT by default)",
    flags: [Flag("output", "o", .string, "Write to a file, instead of STDOUT")], operands: .exactly(1)
) { invocation in
    let (client, name) = (invocation.environment.client, invocation.arguments.operands[0])
    try await keepArchive(invocation.arguments, orSay: "failed to export volume") { try await client.exportVolume(name, to: $0) }
    return 0
}

private let volumeImportVerb = Verb(
    ["volume import"], "VOLUME [FILE|-]", "Unpack a tar archive into a volume (from STDIN by default)", operands: .between(1, 2)
) { invocation in
    let operands = invocation.arguments.operands
    let path = operands.count == 2 && operands[1] != "-" ? operands[1] : nil
    if path == nil, StandardStream.input.isTerminal {
        throw Complaint("requested import from stdin, but stdin is empty")
    }
    let source = try ByteFile(path)
    try await invocation.environment.client.importVolume(operands[0]) { try source.next() }
    return 0
}

private let volumeUpdateVerb = Verb(
    ["volume update"], "[OPTIONS] [VOLUME]", "Update a volume (cluster volumes only)",
    flags: [Flag("availability", nil, .string, "Cluster Volume availability (\"active\", \"pause\", \"drain\")", defaultText: "active")],
    operands: .exactly(1)
) { invocation in
    _ = try await invocation.environment.client.answer(to: EngineRequest("GET", "/volumes/\(invocation.arguments.operands[0])"))
    throw Complaint("can only update cluster volumes")
}
