// peak COMMAND [ARGUMENT…]: runs it and prints its peak resident size, its children's included, in KiB. A shell or an interpreter would
// lend it its own pages between fork and execve, and those would count.
#include <err.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int words, char **word) {
    if (words < 2) errx(2, "usage: peak COMMAND [ARGUMENT...]");
    pid_t child = vfork();
    if (child < 0) err(2, "vfork");
    if (child == 0) {
        execvp(word[1], word + 1);
        _exit(127);
    }
    int status;
    struct rusage usage;
    if (wait4(child, &status, 0, &usage) < 0) err(2, "wait4");
    FILE *report = fdopen(3, "w");
    if (!report) err(2, "descriptor 3");
    fprintf(report, "%ld\n", usage.ru_maxrss);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
