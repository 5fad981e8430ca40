internal import Templates

/// The flags that `run` and `create` share.
let containerFlags = processFlags + resourceFlags + placeFlags + networkFlags + storageFlags + healthFlags

/// What runs, as whom, and how one deals with it.
private let processFlags = [
    Flag(
        "annotation", nil, .list, "Add an annotation to the container (passed through to the OCI runtime)", placeholder: "map",
        defaultText: "map[]"),
    Flag("attach", "a", .list, "Attach to STDIN, STDOUT or STDERR") { text in
        ["stdin", "stdout", "stderr"].contains(text.lowercased()) ? nil : "valid streams are STDIN, STDOUT and STDERR"
    },
    Flag("cidfile", nil, .string, "Write the container ID to the file"),
    Flag("disable-content-trust", nil, .bool(default: true), "Skip image verification", isHidden: true),
    Flag("entrypoint", nil, .string, "Overwrite the default ENTRYPOINT of the image"),
    Flag("env", "e", .list, "Set environment variables", check: ValueCheck.variable),
    Flag("env-file", nil, .list, "Read in a file of environment variables"),
    Flag("init", nil, .bool(default: false), "Run an init inside the container that forwards signals and reaps processes"),
    Flag("interactive", "i", .bool(default: false), "Keep STDIN open even if not attached"),
    Flag("label", "l", .list, "Set meta data on a container", check: ValueCheck.label),
    Flag("label-file", nil, .list, "Read in a line delimited file of labels"),
    Flag("log-driver", nil, .string, "Logging driver for the container"),
    Flag("log-opt", nil, .list, "Log driver options"),
    Flag("name", nil, .string, "Assign a name to the container"),
    Flag("platform", nil, .string, "Set platform if server is multi-platform capable"),
    Flag("quiet", "q", .bool(default: false), "Suppress the pull output"),
    Flag("restart", nil, .string, "Restart policy to apply when a container exits", defaultText: "no"),
    Flag("rm", nil, .bool(default: false), "Automatically remove the container and its associated anonymous volumes when it exits"),
    Flag("runtime", nil, .string, "Runtime to use for this container"),
    Flag("stop-signal", nil, .string, "Signal to stop the container"),
    Flag("stop-timeout", nil, .integer, "Timeout (in seconds) to stop a container"),
    Flag("tty", "t", .bool(default: false), "Allocate a pseudo-TTY"),
    Flag("user", "u", .string, "Username or UID (format: <name|uid>[:<group|gid>])"),
    Flag("workdir", "w", .string, "Working directory inside the container"),
]

private let resourceFlags = [
    Flag("blkio-weight", nil, .unsigned(bits: 16), "Block IO (relative weight), between 10 and 1000, or 0 to disable (default 0)"),
    Flag(
        "blkio-weight-device", nil, .list, "Block IO weight (relative device weight)", defaultText: "[]",
        check: BlockDeviceLimit.weightComplaint),
    Flag("cgroup-parent", nil, .string, "Optional parent cgroup for the container"),
    Flag("cpu-period", nil, .integer, "Limit CPU CFS (Completely Fair Scheduler) period"),
    Flag("cpu-quota", nil, .integer, "Limit CPU CFS (Completely Fair Scheduler) quota"),
    Flag("cpu-rt-period", nil, .integer, "Limit CPU real-time period in microseconds"),
    Flag("cpu-rt-runtime", nil, .integer, "Limit CPU real-time runtime in microseconds"),
    Flag("cpu-shares", "c", .integer, "CPU shares (relative weight)"),
    Flag("cpus", nil, .decimal, "Number of CPUs"),
    Flag("cpuset-cpus", nil, .string, "CPUs in which to allow execution (0-3, 0,1)"),
    Flag("cpuset-mems", nil, .string, "MEMs in which to allow execution (0-3, 0,1)"),
    Flag(
        "device-read-bps", nil, .list, "Limit read rate (bytes per second) from a device", defaultText: "[]",
        check: BlockDeviceLimit.bytesComplaint),
    Flag(
        "device-read-iops", nil, .list, "Limit read rate (IO per second) from a device", defaultText: "[]",
        check: BlockDeviceLimit.countComplaint),
    Flag(
        "device-write-bps", nil, .list, "Limit write rate (bytes per second) to a device", defaultText: "[]",
        check: BlockDeviceLimit.bytesComplaint),
    Flag(
        "device-write-iops", nil, .list, "Limit write rate (IO per second) to a device", defaultText: "[]",
        check: BlockDeviceLimit.countComplaint),
    Flag("kernel-memory", nil, .bytes, "Kernel memory limit"),
    Flag("memory", "m", .bytes, "Memory limit"),
    Flag("memory-reservation", nil, .bytes, "Memory soft limit"),
    Flag("memory-swap", nil, .bytesOrUnlimited, "Swap limit equal to memory plus swap: '-1' to enable unlimited swap"),
    Flag("memory-swappiness", nil, .integer, "Tune container memory swappiness (0 to 100)", defaultText: "-1"),
    Flag("oom-kill-disable", nil, .bool(default: false), "Disable OOM Killer"),
    Flag("oom-score-adj", nil, .integer, "Tune host's OOM preferences (-1000 to 1000)"),
    Flag("pids-limit", nil, .integer, "Tune container pids limit (set -1 for unlimited)"),
    Flag("ulimit", nil, .list, "Ulimit options", placeholder: "ulimit", defaultText: "[]", check: ValueCheck.ulimit),
]

