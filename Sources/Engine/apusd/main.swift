// apusd: reads the command line, wires the daemon, runs it.
internal import CoreTypes
internal import Engine
internal import LinuxSyscalls

fillStandardDescriptors()

private func write(_ text: String, to descriptor: Int32) {
    // Where nobody takes it, the program still has its exit status.
    try? writeAll(Array(text.utf8), to: descriptor)
}

private func fail(_ error: any Error) -> Never {
    let advice = error is UsageError ? "\nSee 'apusd --help'." : ""
    write("apusd: \(error)\(advice)\n", to: 2)
    exitAtOnce(1)
}

do {
    let words = Array(CommandLine.arguments.dropFirst())
    let environment = processEnvironment()
    let options = try DaemonOptions(arguments: words, environment: environment)
    switch options.action {
    case .printHelp: write(DaemonOptions.help, to: 1)
    case .printVersion: write("Apus version \(Product.version)\n", to: 1)
    #if FAILPOINTS
        case .listFailpoints: write(Failpoints.names.map { "\($0)\n" }.joined(), to: 1)
    #endif
    case .serve where options.onlyValidates:
        for warning in options.warnings { write("warning: \(warning)\n", to: 2) }
        write("configuration OK\n", to: 1)
    case .serve:
        #if FAILPOINTS
            if let name = options.failpoint, !Failpoints.arm(name) { throw UsageError("no failpoint is called '\(name)'") }
        #endif
        // Before there is a second thread: the kernel moves only processes that have one.
        let warnings = options.rootless == nil ? [] : try OwnNamespaces(execRoot: options.execRoot, environment: environment).enter()
        // Passwords of registries are in its memory, which no core file shall hold. An ordinary user's daemon stays like the user's other
        // processes: else the kernel gives what is its own in /proc to the machine's root.
        if options.rootless == nil {
            try setDumpable(false)
            MemoryPressure.spareDaemon()
        }
        // Threads for transfers come and go: what each left in a heap of its own was half of the daemon's memory after some pulls.
        limitHeaps(to: 2)
        let signals = try StopSignals()
        let daemon = Daemon(
            options: options, words: words, environment: environment, stopSignals: signals.arrivals, rootlessWarnings: warnings)
        try TaskThreads.daemon.start()
        // Owned by the process, which ends with it.
        Task.detached(executorPreference: TaskThreads.daemon) {
            do { try await daemon.run() } catch { fail(error) }
            exitAtOnce(0)
        }
        try signals.forward()
    }
} catch {
    fail(error)
}
