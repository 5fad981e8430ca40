// The system calls of the default seccomp profile, by subject. A table: exempt from the size rules.
//
// SOURCE: what Docker Engine 28 and 29 document as their default (docs.docker.com/engine/security/seccomp; the meaning of
// github.com/moby/profiles, seccomp, as of 2026), written anew and grouped by subject for Apus; Apache-2.0, as the rest of it.
// Stricter in two points, both from the project's threat model: the kernel's keyrings, which are in no namespace, stay closed, and
// besides AF_VSOCK sockets those of AF_ALG are refused, also when the upper half of the argument is set.
// Looser in one: calls that Docker allows from Linux 4.8 on are allowed always, because no older kernel can run Apus.

/// Names of calls, split at white space.
private func calls(_ text: String) -> [String] { text.split(whereSeparator: \.isWhitespace).map(String.init) }

/// Calls that every container may make with any arguments.
let freeCalls: [String] = calls(
    """
    read readv pread64 preadv preadv2 write writev pwrite64 pwritev pwritev2 lseek _llseek readahead
    open openat openat2 creat close close_range dup dup2 dup3 fcntl fcntl64 flock ioctl pipe pipe2
    select _newselect pselect6 pselect6_time64 poll ppoll ppoll_time64 epoll_create epoll_create1 epoll_ctl epoll_ctl_old
    epoll_wait epoll_wait_old epoll_pwait epoll_pwait2 eventfd eventfd2 signalfd signalfd4
    sendfile sendfile64 splice tee vmsplice copy_file_range
    truncate truncate64 ftruncate ftruncate64 fallocate fadvise64 fadvise64_64 cachestat
    sync syncfs fsync fdatasync sync_file_range
    io_setup io_submit io_getevents io_pgetevents io_pgetevents_time64 io_cancel io_destroy

    stat stat64 lstat lstat64 fstat fstat64 fstatat64 newfstatat statx statfs statfs64 fstatfs fstatfs64 statmount listmount
    access faccessat faccessat2 readlink readlinkat getcwd chdir fchdir getdents getdents64 name_to_handle_at
    mkdir mkdirat rmdir link linkat symlink symlinkat unlink unlinkat rename renameat renameat2 mknod mknodat
    chmod fchmod fchmodat fchmodat2 chown chown32 fchown fchown32 fchownat lchown lchown32 umask
    utime utimes futimesat utimensat utimensat_time64
    getxattr lgetxattr fgetxattr getxattrat setxattr lsetxattr fsetxattr setxattrat
    listxattr llistxattr flistxattr listxattrat removexattr lremovexattr fremovexattr removexattrat
    inotify_init inotify_init1 inotify_add_watch inotify_rm_watch fanotify_mark

    brk mmap mmap2 munmap mremap mprotect msync madvise mincore mlock mlock2 mlockall munlock munlockall mseal
    remap_file_pages memfd_create memfd_secret membarrier map_shadow_stack pkey_alloc pkey_free pkey_mprotect

    fork vfork execve execveat exit exit_group wait4 waitid waitpid
    getpid getppid gettid getpgid getpgrp setpgid getsid setsid pidfd_open pidfd_send_signal process_mrelease
    kill tkill tgkill sigaltstack sigprocmask sigreturn pause alarm
    rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait
    rt_sigtimedwait_time64 rt_tgsigqueueinfo restart_syscall uretprobe
    futex futex_time64 futex_wait futex_wake futex_waitv futex_requeue
    get_robust_list set_robust_list set_tid_address get_thread_area set_thread_area rseq
    prctl seccomp landlock_create_ruleset landlock_add_rule landlock_restrict_self
    ptrace process_vm_readv process_vm_writev
    getpriority setpriority ioprio_get ioprio_set getrlimit ugetrlimit setrlimit prlimit64 getrusage times getcpu
    sched_yield sched_getaffinity sched_setaffinity sched_getattr sched_setattr sched_getparam sched_setparam
    sched_getscheduler sched_setscheduler sched_get_priority_max sched_get_priority_min
    sched_rr_get_interval sched_rr_get_interval_time64

    getuid getuid32 geteuid geteuid32 getgid getgid32 getegid getegid32 getresuid getresuid32 getresgid getresgid32
    setuid setuid32 setgid setgid32 setreuid setreuid32 setregid setregid32 setresuid setresuid32 setresgid setresgid32
    setfsuid setfsuid32 setfsgid setfsgid32 getgroups getgroups32 setgroups setgroups32 capget capset

    socketcall bind connect listen accept accept4 shutdown getsockname getpeername getsockopt setsockopt
    send sendto sendmsg sendmmsg recv recvfrom recvmsg recvmmsg recvmmsg_time64

    ipc shmget shmat shmdt shmctl semget semop semtimedop semtimedop_time64 semctl msgget msgsnd msgrcv msgctl
    mq_open mq_unlink mq_notify mq_getsetattr mq_timedsend mq_timedsend_time64 mq_timedreceive mq_timedreceive_time64

    time gettimeofday nanosleep clock_getres clock_getres_time64 clock_gettime clock_gettime64
    clock_nanosleep clock_nanosleep_time64 adjtimex clock_adjtime clock_adjtime64 getitimer setitimer
    timer_create timer_delete timer_getoverrun timer_gettime timer_gettime64 timer_settime timer_settime64
    timerfd_create timerfd_gettime timerfd_gettime64 timerfd_settime timerfd_settime64

    uname sysinfo getrandom riscv_hwprobe
    """)

