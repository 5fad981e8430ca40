#define _GNU_SOURCE
#include "clinux_internet.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

union place {
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static socklen_t make_place(union place *place, const uint8_t *address, size_t count, uint16_t port) {
    memset(place, 0, sizeof *place);
    if (count == 4) {
        place->v4.sin_family = AF_INET;
        place->v4.sin_port = htons(port);
        memcpy(&place->v4.sin_addr, address, 4);
        return sizeof place->v4;
    }
    place->v6.sin6_family = AF_INET6;
    place->v6.sin6_port = htons(port);
    memcpy(&place->v6.sin6_addr, address, 16);
    return sizeof place->v6;
}

int clinux_probe_port(int protocol, const uint8_t *address, size_t count, uint16_t port) {
    if (count != 4 && count != 16) return -EINVAL;
    union place place;
    socklen_t length = make_place(&place, address, count, port);
    int type = protocol == IPPROTO_UDP ? SOCK_DGRAM : SOCK_STREAM;
    int descriptor = socket(count == 4 ? AF_INET : AF_INET6, type | SOCK_CLOEXEC, protocol);
    if (descriptor < 0) return errno == EPROTONOSUPPORT || errno == ESOCKTNOSUPPORT ? 0 : -errno;
    int yes = 1;
    // What is in TIME_WAIT is nobody's; a UDP port with this option could be anybody's.
    if (protocol != IPPROTO_UDP) setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (count == 16) setsockopt(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, &yes, sizeof yes);
    int result = bind(descriptor, (struct sockaddr *)&place, length) < 0 ? -errno : 0;
    close(descriptor);
    return result;
}

int clinux_internet_socket(int type, size_t address_bytes) {
    if (address_bytes != 4 && address_bytes != 16) return -EINVAL;
    int descriptor = socket(address_bytes == 4 ? AF_INET : AF_INET6, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (descriptor < 0) return -errno;
    int yes = 1;
    if (address_bytes == 16) setsockopt(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, &yes, sizeof yes);
    return descriptor;
}

int clinux_bind_internet(int descriptor, const uint8_t *address, size_t count, uint16_t port) {
    union place place;
    if (count != 4 && count != 16) return -EINVAL;
    socklen_t length = make_place(&place, address, count, port);
    // What is left of a former owner's connections keeps no listener from its port. For datagrams the option would let two own one.
    int type, yes = 1;
    socklen_t type_bytes = sizeof type;
    if (getsockopt(descriptor, SOL_SOCKET, SO_TYPE, &type, &type_bytes) == 0 && type == SOCK_STREAM)
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    return bind(descriptor, (struct sockaddr *)&place, length) < 0 ? -errno : 0;
}

int clinux_listen(int descriptor, int backlog) { return listen(descriptor, backlog) < 0 ? -errno : 0; }

int clinux_connect_internet(int descriptor, const uint8_t *address, size_t count, uint16_t port, uint32_t zone) {
    union place place;
    if (count != 4 && count != 16) return -EINVAL;
    socklen_t length = make_place(&place, address, count, port);
    if (count == 16) place.v6.sin6_scope_id = zone;
    if (connect(descriptor, (struct sockaddr *)&place, length) == 0 || errno == EINPROGRESS) return 0;
    return -errno;
}

static void take_place(const union place *place, uint8_t address[16], size_t *count, uint16_t *port) {
    if (place->v4.sin_family == AF_INET) {
        memcpy(address, &place->v4.sin_addr, *count = 4);
        *port = ntohs(place->v4.sin_port);
    } else if (place->v6.sin6_family == AF_INET6) {
        memcpy(address, &place->v6.sin6_addr, *count = 16);
        *port = ntohs(place->v6.sin6_port);
    } else {
        *count = 0;
    }
}

int clinux_local_place(int descriptor, uint8_t address[16], size_t *count, uint16_t *port) {
    union place place = {0};
    socklen_t length = sizeof place;
    if (getsockname(descriptor, (struct sockaddr *)&place, &length) < 0) return -errno;
    take_place(&place, address, count, port);
    return 0;
}

int clinux_receive_from(int descriptor, void *bytes, size_t size, uint8_t address[16], size_t *count, uint16_t *port) {
    union place place = {0};
    socklen_t length = sizeof place;
    ssize_t received = recvfrom(descriptor, bytes, size, MSG_TRUNC | MSG_DONTWAIT, (struct sockaddr *)&place, &length);
    if (received < 0) return -errno;
    take_place(&place, address, count, port);
    return (int)received;
}

int clinux_send_to(int descriptor, const void *bytes, size_t size, const uint8_t *address, size_t count, uint16_t port) {
    union place place;
    if (count != 4 && count != 16) return -EINVAL;
    socklen_t length = make_place(&place, address, count, port);
    ssize_t sent = sendto(descriptor, bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT, (struct sockaddr *)&place, length);
    return sent < 0 ? -errno : (int)sent;
}

int clinux_tell_local_addresses(int descriptor) {
    int yes = 1;
    return setsockopt(descriptor, IPPROTO_IPV6, IPV6_RECVPKTINFO, &yes, sizeof yes) < 0 ? -errno : 0;
}

union local_address {
    struct cmsghdr header;
    char room[CMSG_SPACE(sizeof(struct in6_pktinfo))];
};

int clinux_receive_at(int descriptor, void *bytes, size_t size, uint8_t sender[16], uint16_t *port, uint32_t *zone, uint8_t local[16]) {
    struct sockaddr_in6 place = {0};
    union local_address control;
    struct iovec part = {bytes, size};
    struct msghdr message = {.msg_name = &place, .msg_namelen = sizeof place, .msg_iov = &part, .msg_iovlen = 1,
                             .msg_control = &control, .msg_controllen = sizeof control};
    ssize_t received = recvmsg(descriptor, &message, MSG_TRUNC | MSG_DONTWAIT);
    if (received < 0) return -errno;
    memcpy(sender, &place.sin6_addr, 16);
    *port = ntohs(place.sin6_port);
    *zone = place.sin6_scope_id;
    for (struct cmsghdr *each = CMSG_FIRSTHDR(&message); each; each = CMSG_NXTHDR(&message, each)) {
        if (each->cmsg_level != IPPROTO_IPV6 || each->cmsg_type != IPV6_PKTINFO) continue;
        struct in6_pktinfo info;
        memcpy(&info, CMSG_DATA(each), sizeof info);
        memcpy(local, &info.ipi6_addr, 16);
        return (int)received;
    }
    return -EPROTO;
}

int clinux_send_from(int descriptor, const void *bytes, size_t size, const uint8_t address[16], uint16_t port, uint32_t zone,
                     const uint8_t local[16]) {
    union place place;
    socklen_t length = make_place(&place, address, 16, port);
    place.v6.sin6_scope_id = zone;
    union local_address control;
    memset(&control, 0, sizeof control);
    struct iovec part = {(void *)bytes, size};
    struct msghdr message = {.msg_name = &place, .msg_namelen = length, .msg_iov = &part, .msg_iovlen = 1,
                             .msg_control = &control, .msg_controllen = sizeof control};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = IPPROTO_IPV6;
    header->cmsg_type = IPV6_PKTINFO;
    header->cmsg_len = CMSG_LEN(sizeof(struct in6_pktinfo));
    struct in6_pktinfo info = {.ipi6_ifindex = zone};
    memcpy(&info.ipi6_addr, local, 16);
    memcpy(CMSG_DATA(header), &info, sizeof info);
    ssize_t sent = sendmsg(descriptor, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    return sent < 0 ? -errno : (int)sent;
}

int clinux_keep_alive(int descriptor, int seconds) {
    int yes = 1;
    if (setsockopt(descriptor, IPPROTO_TCP, TCP_KEEPIDLE, &seconds, sizeof seconds) < 0) return -errno;
    if (setsockopt(descriptor, IPPROTO_TCP, TCP_KEEPINTVL, &seconds, sizeof seconds) < 0) return -errno;
    return setsockopt(descriptor, SOL_SOCKET, SO_KEEPALIVE, &yes, sizeof yes) < 0 ? -errno : 0;
}

int clinux_send_timeout(int socket, int milliseconds) {
    struct timeval limit = {milliseconds / 1000, milliseconds % 1000 * 1000};
    return setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) < 0 ? -errno : 0;
}

int clinux_connect_bounded(int protocol, const uint8_t *address, size_t count, uint16_t port, int timeout_milliseconds) {
    if (count != 4 && count != 16) return -EINVAL;
    union place place;
    socklen_t length = make_place(&place, address, count, port);
    int type = protocol == IPPROTO_UDP ? SOCK_DGRAM : SOCK_STREAM;
    int descriptor = socket(count == 4 ? AF_INET : AF_INET6, type | SOCK_CLOEXEC, protocol);
    if (descriptor < 0) return -errno;
    int result = clinux_send_timeout(descriptor, timeout_milliseconds);
    if (result == 0 && connect(descriptor, (struct sockaddr *)&place, length) < 0) result = errno == EINPROGRESS ? -ETIMEDOUT : -errno;
    if (result == 0) return descriptor;
    close(descriptor);
    return result;
}
