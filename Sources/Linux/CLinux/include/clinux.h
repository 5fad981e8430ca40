/// Calls, macros and structures that Swift cannot spell. Every function returns a value or -errno and
/// decides nothing. One header per subject; this one is the umbrella.
#ifndef CLINUX_H
#define CLINUX_H

#include "clinux_bpf.h"
#include "clinux_contents.h"
#include "clinux_errno.h"
#include "clinux_files.h"
#include "clinux_internet.h"
#include "clinux_memory_file.h"
#include "clinux_memory.h"
#include "clinux_metadata.h"
#include "clinux_mount.h"
#include "clinux_poll.h"
#include "clinux_process.h"
#include "clinux_quota.h"
#include "clinux_scheduling.h"
#include "clinux_seccomp.h"
#include "clinux_signal.h"
#include "clinux_socket.h"
#include "clinux_splice.h"
#include "clinux_terminal.h"
#include "clinux_watch.h"

#endif
