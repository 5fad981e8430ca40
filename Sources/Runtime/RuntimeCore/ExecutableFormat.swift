internal import LinuxSyscalls
internal import SystemPackage

/// What the kernel would make of a program's first bytes. - Source: elf(5), execve(2) "Interpreter scripts".
enum ExecutableFormat: Equatable {
    case script(interpreter: String)
    /// A program for this architecture, with the path of its dynamic linker where it has one.
    case native(interpreter: String?)
    case foreign(machine: String)
    case unknown

    #if arch(x86_64)
        static let nativeName = "x86-64"
        private static let nativeMachines: [UInt16] = [62, 3]
    #elseif arch(arm64)
        static let nativeName = "arm64"
        private static let nativeMachines: [UInt16] = [183, 40]
    #else
        #error("give this architecture its ELF machine numbers")
    #endif

    private static let machineNames: [UInt16: String] = [
        3: "i386", 8: "mips", 20: "ppc", 21: "ppc64", 22: "s390x", 40: "arm", 62: "x86-64", 183: "arm64", 243: "riscv", 258: "loongarch",
    ]
    /// The kernel reads this much to decide; program headers lie within it in every program seen, or are not looked at.
    private static let headBytes = 4096

    /// nil where the file cannot be read, which execve(2) does not need.
    static func read(_ path: String) -> ExecutableFormat? {
        guard let file = try? openFile(FilePath(path), [.readOnly, .nonBlocking, .noControllingTerminal]),
            let status = try? fileStatus(of: file.number), status.type == .regular
        else { return nil }
        var head = [UInt8](repeating: 0, count: headBytes)
        guard let count = try? readBytes(file.number, into: &head) else { return nil }
        return ExecutableFormat(head: Array(head[..<count]))
    }

    init(head: [UInt8]) {
        if head.starts(with: Array("#!".utf8)) {
            self = Self.script(head)
        } else if head.starts(with: [0x7f, 0x45, 0x4c, 0x46]), head.count >= 64 {
            self = Self.program(ElfHead(bytes: head))
        } else {
            self = .unknown
        }
    }

    private static func script(_ head: [UInt8]) -> ExecutableFormat {
        let line = head.dropFirst(2).prefix { $0 != UInt8(ascii: "\n") && $0 != 0 }
        let isBlank = { (byte: UInt8) in byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") }
        let interpreter = line.drop(while: isBlank).prefix { !isBlank($0) }
        return interpreter.isEmpty ? .unknown : .script(interpreter: String(decoding: interpreter, as: UTF8.self))
    }

    private static func program(_ elf: ElfHead) -> ExecutableFormat {
        guard let machine = elf.number(at: 18, size: 2).map({ UInt16($0) }) else { return .unknown }
        guard elf.isLittleEndian, nativeMachines.contains(machine) else {
            return .foreign(machine: machineNames[machine] ?? "ELF machine \(machine)")
        }
        return .native(interpreter: elf.interpreter)
    }
}

/// The head of an ELF file, read with every offset checked.
private struct ElfHead {
    let bytes: [UInt8]

    var isLittleEndian: Bool { bytes[5] == 1 }
    private var is64Bit: Bool { bytes[4] == 2 }

    func number(at offset: Int, size: Int) -> UInt64? {
        guard offset >= 0, offset <= bytes.count - size else { return nil }
        let field = bytes[offset..<(offset + size)]
        return (isLittleEndian ? Array(field.reversed()) : Array(field)).reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// The path in the PT_INTERP segment.
    var interpreter: String? {
        let (tableAt, entrySizeAt, countAt) = is64Bit ? (32, 54, 56) : (28, 42, 44)
        guard let table = number(at: tableAt, size: is64Bit ? 8 : 4).flatMap({ Int(exactly: $0) }),
            let entrySize = number(at: entrySizeAt, size: 2), let count = number(at: countAt, size: 2), table <= bytes.count
        else { return nil }
        for index in 0..<Int(count) {
            let entry = table + index * Int(entrySize)
            guard let type = number(at: entry, size: 4) else { return nil }
            if type == 3 { return path(ofSegmentAt: entry) }
        }
        return nil
    }

    private func path(ofSegmentAt entry: Int) -> String? {
        let (offsetAt, lengthAt, size) = is64Bit ? (8, 32, 8) : (4, 16, 4)
        guard let start = number(at: entry + offsetAt, size: size).flatMap({ Int(exactly: $0) }),
            let length = number(at: entry + lengthAt, size: size).flatMap({ Int(exactly: $0) }),
            start <= bytes.count, length <= bytes.count - start
        else { return nil }
        return String(decoding: bytes[start..<(start + length)].prefix { $0 != 0 }, as: UTF8.self)
    }
}
