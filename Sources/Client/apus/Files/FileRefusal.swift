internal import FoundationEssentials
internal import Glibc

/// Has what Foundation finds wrong with a file say what could not be done with which, and why, in place of all that Foundation knows of it.
func changing<Result>(_ path: String, _ call: String, _ body: () throws -> Result) throws -> Result {
    do { return try body() } catch let error as CocoaError {
        let reason = (error.underlying as? POSIXError).map { errnoWords($0.code.rawValue) } ?? "refused (\(error.code.rawValue))"
        throw Complaint("\(call) \(path): \(reason)")
    }
}
