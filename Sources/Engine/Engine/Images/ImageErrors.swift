internal import Images

extension EngineError {
    /// What went wrong with an image, in the words of `Images`, which are Docker's.
    init(_ error: ImageError) {
        let code: Code =
            switch error.code {
            case .invalid, .ambiguous: .invalidParameter
            case .notFound, .denied: .notFound
            case .unauthorized: .unauthorized
            case .conflict: .conflict
            case .refused: .forbidden
            case .registry, .badContent, .storage: .system
            case .cancelled: .unavailable
            }
        self.init(code, error.message, cause: error)
    }

    /// The same of an archive that the client sent: what is wrong in it is the client's to mend.
    init(ofArchive error: ImageError) {
        if error.code == .badContent {
            self.init(.invalidParameter, error.message, cause: error)
        } else {
            self.init(error)
        }
    }
}
