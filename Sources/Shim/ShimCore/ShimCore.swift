// ShimCore
