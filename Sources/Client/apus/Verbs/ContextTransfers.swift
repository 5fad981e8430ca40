internal import EngineClient
internal import Templates

/// Verbs that carry contexts from one machine to another.
let contextTransferVerbs = [contextExportVerb, contextImportVerb]

private let contextExportVerb = Verb(
    ["context export"], "CONTEXT [FILE|-]", "Export a context to a tar archive FILE or a tar stream on STDOUT.", operands: .between(1, 2)
) { invocation in
    let (environment, operands) = (invocation.environment, invocation.arguments.operands)
    let name = operands[0]
    if name != ContextStore.defaultName { try ContextStore.check(name) }
    let (context, files) = try ContextStore(folder: environment.configurationFolder).copy(of: name, current: environment.client.endpoint)
    let path = operands.count == 2 ? operands[1] : "\(name).dockercontext"
    let isStream = path == "-"
    if isStream && StandardStream.output.isTerminal {
        throw Complaint("cowardly refusing to export to a terminal, specify a file path")
    }
    let bytes = try ContextArchive.pack(context, files: files)
    if isStream {
        StandardStream.output.write(bytes)
        return 0
    }
    let file = try NewFile(making: path)
    do throws(Complaint) {
        try file.write(bytes)
        try file.finish()
    } catch {
        file.discard()
        throw error
    }
    StandardStream.error.write("Written file \(goQuoted(path))\n")
    return 0
}

private let contextImportVerb = Verb(
    ["context import"], "CONTEXT FILE|-", "Import a context from a tar archive", operands: .exactly(2)
) { invocation in
    let operands = invocation.arguments.operands
    let (store, name) = (ContextStore(folder: invocation.environment.configurationFolder), operands[0])
    try ContextStore.check(name)
    if store.exists(name) { throw Complaint("context \(goQuoted(name)) already exists") }
    let source = try ByteFile(operands[1] == "-" ? nil : operands[1])
    var bytes: [UInt8] = []
    while let chunk = try source.next() {
        bytes += chunk
        if bytes.count > ContextArchive.limitBytes {
            throw Complaint("\(operands[1]) is larger than \(humanBinarySize(Int64(ContextArchive.limitBytes))), and no context")
        }
    }
    var (context, files) = try ContextArchive.unpack(bytes)
    context.name = name
    try store.keep(context, files: files)
    StandardStream.output.write("\(name)\n")
    StandardStream.error.write("Successfully imported context \(goQuoted(name))\n")
    return 0
}
