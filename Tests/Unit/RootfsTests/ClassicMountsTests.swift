import LinuxSyscalls
import Rootfs
import Testing

@Suite("Mounts as mount(2) takes them")
struct ClassicMountsTests {
    private func mount(_ parameters: (String, String?)...) throws(SyscallError) -> ClassicMount {
        try ClassicMount(type: "tmpfs", parameters.map { FileSystemParameter(key: $0.0, value: $0.1) }, reason: "here")
    }

    @Test("what is a flag there is no option")
    func flags() throws {
        let mount = try mount(("mode", "0755"), ("ro", nil), ("nr_inodes", "1"), ("sync", nil), ("noswap", nil))
        #expect(mount.data == "mode=0755,nr_inodes=1,noswap" && mount.flags == [.readOnly, .synchronous])
    }

    @Test("a value with a comma would be two; a label is put between quotation marks")
    func commas() throws {
        #expect(throws: SyscallError("mount", "upperdir has a comma, which is not possible here", errno: 22)) {
            try mount(("upperdir", "/a,b"))
        }
        #expect(try mount(("context", "system_u:object_r:t:s0:c1,c2")).data == "context=\"system_u:object_r:t:s0:c1,c2\"")
        #expect(throws: SyscallError.self) { try mount(("context", "a\",b")) }
    }

    @Test("more than a page of options is refused, not cut")
    func length() throws {
        #expect(throws: SyscallError("mount", "the options of tmpfs are longer than 4095 bytes", errno: 7)) {
            try mount(("lowerdir", String(repeating: "x", count: 4096)))
        }
    }

    @Test(
        "attributes keep what they do not name, access times among it",
        arguments: [
            (0x1000, MountAttributes.readOnly, [], MountFlags([.readOnly, .relativeAccessTime])),
            (0x100e, .readOnly, [], [.readOnly, .noSetUserID, .noDevices, .noExecute, .relativeAccessTime]),
            (0x1001, [], .readOnly, .relativeAccessTime), (0x0, .readOnly, [], [.readOnly, .strictAccessTime]),
            (0xc00, .noSetUserID, [], [.noSetUserID, .noAccessTime, .noDirectoryAccessTime]),
            (0x1000, .noAccessTime, .accessTimeField, .noAccessTime), (0x400, [], .accessTimeField, .relativeAccessTime),
            (0x400, .strictAccessTime, .accessTimeField, .strictAccessTime), (0x3000, [], [], [.noSymlinkFollow, .relativeAccessTime]),
        ] as [(UInt64, MountAttributes, MountAttributes, MountFlags)])
    func attributes(present: UInt64, set: MountAttributes, clear: MountAttributes, flags: MountFlags) {
        #expect(MountFlags(MountAttributes(fileSystemFlags: present).subtracting(clear).union(set)) == flags)
    }
}
