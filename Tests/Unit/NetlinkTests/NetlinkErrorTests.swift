import LinuxSyscalls
import Netlink
import Testing

@Suite("What a failed request says")
struct NetlinkErrorTests {
    @Test("what was asked for, the kernel's errno and its words, as far as each is there")
    func description() {
        let refusal = SyscallError("netlink", errno: 1)
        #expect(NetlinkError(code: .refused, doing: "bring lo up", cause: refusal).description == "bring lo up: \(refusal)")
        #expect(
            NetlinkError(code: .refused, doing: "bring lo up", cause: refusal, words: "no rights").description
                == "bring lo up: \(refusal): no rights")
        #expect(
            NetlinkError(code: .refused, doing: "use eth0 as a bridge", cause: nil, words: "it is none").description
                == "use eth0 as a bridge: it is none")
        #expect(
            NetlinkError(code: .malformedAnswer, doing: "list links", cause: nil).description
                == "list links: malformed answer from the kernel")
    }
}
