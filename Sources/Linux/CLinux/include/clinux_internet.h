/// Sockets of IPv4 and IPv6.
#ifndef CLINUX_INTERNET_H
#define CLINUX_INTERNET_H

#include <stddef.h>
#include <stdint.h>

/// Binds a port of an address of 4 or 16 bytes, and lets it go. Returns 0, also where the kernel lacks the protocol, or -errno.
int clinux_probe_port(int protocol, const uint8_t *address, size_t count, uint16_t port);

#endif
