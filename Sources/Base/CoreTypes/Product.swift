/// What every part says of itself.
public enum Product {
    /// The version of this source tree.
    public static let version = "0.1.0"
}
