/// A system call filter.
/// - Spec: runtime-spec v1.3.0, config-linux.md, "Seccomp".
public struct SeccompConfiguration: Equatable, Sendable {
    /// What happens to a call, by libseccomp's names.
    public enum Action: String, Sendable, CaseIterable {
        case kill = "SCMP_ACT_KILL"
        case killProcess = "SCMP_ACT_KILL_PROCESS"
        case killThread = "SCMP_ACT_KILL_THREAD"
        case trap = "SCMP_ACT_TRAP"
        case errno = "SCMP_ACT_ERRNO"
        case trace = "SCMP_ACT_TRACE"
        case allow = "SCMP_ACT_ALLOW"
        case log = "SCMP_ACT_LOG"
        case notify = "SCMP_ACT_NOTIFY"
    }
    /// Of seccomp(2), by their names there.
    public enum Flag: String, Sendable, CaseIterable {
        case synchronizeThreads = "SECCOMP_FILTER_FLAG_TSYNC"
        case log = "SECCOMP_FILTER_FLAG_LOG"
        case speculationAllow = "SECCOMP_FILTER_FLAG_SPEC_ALLOW"
        case waitKillableReceive = "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"
    }
    /// Whose calls are meant, by libseccomp's names.
    public enum Architecture: String, Sendable, CaseIterable {
        case x86 = "SCMP_ARCH_X86"
        case x86_64 = "SCMP_ARCH_X86_64"
        case x32 = "SCMP_ARCH_X32"
        case arm = "SCMP_ARCH_ARM"
        case aarch64 = "SCMP_ARCH_AARCH64"
        case loongArch64 = "SCMP_ARCH_LOONGARCH64"
        case m68k = "SCMP_ARCH_M68K"
        case mips = "SCMP_ARCH_MIPS"
        case mips64 = "SCMP_ARCH_MIPS64"
        case mips64N32 = "SCMP_ARCH_MIPS64N32"
        case mipsel = "SCMP_ARCH_MIPSEL"
        case mipsel64 = "SCMP_ARCH_MIPSEL64"
        case mipsel64N32 = "SCMP_ARCH_MIPSEL64N32"
        case ppc = "SCMP_ARCH_PPC"
        case ppc64 = "SCMP_ARCH_PPC64"
        case ppc64le = "SCMP_ARCH_PPC64LE"
        case s390 = "SCMP_ARCH_S390"
        case s390x = "SCMP_ARCH_S390X"
        case sh = "SCMP_ARCH_SH"
        case sheb = "SCMP_ARCH_SHEB"
        case parisc = "SCMP_ARCH_PARISC"
        case parisc64 = "SCMP_ARCH_PARISC64"
        case riscv64 = "SCMP_ARCH_RISCV64"

        /// The other calling conventions that the machine's kernel may serve, as Docker's profile lists them: the one table of them.
        package var compatible: [Self] {
            switch self {
            case .x86_64: [.x86, .x32]
            case .aarch64: [.arm]
            case .s390x: [.s390]
            case .mips64: [.mips, .mips64N32]
            case .mipsel64: [.mipsel, .mipsel64N32]
            default: []
            }
        }
    }
    /// How an argument is compared, unsigned, by libseccomp's names.
    public enum Comparison: String, Sendable, CaseIterable {
        case notEqual = "SCMP_CMP_NE"
        case less = "SCMP_CMP_LT"
        case lessOrEqual = "SCMP_CMP_LE"
        case equal = "SCMP_CMP_EQ"
        case greaterOrEqual = "SCMP_CMP_GE"
        case greater = "SCMP_CMP_GT"
        case maskedEqual = "SCMP_CMP_MASKED_EQ"
    }
    /// A condition on one argument of a call.
    public struct Argument: Equatable, Sendable {
        /// 0 to 5.
        public var index: UInt32
        /// What the argument is compared with; the mask for `maskedEqual`.
        public var value: UInt64
        /// For `maskedEqual`: what the argument masked with `value` must be.
        public var valueTwo: UInt64
        /// How it is compared.
        public var comparison: Comparison

        /// - Parameter valueTwo: for `maskedEqual` alone.
        public init(index: UInt32, value: UInt64, valueTwo: UInt64 = 0, comparison: Comparison) {
            self.index = index
            self.value = value
            self.valueTwo = valueTwo
            self.comparison = comparison
        }
    }
    /// What happens to some calls; all of the arguments' conditions must hold.
    public struct Rule: Equatable, Sendable {
        /// Of system calls, one at least; those that nobody knows are passed over.
        public var names: [String]
        /// What happens to the calls where all conditions hold.
        public var action: Action
        /// For `errno` and `trace`; nil is EPERM.
        public var errnoReturn: UInt32?
        /// Conditions, all of which must hold; empty is always.
        public var arguments: [Argument]

        /// - Parameter errnoReturn: for the actions `errno` and `trace` alone; nil is EPERM.
        public init(names: [String], action: Action, errnoReturn: UInt32? = nil, arguments: [Argument] = []) {
            self.names = names
            self.action = action
            self.errnoReturn = errnoReturn
            self.arguments = arguments
        }
    }

    /// What happens to calls that no rule is about.
    public var defaultAction: Action
    /// For `errno` and `trace`; nil is EPERM.
    public var defaultErrnoReturn: UInt32?
    /// Beside the machine's own, which is always among them.
    public var architectures: [Architecture] = []
    /// Of seccomp(2).
    public var flags: [Flag] = []
    /// The socket that takes the descriptor of `notify`.
    public var listenerPath: String?
    /// Words that go to the listener with each state; needs `listenerPath`.
    public var listenerMetadata: String?
    /// The member `syscalls`.
    public var rules: [Rule] = []

    /// - Parameter defaultAction: of a filter without rules.
    public init(defaultAction: Action) { self.defaultAction = defaultAction }
}
