#define _GNU_SOURCE
#include "clinux_internet.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
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
