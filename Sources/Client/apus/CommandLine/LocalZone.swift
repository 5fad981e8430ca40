// The file of this program that calls localtime(3).
internal import Glibc

/// How far the local zone is before UTC now. - Source: localtime(3).
func localOffsetSeconds() -> Int64 {
    var now = time(nil)
    var local = unsafe tm()
    tzset()
    return unsafe localtime_r(&now, &local) == nil ? 0 : Int64(local.tm_gmtoff)
}
