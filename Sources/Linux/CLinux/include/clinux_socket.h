/// Local sockets and pipes, and descriptors sent through them.
#ifndef CLINUX_SOCKET_H
#define CLINUX_SOCKET_H

#include <stddef.h>
#include <stdint.h>

/// The types that socket(2) takes; Glibc's module spells them as an enumeration.
#define CLINUX_STREAM 1
#define CLINUX_PACKETS 5
#define CLINUX_DATAGRAMS 2

/// socketpair(2) of AF_UNIX, close-on-exec. Returns 0 or -errno.
int clinux_socket_pair(int type, int ends[2]);

/// pipe2(2), close-on-exec: the reading end first. Returns 0 or -errno.
int clinux_pipe(int ends[2]);

/// Connects a new AF_UNIX socket, close-on-exec. Returns it or -errno; ENAMETOOLONG past 107 bytes.
int clinux_connect_unix(int type, const char *path);

/// Binds a new AF_UNIX socket, close-on-exec. Returns it or -errno.
int clinux_bind_unix(int type, const char *path);

/// Binds and listens on a new AF_UNIX socket, close-on-exec. Returns it or -errno.
int clinux_listen_unix(int type, const char *path, int backlog);

/// Begins to connect a new TCP socket, close-on-exec and non-blocking, to a numeric address of either version. Returns it or -errno.
int clinux_begin_tcp(const char *address, uint16_t port);

/// SO_ERROR: how a connection that was begun turned out. Returns 0 or -errno.
int clinux_socket_error(int socket);

/// accept4(2), close-on-exec. Returns a descriptor or -errno.
int clinux_accept(int listener);

/// sendmsg(2) with up to 32 descriptors (SCM_RIGHTS) and without SIGPIPE. Returns the bytes sent or -errno.
int clinux_send(int socket, const void *bytes, size_t count, const int *descriptors, size_t descriptor_count);

/// recvmsg(2); descriptors that come along are close-on-exec and stored up to `descriptor_capacity` (at
/// most 32), their number in `descriptor_count`. Returns the bytes received, 0 at the end, or -errno;
/// EMSGSIZE when either buffer was too small.
int clinux_receive(int socket, void *bytes, size_t capacity, int *descriptors, size_t descriptor_capacity,
                   size_t *descriptor_count);

/// SO_PEERCRED: who is at the other end. Returns 0 or -errno.
int clinux_peer_credentials(int socket, int *process, uint32_t *user, uint32_t *group);

/// bind(2) of a netlink socket to any port that is free; `port` becomes its number. Returns 0 or -errno.
int clinux_netlink_port(int socket, uint32_t *port);

#endif
