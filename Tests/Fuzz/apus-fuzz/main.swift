// apus-fuzz TARGET [libFuzzer's options and corpora]; without a target, the names of all.
import CFuzzDriver
import Glibc

if let target = FuzzTarget.chosen {
    print("fuzzing \(target.name)")
    atexit { Scratch.remove() }
    var count = CommandLine.argc - 1
    var arguments = unsafe Optional(CommandLine.unsafeArgv + 1)
    unsafe arguments?[0] = unsafe CommandLine.unsafeArgv[0]
    let status = unsafe LLVMFuzzerRunDriver(&count, &arguments) { bytes, count in
        unsafe FuzzTarget.chosen?.run(Array(UnsafeBufferPointer(start: bytes, count: count)))
        return 0
    }
    exit(status)
}
for target in FuzzTarget.all { print(target.name) }