/// Namespaces and rights.
private let placeFlags = [
    Flag("cap-add", nil, .list, "Add Linux capabilities"),
    Flag("cap-drop", nil, .list, "Drop Linux capabilities"),
    Flag(
        "cgroupns", nil, .string,
        """
        Cgroup namespace to use (host|private)
        'host':    Run the container in the host's cgroup namespace
        'private': Run the container in its own private cgroup namespace
        '':        Use the cgroup namespace that the daemon is configured to use (default)
        """),
    Flag("device", nil, .list, "Add a host device to the container"),
    Flag("device-cgroup-rule", nil, .list, "Add a rule to the cgroup allowed devices list") { text in
        isDeviceRule(text) ? nil : "invalid device cgroup format '\(text)'"
    },
    Flag("gpus", nil, .string, "GPU devices to add to the container ('all' to pass all GPUs)", placeholder: "gpu-request") { text in
        do throws(Complaint) { _ = try deviceRequest(text) } catch { return error.description }
        return nil
    },
    Flag("group-add", nil, .list, "Add additional groups to join"),
    Flag("ipc", nil, .string, "IPC mode to use"),
    Flag("isolation", nil, .string, "Container isolation technology"),
    Flag("pid", nil, .string, "PID namespace to use"),
    Flag("privileged", nil, .bool(default: false), "Give extended privileges to this container"),
    Flag("security-opt", nil, .list, "Security Options"),
    Flag("sysctl", nil, .list, "Sysctl options", placeholder: "map", defaultText: "map[]", check: ValueCheck.sysctl),
    Flag("userns", nil, .string, "User namespace to use"),
    Flag("uts", nil, .string, "UTS namespace to use"),
]

private let networkFlags = [
    Flag("add-host", nil, .list, "Add a custom host-to-IP mapping (host:ip)", check: ExtraHost.complaint),
    Flag("dns", nil, .list, "Set custom DNS servers", check: ValueCheck.address),
    Flag("dns-opt", nil, .list, "Older spelling of --dns-option", isHidden: true, meaning: "dns-option"),
    Flag("dns-option", nil, .list, "Set DNS options"),
    Flag("dns-search", nil, .list, "Set custom DNS search domains", check: ValueCheck.searchDomain),
    Flag("domainname", nil, .string, "Container NIS domain name"),
    Flag("expose", nil, .list, "Expose a port or a range of ports"),
    Flag("hostname", "h", .string, "Container host name"),
    Flag("ip", nil, .string, "IPv4 address (e.g., 172.30.100.104)"),
    Flag("ip6", nil, .string, "IPv6 address (e.g., 2001:db8::33)"),
    Flag("link", nil, .list, "Add link to another container"),
    Flag("link-local-ip", nil, .list, "Container IPv4/IPv6 link-local addresses"),
    Flag("mac-address", nil, .string, "Container MAC address (e.g., 92:d0:c6:0a:29:33)"),
    Flag("net", nil, .list, "Older spelling of --network", isHidden: true, meaning: "network", check: complaintAboutNetwork),
    Flag("net-alias", nil, .list, "Older spelling of --network-alias", isHidden: true, meaning: "network-alias"),
    Flag("network", nil, .list, "Connect a container to a network", placeholder: "network", check: complaintAboutNetwork),
    Flag("network-alias", nil, .list, "Add network-scoped alias for the container"),
    Flag("publish", "p", .list, "Publish a container's port(s) to the host"),
    Flag("publish-all", "P", .bool(default: false), "Publish all exposed ports to random ports"),
]

private let storageFlags = [
    Flag("mount", nil, .list, "Attach a filesystem mount to the container", placeholder: "mount", check: complaintAboutMount),
    Flag("read-only", nil, .bool(default: false), "Mount the container's root filesystem as read only"),
    Flag("shm-size", nil, .bytes, "Size of /dev/shm"),
    Flag("storage-opt", nil, .list, "Storage driver options for the container"),
    Flag("tmpfs", nil, .list, "Mount a tmpfs directory"),
    Flag("volume", "v", .list, "Bind mount a volume"),
    Flag("volume-driver", nil, .string, "Optional volume driver for the container"),
    Flag("volumes-from", nil, .list, "Mount volumes from the specified container(s)"),
]

private let healthFlags = [
    Flag("health-cmd", nil, .string, "Command to run to check health"),
    Flag("health-interval", nil, .duration, "Time between running the check (ms|s|m|h)", defaultText: "0s"),
    Flag("health-on-failure", nil, .string, "Action for an unhealthy container (none, kill, restart, stop)"),
    Flag("health-retries", nil, .integer, "Consecutive failures needed to report unhealthy"),
    Flag("health-start-interval", nil, .duration, "Time between running the check during the start period (ms|s|m|h)", defaultText: "0s"),
    Flag(
        "health-start-period", nil, .duration,
        "Start period for the container to initialize before starting health-retries countdown (ms|s|m|h)", defaultText: "0s"),
    Flag("health-timeout", nil, .duration, "Maximum time to allow one check to run (ms|s|m|h)", defaultText: "0s"),
    Flag("no-healthcheck", nil, .bool(default: false), "Disable any container-specified HEALTHCHECK"),
]
