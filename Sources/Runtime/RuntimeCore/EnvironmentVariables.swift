extension [String] {
    /// These variables, `NAME=value`, without those whose name comes again later: a program asks for a name and takes the first that it finds,
    /// so what was said last would not count. - Source: getenv(3).
    var lastOfEachName: [String] {
        func name(_ index: Int) -> Substring.UTF8View { self[index][...].utf8.prefix { $0 != UInt8(ascii: "=") } }
        // Sorted, for a configuration may hold a hundred thousand; equal names in their order.
        let sorted = indices.sorted { left, right in
            let (first, second) = (name(left), name(right))
            return first.elementsEqual(second) ? left < right : first.lexicographicallyPrecedes(second)
        }
        var isOverridden = [Bool](repeating: false, count: count)
        for (earlier, later) in zip(sorted, sorted.dropFirst()) {
            isOverridden[earlier] = name(earlier).elementsEqual(name(later))
        }
        return indices.filter { !isOverridden[$0] }.map { self[$0] }
    }
}
