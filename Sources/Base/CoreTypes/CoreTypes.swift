// CoreTypes
