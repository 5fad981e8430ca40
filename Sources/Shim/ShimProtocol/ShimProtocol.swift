// ShimProtocol
