#define _GNU_SOURCE
#include "clinux_errno.h"

#include <string.h>

const char *clinux_errno_name(int number) { return strerrorname_np(number); }

const char *clinux_errno_message(int number) { return strerrordesc_np(number); }
