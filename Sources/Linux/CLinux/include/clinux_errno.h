/// Names of error numbers, which Glibc's module hides behind _GNU_SOURCE.
#ifndef CLINUX_ERRNO_H
#define CLINUX_ERRNO_H

/// `ENOENT` for 2; NULL where the C library knows no such number.
const char *clinux_errno_name(int number);

/// `No such file or directory` for 2, untranslated; NULL where the C library knows no such number.
const char *clinux_errno_message(int number);

#endif
