internal import CoreTypes
package import EngineAPI
internal import Images
internal import Registry

extension ContainerEngine {
    /// `POST /auth`: asks the registry whether it takes these credentials. Nothing of them is kept.
    package func logIn(_ credentials: AuthConfig) async throws(EngineError) -> AuthenticateAnswer {
        let domain = Self.domain(of: credentials.serveraddress)
        let library = try parts().services.images
        do throws(ImageError) {
            try await library.checkCredentials(RegistryCredentials(credentials), at: domain)
        } catch { throw EngineError(error) }
        var answer = AuthenticateAnswer()
        answer.status = "Login Succeeded"
        return answer
    }

    /// `https://index.docker.io/v1/` and nothing at all are Docker Hub; else a host, perhaps as an address.
    static func domain(of server: String) -> String {
        var host = server[...]
        for scheme in ["https://", "http://"] where host.hasPrefix(scheme) { host = host.dropFirst(scheme.count) }
        host = host.prefix { $0 != "/" }
        return ["", "index.docker.io", "registry-1.docker.io"].contains(host) ? "docker.io" : String(host)
    }
}
