/* Pseudo-terminals and sockets. */
#define _XOPEN_SOURCE   700
#define _DEFAULT_SOURCE 1

#include "board.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define WRITE_WAIT_MS 2000

static bool make_nonblocking(int fd) {
    int flags = fcntl(fd, F_GETFL);
    return flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0;
}

/* Raw: no echo, no line editing, no translated line ends. */
static bool make_raw(int fd) {
    struct termios settings;
    if (tcgetattr(fd, &settings) != 0) {
        return false;
    }
    cfmakeraw(&settings);
    return tcsetattr(fd, TCSANOW, &settings) == 0;
}

bool posix_open_pty(posix_line *line) {
    *line = (posix_line){.listener = -1, .fd = posix_openpt(O_RDWR | O_NOCTTY), .held = -1, .name = ""};
    if (line->fd < 0 || grantpt(line->fd) != 0 || unlockpt(line->fd) != 0) {
        return false;
    }
    const char *name = ptsname(line->fd);
    line->held = name != NULL ? open(name, O_RDWR | O_NOCTTY) : -1;
    if (line->held < 0 || !make_raw(line->held)) {
        return false;
    }
    snprintf(line->name, sizeof line->name, "%s", name);
    return make_nonblocking(line->fd);
}

bool posix_open_tcp(posix_line *line, uint16_t port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    socklen_t size = sizeof address;
    int yes = 1;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    *line = (posix_line){.listener = socket(AF_INET, SOCK_STREAM, 0), .fd = -1, .held = -1, .name = ""};
    if (line->listener < 0 || setsockopt(line->listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0 ||
        bind(line->listener, (struct sockaddr *)&address, size) != 0 || listen(line->listener, 1) != 0 ||
        getsockname(line->listener, (struct sockaddr *)&address, &size) != 0) {
        return false;
    }
    snprintf(line->name, sizeof line->name, "socket://127.0.0.1:%u", (unsigned)ntohs(address.sin_port));
    return make_nonblocking(line->listener);
}

static void take_client(posix_line *line) {
    int yes = 1;
    line->fd = accept(line->listener, NULL, NULL);
    if (line->fd >= 0) {
        make_nonblocking(line->fd);
        setsockopt(line->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    }
}

static void drop_client(posix_line *line) {
    if (line->listener >= 0 && line->fd >= 0) {
        close(line->fd);
        line->fd = -1;
    }
}

void posix_wait(posix_line *line, int milliseconds) {
    bool idle = line->fd < 0;
    struct pollfd watched = {.fd = idle ? line->listener : line->fd, .events = POLLIN, .revents = 0};
    if (poll(&watched, 1, milliseconds) > 0 && idle) {
        take_client(line);
    }
}

static bool would_block(void) {
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

size_t posix_read(posix_line *line, uint8_t *bytes, size_t capacity) {
    if (line->fd < 0) {
        return 0;
    }
    ssize_t count = read(line->fd, bytes, capacity);
    if (count > 0) {
        line->deaf = false;
        return (size_t)count;
    }
    if (count == 0 || !would_block()) {
        drop_client(line);
    }
    return 0;
}

/* False: nobody reads. The oldest is dropped then, so that who comes finds the latest. */
static bool wait_for_reader(posix_line *line) {
    struct pollfd watched = {.fd = line->fd, .events = POLLOUT, .revents = 0};
    if (poll(&watched, 1, line->deaf ? 0 : WRITE_WAIT_MS) != 0) {
        line->deaf = false;
        return true;
    }
    if (line->deaf && line->held >= 0) {
        tcflush(line->held, TCIFLUSH);
    }
    line->deaf = true;
    return false;
}

bool posix_write(posix_line *line, const uint8_t *bytes, size_t count) {
    while (count > 0 && line->fd >= 0) {
        ssize_t written = write(line->fd, bytes, count);
        if (written >= 0) {
            bytes += written;
            count -= (size_t)written;
            continue;
        }
        if (!would_block()) {
            drop_client(line);
            return false;
        }
        if (!wait_for_reader(line)) {
            return false;
        }
    }
    return count == 0;
}

uint64_t posix_clock_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000U + (uint64_t)now.tv_nsec / 1000U;
}
