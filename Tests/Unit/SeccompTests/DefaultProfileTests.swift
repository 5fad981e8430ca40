// Rows: attacks
import Engine
import OCISpec
import Seccomp
import Testing

#if arch(x86_64)

    /// Docker's fourteen.
    private let dockersCapabilities: Set<String> = [
        "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_NET_RAW", "CAP_SETGID", "CAP_SETUID", "CAP_SETFCAP",
        "CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_KILL", "CAP_AUDIT_WRITE",
    ]
    private let (allow, denied, absent) = (FilterResult.allow, FilterResult.errno(1), FilterResult.errno(38))

    @Suite("Default seccomp profile")
    struct DefaultProfileTests {
        private static let usual = program(dockersCapabilities)

        private static let strict = program(dockersCapabilities, .strict)

        private static func program(_ capabilities: Set<String>, _ level: SecurityProfile = .standard) -> [UInt8] {
            let profile = defaultSeccompProfile(level, capabilities: capabilities, architecture: .x86_64)
            return (try? seccompProgram(for: profile).instructions) ?? []
        }

        private func result(
            _ number: UInt32, _ arguments: UInt64..., of program: [UInt8] = usual, architecture: UInt32 = FilteredCall.x86_64
        )
            -> UInt32?
        {
            runFilter(program, on: FilteredCall(number: number, architecture: architecture, arguments: arguments))
        }

        @Test("B03 what programs of today need is allowed, in each calling convention of the machine")
        func ordinary() {
            // read, mmap, execve, openat, futex, ptrace, getrandom, statx, faccessat2, futex_waitv
            for number: UInt32 in [0, 9, 59, 257, 202, 101, 318, 332, 439, 449] { #expect(result(number) == allow, "\(number)") }
            // read, mmap2, socketcall, clock_gettime64, statx
            for number: UInt32 in [3, 192, 102, 403, 383] { #expect(result(number, architecture: FilteredCall.x86) == allow, "\(number)") }
            #expect(result(FilteredCall.x32Bit) == allow)
            #expect(result(161) == allow)  // chroot, for CAP_SYS_CHROOT
        }

        @Test(
            "B04 calls that reach beyond a container are refused with EPERM",
            arguments: [
                (165, "mount"), (166, "umount2"), (272, "unshare"), (308, "setns"), (155, "pivot_root"), (321, "bpf"),
                (298, "perf_event_open"),
                (323, "userfaultfd"), (425, "io_uring_setup"), (426, "io_uring_enter"), (427, "io_uring_register"), (246, "kexec_load"),
                (320, "kexec_file_load"), (175, "init_module"), (313, "finit_module"), (304, "open_by_handle_at"), (248, "add_key"),
                (249, "request_key"), (250, "keyctl"), (169, "reboot"), (167, "swapon"), (103, "syslog"), (227, "clock_settime"),
                (173, "ioperm"), (428, "open_tree"), (430, "fsopen"), (442, "mount_setattr"), (300, "fanotify_init"), (312, "kcmp"),
            ] as [(UInt32, String)])
        func forbidden(number: UInt32, name: String) {
            #expect(result(number) == denied, "\(name)")
            #expect(result(FilteredCall.x32Bit | number) != allow, "\(name) of x32")
        }

        @Test("B03 clone3 is answered as if it did not exist; clone makes processes but no namespaces")
        func clones() {
            #expect(result(435) == absent)
            #expect(result(56, 0x11) == allow)
            #expect(result(56, 0x3d0f00) == allow)
            for flag in [0x2_0000, 0x200_0000, 0x400_0000, 0x800_0000, 0x1000_0000, 0x2000_0000, 0x4000_0000] as [UInt64] {
                #expect(result(56, flag | 0x11) == denied)
            }
        }

        @Test("B04 sockets of AF_ALG and AF_VSOCK are refused, also with bits that the kernel does not read; the others are allowed")
        func sockets() {
            for family: UInt64 in 0..<64 {
                let expected = family == 38 || family == 40 ? denied : allow
                #expect(result(41, family, 1) == expected, "\(family)")
                #expect(result(41, family | 0xdead_0000_0000, 1) == expected, "\(family)")
                #expect(result(359, family, architecture: FilteredCall.x86) == expected, "\(family)")
            }
            #expect(result(41, 64) == denied)
        }

        @Test("B04 strict allows no call that the default refuses, and refuses those that it names")
        func strictCalls() {
            // ptrace, process_vm_readv, process_vm_writev, modify_ldt, remap_file_pages, vmsplice
            let refused: Set<UInt32> = [101, 310, 311, 154, 216, 278]
            for number: UInt32 in 0..<470 where number != 41 && number != 53 {
                let expected = refused.contains(number) ? denied : result(number)
                #expect(result(number, of: Self.strict) == expected, "\(number)")
            }
            // The same of 32 bits: ptrace, process_vm_readv, process_vm_writev, modify_ldt, remap_file_pages, vmsplice
            for number: UInt32 in [26, 347, 348, 123, 257, 316] {
                #expect(result(number, architecture: FilteredCall.x86) == allow, "\(number)")
                #expect(result(number, of: Self.strict, architecture: FilteredCall.x86) == denied, "\(number)")
            }
        }

        @Test("B04 strict allows sockets of four families, whatever the upper half says, and the call for all sockets never")
        func strictSockets() {
            let packets = Self.program(dockersCapabilities.union(["CAP_NET_RAW", "CAP_NET_ADMIN"]), .strict)
            let few = Self.program([], .strict)
            for family: UInt64 in 0..<64 {
                let expected = [1, 2, 10, 16].contains(family) ? allow : denied
                #expect(result(41, family, 1, of: few) == expected, "\(family)")
                #expect(result(41, family | 0xdead_0000_0000, 1, of: few) == expected, "\(family)")
                #expect(result(359, family, of: few, architecture: FilteredCall.x86) == expected, "\(family)")
                #expect(result(41, family, 3, of: packets) == ([15, 17, 44].contains(family) ? allow : expected), "\(family)")
                #expect(result(53, family, 1) == allow && result(53, family, 1, of: few) == (family == 1 ? allow : denied), "\(family)")
            }
            // socket, bind and others by socketcall.
            for call: UInt64 in 1...20 {
                #expect(result(102, call, architecture: FilteredCall.x86) == allow)
                #expect(result(102, call, of: few, architecture: FilteredCall.x86) == absent)
            }
        }

        @Test("B04 strict leaves looking into other processes to who has the capability for it")
        func strictTracing() {
            let tracer = Self.program(["CAP_SYS_PTRACE"], .strict)
            for number: UInt32 in [101, 310, 311, 312] { #expect(result(number, of: tracer) == allow, "\(number)") }
            for number: UInt32 in [154, 216, 278] { #expect(result(number, of: tracer) == denied, "\(number)") }
        }

        @Test("personality may be asked and set to Linux, but not weaken the address space")
        func personality() {
            for value in [0, 8, 0x2_0000, 0x2_0008, 0xffff_ffff] as [UInt64] { #expect(result(135, value) == allow) }
            #expect(result(135, 0x004_0000) == denied)  // ADDR_NO_RANDOMIZE
        }

        @Test("a capability brings its calls")
        func capabilities() {
            let admin = Self.program(dockersCapabilities.union(["CAP_SYS_ADMIN"]))
            for number: UInt32 in [56, 435, 165, 272, 428] { #expect(result(number, 0x1000_0000, of: admin) == allow, "\(number)") }
            #expect(result(250, of: admin) == denied)
            #expect(result(227, of: Self.program(["CAP_SYS_TIME"])) == allow)
            #expect(result(304, of: Self.program(["CAP_DAC_READ_SEARCH"])) == allow)
            #expect(result(161, of: Self.program([])) == denied)
            #expect(result(321, of: Self.program(["CAP_BPF"])) == allow)
        }

        @Test("on arm64 the profile names that machine's conventions and calls")
        func arm64() {
            let profile = defaultSeccompProfile(capabilities: dockersCapabilities, architecture: .aarch64)
            #expect(profile.architectures == [.aarch64, .arm])
            #expect(profile.rules.contains { $0.names.contains("set_tls") })
            #expect(!profile.rules.contains { $0.names.contains("arch_prctl") })
        }

        @Test("no name stands twice in the table of free calls")
        func noDuplicates() {
            let names = defaultSeccompProfile(capabilities: [], architecture: .s390x).rules.filter { $0.arguments.isEmpty }.flatMap(\.names)
            #expect(Set(names).count == names.count)
        }
    }

#endif
