/* holds KIND ARGUMENT...: holds something that outlives no process by itself, and counts in /count for as long as it works.
 *   tcp ADDRESS PORT    a connection, into which it writes the numbers
 *   lock FILE           a lock of the file, which it takes once
 *   unlinked FILE NAME  a descriptor of a file without its first name, into which it writes the numbers
 *   socket PATH         a datagram socket that is connected to another one, which gets the numbers */
#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int fail(const char *what) {
    perror(what);
    return 1;
}

int main(int argc, char **argv) {
    if (argc < 3) return 2;
    const char *kind = argv[1];
    int held = -1, tells = 1;
    if (!strcmp(kind, "tcp") && argc > 3) {
        struct sockaddr_in peer = {.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(argv[3]))};
        if (inet_pton(AF_INET, argv[2], &peer.sin_addr) != 1) return 2;
        /* Whoever listens may have been started together with this. */
        for (int attempt = 0; held < 0 || connect(held, (void *)&peer, sizeof peer); attempt++) {
            if (attempt == 600) return fail("connect");
            if (held >= 0) usleep(50000);
            close(held);
            held = socket(AF_INET, SOCK_STREAM, 0);
        }
    } else if (!strcmp(kind, "lock")) {
        struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
        held = open(argv[2], O_RDWR | O_CREAT, 0600);
        if (held < 0 || fcntl(held, F_SETLK, &whole)) return fail("lock");
        tells = 0;
    } else if (!strcmp(kind, "unlinked") && argc > 3) {
        held = open(argv[2], O_RDWR | O_CREAT, 0600);
        if (held < 0 || link(argv[2], argv[3]) || unlink(argv[2])) return fail("unlinked");
    } else if (!strcmp(kind, "socket")) {
        struct sockaddr_un peer = {.sun_family = AF_UNIX};
        strncpy(peer.sun_path, argv[2], sizeof peer.sun_path - 1);
        held = socket(AF_UNIX, SOCK_DGRAM, 0);
        if (connect(held, (void *)&peer, sizeof peer)) return fail("connect");
    } else
        return 2;
    int count = open("/count", O_WRONLY | O_CREAT, 0600);
    char line[32];
    for (int number = 1;; number++) {
        size_t length = (size_t)snprintf(line, sizeof line, "%d\n", number);
        if (tells && write(held, line, length) != (ssize_t)length) return fail("write");
        if (pwrite(count, line, length, 0) != (ssize_t)length) return fail("count");
        usleep(50000);
    }
}
