internal import EngineAPI

/// Reads `--gpus`: `all`, a count, or fields as of a line of CSV: `device=0`, `"device=0,1",capabilities=utility`.
/// - Throws: `Complaint` in docker's words.
func deviceRequest(_ text: String) throws(Complaint) -> DeviceRequest {
    var request = DeviceRequest()
    var named: Set<String> = []
    for field in try commaSeparated(text) {
        let (key, value) = splitOnce(field, at: "=")
        guard named.insert(key).inserted else { throw Complaint("gpu request key '\(key)' can be specified only once") }
        switch (key, value) {
        case (let count, nil):
            named.insert("count")
            request.count = try deviceCount(count)
        case ("count", let count?): request.count = try deviceCount(count)
        case ("driver", let driver?): request.driver = driver
        case ("device", let devices?): request.deviceIDs = parts(devices)
        case ("capabilities", let capabilities?): request.capabilities = [parts(capabilities) + ["gpu"]]
        case ("options", let options?): request.options = pairs(try commaSeparated(options))
        default: throw Complaint("unexpected key '\(key)' in '\(field)'")
        }
    }
    if !named.contains("count"), request.deviceIDs.isEmpty { request.count = 1 }
    if request.capabilities.isEmpty { request.capabilities = [["gpu"]] }
    return request
}

private func deviceCount(_ text: String) throws(Complaint) -> Int {
    if text == "all" { return -1 }
    guard let count = Int(text) else {
        throw Complaint("invalid count (\(text)): value must be either \"all\" or an integer: \(GoNumber.Problem.syntax.rawValue)")
    }
    return count
}

private func parts(_ text: String) -> [String] { text.split(separator: ",", omittingEmptySubsequences: false).map(String.init) }

/// Checks of limits of block devices, `/dev/sda:200`. The flags' own checks pass what can be read, in docker's words.
enum BlockDeviceLimit {
    @Sendable static func weightComplaint(_ text: String) -> String? {
        complaint(text) { number in
            let weight = GoNumber.unsigned(number, bits: 16).value
            return weight.map { $0 == 0 || (10...1000).contains($0) } == true ? nil : "invalid weight for device: \(text)"
        }
    }

    @Sendable static func bytesComplaint(_ text: String) -> String? {
        complaint(text) { number in
            parseByteSize(number) != nil
                ? nil
                : "invalid rate for device: \(text). The correct format is <device-path>:<number>[<unit>]. Number must be a positive integer. "
                    + "Unit is optional and can be kb, mb, or gb"
        }
    }

    @Sendable static func countComplaint(_ text: String) -> String? {
        complaint(text) { number in
            UInt64(number) != nil
                ? nil
                : "invalid rate for device: \(text). The correct format is <device-path>:<number>. Number must be a positive integer"
        }
    }

    private static func complaint(_ text: String, _ number: (String) -> String?) -> String? {
        let (path, limit) = splitOnce(text, at: ":")
        guard let limit, !path.isEmpty else { return "bad format: \(text)" }
        guard path.hasPrefix("/dev/") else { return "bad format for device path: \(text)" }
        return number(limit)
    }
}

/// Their parts, which the flag's check has passed.
func deviceLimit(_ text: String, bytes: Bool) -> (path: String, number: UInt64) {
    let (path, number) = splitOnce(text, at: ":")
    return (path, bytes ? parseByteSize(number ?? "").map(UInt64.init) ?? 0 : UInt64(number ?? "") ?? 0)
}
