/// Sockets of IPv4 and IPv6.
#ifndef CLINUX_INTERNET_H
#define CLINUX_INTERNET_H

#include <stddef.h>
#include <stdint.h>

/// Binds a port of an address of 4 or 16 bytes, and lets it go. Returns 0, also where the kernel lacks the protocol, or -errno.
int clinux_probe_port(int protocol, const uint8_t *address, size_t count, uint16_t port);

/// A close-on-exec, non-blocking socket for addresses of 4 or 16 bytes. Returns the descriptor or -errno.
int clinux_internet_socket(int type, size_t address_bytes);

int clinux_bind_internet(int descriptor, const uint8_t *address, size_t count, uint16_t port);
int clinux_listen(int descriptor, int backlog);

/// Begins to connect; 0 also where that is under way. `zone` is the index of the link that an IPv6 address is of, or 0.
int clinux_connect_internet(int descriptor, const uint8_t *address, size_t count, uint16_t port, uint32_t zone);

/// The socket's own address; `count` is 0 for one that is neither IPv4 nor IPv6.
int clinux_local_place(int descriptor, uint8_t address[16], size_t *count, uint16_t *port);

/// One datagram without waiting. Returns its own length, which may be more than `size`, or -errno.
int clinux_receive_from(int descriptor, void *bytes, size_t size, uint8_t address[16], size_t *count, uint16_t *port);

/// IPV6_RECVPKTINFO: has the kernel say with each datagram which address it was sent to. Returns 0 or -errno.
int clinux_tell_local_addresses(int descriptor);

/// As clinux_receive_from, of IPv6: with the link that the sender's address is of, 0 for one that needs none, and the address that was sent to.
int clinux_receive_at(int descriptor, void *bytes, size_t size, uint8_t sender[16], uint16_t *port, uint32_t *zone, uint8_t local[16]);

/// One datagram of IPv6 without waiting and without SIGPIPE, from one of this machine's addresses.
int clinux_send_from(int descriptor, const void *bytes, size_t size, const uint8_t address[16], uint16_t port, uint32_t zone,
                     const uint8_t local[16]);

/// SO_KEEPALIVE after so many seconds of rest, and as many between two questions. Returns 0 or -errno.
int clinux_keep_alive(int descriptor, int seconds);

/// One datagram without waiting and without SIGPIPE.
int clinux_send_to(int descriptor, const void *bytes, size_t size, const uint8_t *address, size_t count, uint16_t port);

/// Connects a new TCP or UDP socket (IPPROTO_*), close-on-exec, to the address, 4 or 16 bytes, and bounds by SO_SNDTIMEO how long that and each
/// later send may wait. Returns it or -errno; ETIMEDOUT past the bound.
int clinux_connect_bounded(int protocol, const uint8_t *address, size_t count, uint16_t port, int timeout_milliseconds);

/// SO_SNDTIMEO: bounds how long a send may wait, with EAGAIN past it. Returns 0 or -errno.
int clinux_send_timeout(int socket, int milliseconds);

#endif