/// Calls that need a capability, which the container has been given.
let capabilityCalls: [(capability: String, calls: [String])] = [
    ("CAP_DAC_READ_SEARCH", calls("open_by_handle_at")),
    (
        "CAP_SYS_ADMIN",
        calls(
            """
            clone clone3 unshare setns sethostname setdomainname
            mount umount umount2 fsopen fsconfig fsmount fspick open_tree move_mount mount_setattr quotactl quotactl_fd
            bpf perf_event_open fanotify_init lookup_dcookie syslog lsm_get_self_attr lsm_set_self_attr lsm_list_modules
            """)
    ),
    ("CAP_SYS_BOOT", calls("reboot")),
    ("CAP_SYS_CHROOT", calls("chroot")),
    ("CAP_SYS_MODULE", calls("init_module finit_module delete_module")),
    ("CAP_SYS_PACCT", calls("acct")),
    ("CAP_SYS_PTRACE", calls("kcmp pidfd_getfd process_madvise")),
    ("CAP_SYS_RAWIO", calls("iopl ioperm")),
    ("CAP_SYS_TIME", calls("settimeofday stime clock_settime clock_settime64")),
    ("CAP_SYS_TTY_CONFIG", calls("vhangup")),
    ("CAP_SYS_NICE", calls("get_mempolicy set_mempolicy set_mempolicy_home_node mbind")),
    ("CAP_SYSLOG", calls("syslog")),
    ("CAP_BPF", calls("bpf")),
    ("CAP_PERFMON", calls("perf_event_open")),
]

/// Calls that look into other processes; the strict profile leaves them to who has CAP_SYS_PTRACE.
let tracingCalls = calls("ptrace process_vm_readv process_vm_writev")

/// Calls of the others that the strict profile refuses: what looks into other processes; what the kernel keeps for a few old programs
/// (modify_ldt for those of 16 bits, remap_file_pages); vmsplice, for which there is always write; and socketcall, the one
/// call of old 32-bit programs of x86 for all sockets, whose arguments lie in memory, where no filter sees them.
let strictlyRefusedCalls = tracingCalls + calls("modify_ldt remap_file_pages vmsplice socketcall")

/// Calls of x86, in any of its conventions.
let x86Calls = calls("arch_prctl modify_ldt")
/// Calls of ARM, in any of its conventions.
let armCalls = calls("arm_fadvise64_64 arm_sync_file_range sync_file_range2 breakpoint cacheflush set_tls")
