// Rows: attacks
import LinuxSyscalls
import OCISpec
import Seccomp
import Testing

private let (read, write, openat, ptrace, personality, futexWaitv, statmount): (UInt32, UInt32, UInt32, UInt32, UInt32, UInt32, UInt32) =
    (0, 1, 257, 101, 135, 449, 457)

#if arch(x86_64)

    @Suite("Compiled filters")
    struct ProgramTests {
        private func profile(
            _ defaultAction: SeccompConfiguration.Action, _ rules: SeccompConfiguration.Rule...,
            edit: (inout SeccompConfiguration) -> Void = { _ in }
        ) -> SeccompConfiguration {
            var profile = SeccompConfiguration(defaultAction: defaultAction)
            profile.architectures = [.x86_64, .x86, .x32]
            profile.rules = rules
            edit(&profile)
            return profile
        }

        private func result(
            _ profile: SeccompConfiguration, _ number: UInt32, _ arguments: [UInt64] = [], architecture: UInt32 = FilteredCall.x86_64
        ) throws -> UInt32? {
            let program = try seccompProgram(for: profile)
            return runFilter(program.instructions, on: FilteredCall(number: number, architecture: architecture, arguments: arguments))
        }

        @Test("each action is what the kernel returns, with EPERM where no errno is given")
        func actions() throws {
            let rules: [(SeccompConfiguration.Action, UInt32?, UInt32)] = [
                (.allow, nil, FilterResult.allow), (.errno, nil, FilterResult.errno(1)), (.errno, 38, FilterResult.errno(38)),
                (.trap, nil, FilterResult.trap), (.trace, 7, FilterResult.trace(7)), (.log, nil, FilterResult.log),
                (.kill, nil, FilterResult.killThread), (.killThread, nil, FilterResult.killThread), (.killProcess, nil, 0x8000_0000),
            ]
            for (action, number, expected) in rules {
                let rule = SeccompConfiguration.Rule(names: ["personality"], action: action, errnoReturn: number)
                let filter = profile(.errno, rule) { $0.defaultErrnoReturn = 13 }
                #expect(try result(filter, personality) == expected, "\(action)")
                #expect(try result(filter, read) == FilterResult.errno(13))
            }
        }

        @Test(
            "a condition compares an argument as its operator says",
            arguments: [
                (SeccompConfiguration.Comparison.equal, [UInt64(5)], [4, 6, 5 | 1 << 32]), (.notEqual, [4, 6], [5]),
                (.less, [0, 4], [5, 6, 1 << 40]), (.lessOrEqual, [5], [6]), (.greater, [6, 1 << 40], [5, 0]), (.greaterOrEqual, [5], [4]),
            ])
        func comparisons(comparison: SeccompConfiguration.Comparison, matching: [UInt64], other: [UInt64]) throws {
            let argument = SeccompConfiguration.Argument(index: 1, value: 5, comparison: comparison)
            let filter = profile(.errno, SeccompConfiguration.Rule(names: ["openat"], action: .allow, arguments: [argument]))
            for value in matching { #expect(try result(filter, openat, [0, value]) == FilterResult.allow) }
            for value in other { #expect(try result(filter, openat, [0, value]) == FilterResult.errno(1)) }
        }

        @Test("a masked condition looks at the masked bits only")
        func masked() throws {
            let argument = SeccompConfiguration.Argument(index: 0, value: 0xf0, valueTwo: 0x20, comparison: .maskedEqual)
            let filter = profile(.errno, SeccompConfiguration.Rule(names: ["openat"], action: .allow, arguments: [argument]))
            #expect(try result(filter, openat, [0xff_0f2f]) == FilterResult.allow)
            #expect(try result(filter, openat, [0x3f]) == FilterResult.errno(1))
        }

        @Test("conditions on different arguments must all hold; several on one argument are alternatives")
        func severalConditions() throws {
            func argument(_ index: UInt32, _ value: UInt64) -> SeccompConfiguration.Argument {
                SeccompConfiguration.Argument(index: index, value: value, comparison: .equal)
            }
            let all = profile(
                .errno, SeccompConfiguration.Rule(names: ["openat"], action: .allow, arguments: [argument(0, 1), argument(1, 2)]))
            #expect(try result(all, openat, [1, 2]) == FilterResult.allow)
            #expect(try result(all, openat, [1, 3]) == FilterResult.errno(1))
            let any = profile(
                .errno, SeccompConfiguration.Rule(names: ["openat"], action: .allow, arguments: [argument(0, 1), argument(0, 2)]))
            #expect(try result(any, openat, [2]) == FilterResult.allow)
            #expect(try result(any, openat, [3]) == FilterResult.errno(1))
        }

        @Test("names that the library does not know, also those with a NUL in them, are passed over")
        func unknownNames() throws {
            let filter = profile(
                .errno, SeccompConfiguration.Rule(names: ["no_such_call", "ptrace\0x", "openat"], action: .allow))
            #expect(try result(filter, openat) == FilterResult.allow)
            #expect(try result(filter, ptrace) == FilterResult.errno(1))
        }

        @Test("B03 a call newer than the newest that the profile knows gets ENOSYS, one that the profile leaves out gets its default")
        func newCalls() throws {
            let filter = profile(.errno, SeccompConfiguration.Rule(names: ["read", "futex_waitv"], action: .allow))
            #expect(try result(filter, futexWaitv) == FilterResult.allow)
            #expect(try result(filter, write) == FilterResult.errno(1))
            #expect(try result(filter, statmount) == FilterResult.errno(38))
            #expect(try result(filter, .max) == FilterResult.errno(38))
            #expect(try result(filter, 449, architecture: FilteredCall.x86) == FilterResult.allow)
            #expect(try result(filter, 450, architecture: FilteredCall.x86) == FilterResult.errno(38))
            #expect(try result(filter, FilteredCall.x32Bit | 449) == FilterResult.allow)
            #expect(try result(filter, FilteredCall.x32Bit | 1) == FilterResult.errno(1))
            #expect(try result(filter, FilteredCall.x32Bit | 450) == FilterResult.errno(38))
        }

        @Test("another calling convention than the profile's is not let through, and new calls of x32 do not exist without it")
        func foreignConvention() throws {
            let filter = profile(.errno, SeccompConfiguration.Rule(names: ["read"], action: .allow)) { $0.architectures = [.x86_64] }
            #expect(try result(filter, 3, architecture: FilteredCall.x86) == FilterResult.killThread)
            #expect(try result(filter, FilteredCall.x32Bit) == FilterResult.errno(38))
        }

        @Test("no ENOSYS where the default lets calls pass, or says ENOSYS itself")
        func permissiveDefault() throws {
            let denied = SeccompConfiguration.Rule(names: ["ptrace"], action: .errno)
            #expect(try result(profile(.allow, denied), statmount) == FilterResult.allow)
            #expect(try result(profile(.log, denied), statmount) == FilterResult.log)
            let nosys = profile(.errno, SeccompConfiguration.Rule(names: ["read"], action: .allow)) { $0.defaultErrnoReturn = 38 }
            #expect(try result(nosys, statmount) == FilterResult.errno(38))
            #expect(try result(nosys, write) == FilterResult.errno(38))
        }

        @Test("what this runtime does not do, and what makes no sense, is refused by name")
        func refusals() {
            func problem(_ profile: SeccompConfiguration) -> String? {
                do throws(SeccompError) {
                    _ = try seccompProgram(for: profile)
                    return nil
                } catch { return error.description }
            }
            #expect(problem(profile(.notify))?.hasPrefix("linux.seccomp.defaultAction: SCMP_ACT_NOTIFY cannot be the default") == true)
            let notify = SeccompConfiguration.Rule(names: ["read"], action: .notify)
            #expect(
                problem(profile(.allow, notify) { $0.listenerPath = "/s" })?
                    .hasPrefix("linux.seccomp.syscalls[0]: SCMP_ACT_NOTIFY cannot be used for read") == true)
            let allowed = SeccompConfiguration.Rule(names: ["mkdir"], action: .notify)
            #expect(problem(profile(.allow, allowed)) == "linux.seccomp.listenerPath: is required with SCMP_ACT_NOTIFY")
            #expect(problem(profile(.allow, allowed) { $0.listenerPath = "/s" }) == nil)
            #expect(problem(profile(.allow) { $0.flags = [.waitKillableReceive] })?.hasPrefix("linux.seccomp.flags") == true)
            let errnoOfAllow = SeccompConfiguration.Rule(names: ["read"], action: .allow, errnoReturn: 1)
            #expect(problem(profile(.errno, errnoOfAllow))?.contains("errnoRet goes with") == true)
            let hugeErrno = SeccompConfiguration.Rule(names: ["read"], action: .errno, errnoReturn: 4096)
            #expect(problem(profile(.allow, hugeErrno))?.contains("out of range") == true)
            let seventh = SeccompConfiguration.Argument(index: 6, value: 0, comparison: .equal)
            let rule = SeccompConfiguration.Rule(names: ["read"], action: .allow, arguments: [seventh])
            #expect(problem(profile(.errno, rule)) == "linux.seccomp.syscalls[0].args: a call has no argument 6")
        }

        @Test("flags of the profile are those of the load")
        func flags() throws {
            let flags = try seccompProgram(for: profile(.allow) { $0.flags = [.log, .speculationAllow] }).flags
            #expect(flags == [.log, .speculationAllow])
        }
    }

#endif
