#define _GNU_SOURCE
#include "clinux_socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { MAXIMUM_DESCRIPTORS = 32 };

union control {
    char bytes[CMSG_SPACE(MAXIMUM_DESCRIPTORS * sizeof(int))];
    struct cmsghdr header;
};

int clinux_socket_pair(int type, int ends[2]) {
    return socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends) < 0 ? -errno : 0;
}

int clinux_pipe(int ends[2]) { return pipe2(ends, O_CLOEXEC) < 0 ? -errno : 0; }

static int unix_socket(int type, const char *path, struct sockaddr_un *address) {
    memset(address, 0, sizeof *address);
    address->sun_family = AF_UNIX;
    if (strlen(path) >= sizeof address->sun_path) return -ENAMETOOLONG;
    strcpy(address->sun_path, path);
    int descriptor = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
    return descriptor < 0 ? -errno : descriptor;
}

static int closing(int descriptor, int failure) {
    close(descriptor);
    return -failure;
}

int clinux_connect_unix(int type, const char *path) {
    struct sockaddr_un address;
    int descriptor = unix_socket(type, path, &address);
    if (descriptor < 0) return descriptor;
    if (connect(descriptor, (struct sockaddr *)&address, sizeof address) < 0) return closing(descriptor, errno);
    return descriptor;
}

int clinux_bind_unix(int type, const char *path) {
    struct sockaddr_un address;
    int descriptor = unix_socket(type, path, &address);
    if (descriptor < 0) return descriptor;
    if (bind(descriptor, (struct sockaddr *)&address, sizeof address) < 0) return closing(descriptor, errno);
    return descriptor;
}

int clinux_listen_unix(int type, const char *path, int backlog) {
    int descriptor = clinux_bind_unix(type, path);
    if (descriptor < 0) return descriptor;
    if (listen(descriptor, backlog) < 0) return closing(descriptor, errno);
    return descriptor;
}

int clinux_begin_tcp(const char *address, uint16_t port) {
    union {
        struct sockaddr any;
        struct sockaddr_in four;
        struct sockaddr_in6 six;
    } target;
    memset(&target, 0, sizeof target);
    socklen_t length;
    if (inet_pton(AF_INET, address, &target.four.sin_addr) == 1) {
        target.four.sin_family = AF_INET;
        target.four.sin_port = htons(port);
        length = sizeof target.four;
    } else if (inet_pton(AF_INET6, address, &target.six.sin6_addr) == 1) {
        target.six.sin6_family = AF_INET6;
        target.six.sin6_port = htons(port);
        length = sizeof target.six;
    } else {
        return -EINVAL;
    }
    int descriptor = socket(target.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (descriptor < 0) return -errno;
    if (connect(descriptor, &target.any, length) < 0 && errno != EINPROGRESS) return closing(descriptor, errno);
    return descriptor;
}

int clinux_socket_error(int socket) {
    int failure = 0;
    socklen_t length = sizeof failure;
    if (getsockopt(socket, SOL_SOCKET, SO_ERROR, &failure, &length) < 0) return -errno;
    return -failure;
}

int clinux_accept(int listener) {
    int descriptor = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    return descriptor < 0 ? -errno : descriptor;
}

int clinux_send(int socket, const void *bytes, size_t count, const int *descriptors, size_t descriptor_count) {
    union control control = {0};
    struct iovec part = {.iov_base = (void *)bytes, .iov_len = count};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (descriptor_count > MAXIMUM_DESCRIPTORS) return -EINVAL;
    if (descriptor_count > 0) {
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(descriptor_count * sizeof(int));
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(descriptor_count * sizeof(int));
        memcpy(CMSG_DATA(header), descriptors, descriptor_count * sizeof(int));
    }
    ssize_t sent = sendmsg(socket, &message, MSG_NOSIGNAL);
    return sent < 0 ? -errno : (int)sent;
}

/// Hands over the descriptors of a received message and closes those that find no place.
static int take_descriptors(struct msghdr *message, int *descriptors, size_t capacity, size_t *count) {
    int overflow = (message->msg_flags & (MSG_CTRUNC | MSG_TRUNC)) != 0;
    for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header; header = CMSG_NXTHDR(message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
        size_t received = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t index = 0; index < received; index++) {
            int descriptor;
            memcpy(&descriptor, CMSG_DATA(header) + index * sizeof(int), sizeof descriptor);
            if (*count < capacity) {
                descriptors[(*count)++] = descriptor;
            } else {
                close(descriptor);
                overflow = 1;
            }
        }
    }
    return overflow;
}

int clinux_receive(int socket, void *bytes, size_t capacity, int *descriptors, size_t descriptor_capacity,
                   size_t *descriptor_count) {
    union control control = {0};
    struct iovec part = {.iov_base = bytes, .iov_len = capacity};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
    *descriptor_count = 0;
    ssize_t received = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    if (received < 0) return -errno;
    if (take_descriptors(&message, descriptors, descriptor_capacity, descriptor_count)) {
        for (size_t index = 0; index < *descriptor_count; index++) close(descriptors[index]);
        *descriptor_count = 0;
        return -EMSGSIZE;
    }
    return (int)received;
}

int clinux_peer_credentials(int socket, int *process, uint32_t *user, uint32_t *group) {
    struct ucred credentials;
    socklen_t length = sizeof credentials;
    if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &length) < 0) return -errno;
    *process = credentials.pid;
    *user = credentials.uid;
    *group = credentials.gid;
    return 0;
}

int clinux_netlink_port(int socket, uint32_t *port) {
    struct sockaddr_nl address = {.nl_family = AF_NETLINK};
    socklen_t length = sizeof address;
    if (bind(socket, (struct sockaddr *)&address, length) < 0) return -errno;
    if (getsockname(socket, (struct sockaddr *)&address, &length) < 0) return -errno;
    *port = address.nl_pid;
    return 0;
}
