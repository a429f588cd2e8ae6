"""A disk that fails now and then: a library between the node and the C library.

While the switch lies there, writes, syncs and renames below the data folder fail with EIO, one in
four by chance. Nothing else does.
"""

import subprocess
from pathlib import Path

from tests.peers.tools import need_tool

_SOURCE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

static int ours(const char *path) {
    const char *root = getenv("PROVING_DISK");
    return root && strncmp(path, root, strlen(root)) == 0;
}

static int fails(const char *path) {
    const char *sw = getenv("PROVING_SWITCH");
    static __thread unsigned seed = 0;
    if (!sw || access(sw, F_OK) != 0 || !ours(path)) return 0;
    if (!seed) seed = (unsigned)getpid() ^ (unsigned)(size_t)&seed;
    if (rand_r(&seed) % 4) return 0;
    errno = EIO;
    return 1;
}

static int fd_fails(int fd) {
    char link[64], path[4096];
    int saved = errno;
    if (!getenv("PROVING_SWITCH") || access(getenv("PROVING_SWITCH"), F_OK) != 0) {
        errno = saved;
        return 0;
    }
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    errno = saved;
    if (length <= 0) return 0;
    path[length] = 0;
    return fails(path);
}

#define REAL(name) __typeof__(&name) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

ssize_t write(int fd, const void *b, size_t n) {
    REAL(write); return fd_fails(fd) ? -1 : real(fd, b, n);
}
ssize_t pwrite64(int fd, const void *b, size_t n, off64_t o) {
    REAL(pwrite64); return fd_fails(fd) ? -1 : real(fd, b, n, o);
}
ssize_t pwrite(int fd, const void *b, size_t n, off_t o) {
    REAL(pwrite); return fd_fails(fd) ? -1 : real(fd, b, n, o);
}
ssize_t pwritev(int fd, const struct iovec *v, int n, off_t o) {
    REAL(pwritev); return fd_fails(fd) ? -1 : real(fd, v, n, o);
}
ssize_t pwritev64v2(int fd, const struct iovec *v, int n, off64_t o, int f);
ssize_t pwritev2(int fd, const struct iovec *v, int n, off_t o, int f) {
    REAL(pwritev2); return fd_fails(fd) ? -1 : real(fd, v, n, o, f);
}
int fsync(int fd) { REAL(fsync); return fd_fails(fd) ? -1 : real(fd); }
int fdatasync(int fd) { REAL(fdatasync); return fd_fails(fd) ? -1 : real(fd); }
int rename(const char *from, const char *to) {
    REAL(rename); return fails(to) ? -1 : real(from, to);
}
"""


def failing_disk(folder: Path, data: Path) -> tuple[dict[str, str], Path]:
    """Compile the library; the environment of a node that has it, and the path of its switch."""
    source, library = folder / "disk.c", folder / "disk.so"
    source.write_text(_SOURCE)
    command: list[str] = [
        need_tool("gcc"),
        "-shared",
        "-fPIC",
        "-O2",
        "-o",
        str(library),
        str(source),
        "-ldl",
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    switch = folder / "disk-fails"
    environment = {
        "LD_PRELOAD": str(library),
        "PROVING_DISK": str(data),
        "PROVING_SWITCH": str(switch),
    }
    return environment, switch
