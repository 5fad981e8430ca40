/* leaves: its first thread ends alone, and another one lives on. */
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

static void *live_on(void *unused) {
    for (;;) pause();
    return unused;
}

int main(void) {
    pthread_t other;
    if (pthread_create(&other, NULL, live_on, NULL)) return 1;
    syscall(SYS_exit, 0);
    return 1;
}
