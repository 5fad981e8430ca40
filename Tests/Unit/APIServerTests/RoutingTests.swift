import APIServer
import EngineAPI
import NIOHTTP1
import Testing

@Suite("Routing and queries")
struct RoutingTests {

    @Test("a pattern's open piece takes one segment, or an image's whole name")
    func patterns() {
        #expect(RoutePattern("/containers/{}/json").match(["containers", "a", "json"]) == ["a"])
        #expect(RoutePattern("/containers/{}/json").match(["containers", "a", "b", "json"]) == nil)
        #expect(RoutePattern("/images/{*}/json").match(["images", "h:5000", "a", "b", "json"]) == ["h:5000/a/b"])
        #expect(RoutePattern("/images/{*}/json").match(["images", "json"]) == nil)
        #expect(RoutePattern("/images/{*}").match(["images"]) == nil)
        #expect(RoutePattern("/version").match(["version"]) == [])
        #expect(RoutePattern("/version").match(["version", "x"]) == nil)
    }

    @Test("paths come with and without a version, and escaped")
    func versions() throws {
        #expect(try Router.split("/info").version == .newest)
        let (version, path, query) = try Router.split("/v1.41/images/127.0.0.1%3A5000%2Fbox/json?all=1&name=a%20b+c")
        #expect(version == APIVersion(1, 41))
        #expect(path == ["images", "127.0.0.1:5000", "box", "json"])
        #expect(query["name"] == "a b c" && query.flag("all"))
        #expect(try Router.split("/v1.24/_ping").path == ["_ping"])
        #expect(try Router.split("/volumes").path == ["volumes"])
        #expect(try Router.split("//containers//json").path == ["containers", "json"])
    }

    @Test("versions that are not spoken are refused in docker's words")
    func strangers() {
        #expect {
            try Router.split("/v1.52/info")
        } throws: { error in
            (error as? APIError)?.message == "client version 1.52 is too new. Maximum supported API version is 1.51"
        }
        #expect {
            try Router.split("/v1.23/info")
        } throws: { error in
            (error as? APIError)?.message.hasPrefix("client version 1.23 is too old. Minimum supported API version is 1.24") == true
        }
    }

    @Test("an unknown path, and a known one with another method, are no page")
    func unknown() {
        let router = Router([Route(.GET, "/version") { _ in .empty(.ok) }])
        for (method, path) in [(HTTPMethod.GET, ["nothing"]), (.POST, ["version"]), (.GET, [])] {
            #expect {
                try router.route(method, path)
            } throws: { error in
                (error as? APIError)?.message == "page not found" && (error as? APIError)?.status == .notFound
            }
        }
    }

    @Test(
        "later endpoints are refused by name", arguments: ["plugins", "containers/x/checkpoints", "build", "swarm/init"])
    func later(path: String) async throws {
        let segments = path.split(separator: "/").map(String.init)
        let (route, captures) = try Router(LaterRoutes.all).route(.POST, segments)
        let request = APIRequest(
            method: .POST, path: segments, version: .newest, query: Query(""), headers: [:], body: [], captures: captures)
        await #expect {
            _ = try await route.handler(request)
        } throws: { error in
            (error as? APIError)?.status == .notImplemented && (error as? APIError)?.message.contains("/\(path)") == true
        }
    }

    @Test(
        "a flag is true unless it says no",
        arguments: zip(
            ["1", "true", "True", "yes", "x", "0", "false", "no", "None", ""],
            [true, true, true, true, true, false, false, false, false, false]))
    func flags(text: String, expected: Bool) {
        #expect(Query("f=\(text)").flag("f") == expected)
        #expect(!Query("").flag("f"))
    }

    @Test("numbers and moments are read or refused")
    func values() throws {
        #expect(try Query("t=-1").number("t") == -1)
        #expect(try Query("").number("t") == nil)
        #expect(throws: APIError.self) { try Query("t=ten").number("t") }
        #expect(throws: APIError.self) { try Query("h=70000").requiredNumber("h", as: UInt16.self) }
        #expect(throws: APIError.self) { try Query("").requiredNumber("h") }
        #expect(try Query("since=1.5").moment("since") == 1_500_000_000)
        #expect(try Query("since=1970-01-01T00%3A00%3A02Z").moment("since") == 2_000_000_000)
        #expect(try Query("since=0").moment("since") == nil)
        // Past what is counted, and before it.
        #expect(try Query("until=253402300799").moment("until") == .max && Query("until=9223372036.9").moment("until") == .max)
        #expect(try Query("since=-62135596800").moment("since") == .min)
        #expect(throws: APIError.self) { try Query("since=yesterday").moment("since") }
        #expect(throws: APIError.self) { try Query("filters=%7B").filters() }
    }
}
