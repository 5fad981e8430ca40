internal import CoreTypes
internal import EngineAPI

/// Networks that are a configuration only, for others to be made from.
extension NetworkPlan {
    /// - Throws: what a configuration cannot say.
    static func checkConfiguration(_ request: NetworkCreateRequest) throws(EngineError) {
        if request.ingress || request.isInternal || request.attachable || !request.scope.isEmpty {
            throw EngineError(
                .forbidden,
                "configuration network can only contain network specific fields. Network operator fields like "
                    + "[ ingress | internal | attachable | scope ] are not supported.")
        }
        for config in request.ipam?.config ?? [] where AddressBlock(config.subnet) == nil {
            throw EngineError(.invalidParameter, "invalid subnet \(config.subnet): it must be an address block such as 172.28.0.0/16")
        }
    }

    /// A request with what a configuration says.
    /// - Throws: `.forbidden` where the request says such things itself.
    static func request(_ asked: NetworkCreateRequest, from configuration: NetworkResource) throws(EngineError) -> NetworkCreateRequest {
        let ipam = asked.ipam ?? IPAM()
        guard asked.enableIPv4 ?? true, asked.enableIPv6 != true, asked.labels.isEmpty, (ipam.options ?? [:]).isEmpty, ipam.config.isEmpty,
            ["", "default"].contains(ipam.driver)
        else {
            throw EngineError(
                .forbidden, "user specified configurations are not supported if the network depends on a configuration network")
        }
        guard asked.options.isEmpty else {
            throw EngineError(
                .forbidden, "network driver specific options are not supported if the network depends on a configuration network")
        }
        var request = asked
        request.enableIPv4 = configuration.enableIPv4
        request.enableIPv6 = configuration.enableIPv6
        request.labels = configuration.labels
        request.options = configuration.options
        request.ipam = configuration.ipam
        return request
    }
}
