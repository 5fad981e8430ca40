// Rows: features
import Testing

@testable import Registry

@Suite("Grants of a registry")
struct GrantCacheTests {
    private let key = GrantCache.Key(origin: "https://registry.example", scope: "repository:a/b:pull", credentials: .anonymous)

    @Test("a refusal takes away the grant that was refused, not one that another request was given meanwhile")
    func refusals() {
        let cache = GrantCache()
        let (first, second) = (Grant(field: "Bearer first", expiresAt: nil), Grant(field: "Bearer second", expiresAt: nil))
        cache.remember(first, for: key)
        cache.remember(second, for: key)
        cache.forget(first, for: key)
        #expect(cache.grant(for: key) == second)
        cache.forget(second, for: key)
        #expect(cache.grant(for: key) == nil)
    }
}
