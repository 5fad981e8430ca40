internal import JSON

/// Hands a success's body to who asked, and keeps the beginning of any other for its error's sake.
final class ResponseSorter: ResponseReceiver {
    private let request: String
    private let success: any ResponseReceiver
    /// Bytes of an error's body that are kept, and that are waited for.
    private let (errorLimitBytes, unreadLimitBytes): (Int, Int)
    private(set) var head = ResponseHead()
    private var errorBody: [UInt8] = []
    private var errorBytes = 0
    /// Whether the rest of an error's body was not waited for: its head says what there is to know.
    var isSated: Bool { errorBytes > unreadLimitBytes }

    init(for request: String, success: any ResponseReceiver, limits: ImageLimits) {
        self.request = request
        self.success = success
        (errorLimitBytes, unreadLimitBytes) = (limits.errorBytes, limits.unreadBytes)
    }

    func begin(_ head: ResponseHead) throws(RegistryError) {
        self.head = head
        errorBody = []
        errorBytes = 0
        if head.isSuccess { try success.begin(head) }
    }

    func receive(_ bytes: [UInt8]) throws(RegistryError) {
        if head.isSuccess { return try success.receive(bytes) }
        errorBytes += bytes.count
        errorBody += bytes.prefix(errorLimitBytes - errorBody.count)
        if isSated {
            throw RegistryError(.receiverStopped, doing: request, cause: "an error of more than \(unreadLimitBytes) bytes")
        }
    }

    /// What the registry says is wrong: `manifest unknown: manifest unknown`; nil where it says nothing readable.
    /// - Source: distribution-spec, "Error Codes".
    var words: String? {
        var found: String?
        do throws(JSONError) {
            var reader = try JSONReader(errorBody, limits: JSONLimits(maximumBytes: errorLimitBytes, maximumDepth: 16))
            try reader.readObject { (reader: inout JSONReader, name: String) throws(JSONError) in
                guard name == "errors" else { return try reader.skipValue() }
                try reader.readArray { (reader: inout JSONReader) throws(JSONError) in
                    let words = try Self.readError(from: &reader)
                    found = found ?? words
                }
            }
        } catch { return nil }
        return found
    }

    private static func readError(from reader: inout JSONReader) throws(JSONError) -> String? {
        var code = ""
        var message = ""
        try reader.readObject { (reader: inout JSONReader, name: String) throws(JSONError) in
            switch name {
            case "code": code = try reader.readString()
            case "message": message = try reader.readString()
            default: try reader.skipValue()
            }
        }
        let words = code.lowercased().replacing("_", with: " ") + (message.isEmpty ? "" : ": \(message)")
        // It ends up on someone's terminal.
        return code.isEmpty
            ? nil
            : String(
                words.prefix(300).filter { character in character.unicodeScalars.allSatisfy { $0.properties.generalCategory != .control } })
    }
}
