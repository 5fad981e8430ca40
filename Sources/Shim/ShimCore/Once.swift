/// An action that several things may call for, and that runs with the first of them.
final class Once {
    private var action: (() -> Void)?

    init(_ action: @escaping () -> Void) { self.action = action }

    func run() {
        let action = action
        self.action = nil
        action?()
    }
}
