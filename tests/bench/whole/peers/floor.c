/* The floor: what the kernel's part costs.  It answers, and knows nothing of HTTP.
 *
 *     cc -O2 -o floor floor.c && ./floor PORT PROCESSES [close]
 *
 * epoll, one recv() and one send() for what comes in one piece, as a load generator sends it; each
 * blank line in it is a request.  A path that begins with /static/ has 4 KiB, or 1 MiB if it is
 * large.bin; all else is "Hello, World!".  What a server needs beyond this is its own.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signal.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MOST = 64, MANY = 1 << 20 };

struct answer {
    char *bytes;
    size_t size;
};

static char input[1 << 16];
static struct {
    size_t left; /* of a large answer that did not fit */
} conns[MANY];

static struct answer answer(size_t body, int times)
{
    static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n"
                               "Date: Mon, 23 Nov 2026 00:00:00 GMT\r\nContent-Length: %zu\r\n\r\n";
    struct answer made = {malloc((sizeof head + 32 + body) * (size_t)times), 0};
    for (int i = 0; i < times; i++) {
        made.size += (size_t)sprintf(made.bytes + made.size, head, body);
        memset(made.bytes + made.size, 'x', body);
        memcpy(made.bytes + made.size, "Hello, World!", 13);
        made.size += body;
    }
    return made;
}

static int requests_in(const char *from, size_t size)
{
    const char *end = from + size, *found;
    int count = 0;
    while ((found = memmem(from, (size_t)(end - from), "\r\n\r\n", 4))) {
        count++;
        from = found + 4;
    }
    return count;
}

/* Sends what is left of an answer; listens for room if it does not fit. */
static void push(int epoll, int fd, const char *end, size_t left)
{
    size_t before = conns[fd].left;
    ssize_t count = send(fd, end - left, left, MSG_NOSIGNAL);
    left -= count > 0 ? (size_t)count : 0;
    conns[fd].left = left;
    if (left || before) {
        struct epoll_event event = {.events = left ? EPOLLOUT : EPOLLIN, .data.fd = fd};
        epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &event);
    }
}

static int listen_at(int port)
{
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* inherited */
    if (bind(fd, (struct sockaddr *)&name, sizeof name) || listen(fd, 1024)) {
        perror("floor");
        exit(1);
    }
    return fd;
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: %s PORT PROCESSES [close]\n", argv[0]);
        return 2;
    }
    int closing = argc > 3;
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max < MANY ? files.rlim_max : MANY;
    setrlimit(RLIMIT_NOFILE, &files);
    for (int others = atoi(argv[2]) - 1; others > 0; others--)
        if (!fork()) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            break;
        }
    struct answer hello = answer(13, 1), hellos = answer(13, MOST);
    struct answer page = answer(4096, 1), large = answer(1 << 20, 1);
    int listener = listen_at(atoi(argv[1])), epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener}, events[256];
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int ready = epoll_wait(epoll, events, 256, -1);
        for (int i = 0; i < ready; i++) {
            int fd = events[i].data.fd;
            if (fd == listener) {
                while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
                    event.data.fd = fd;
                    conns[fd].left = 0;
                    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
                }
                continue;
            }
            if (conns[fd].left) { /* only the large ones do not fit */
                push(epoll, fd, large.bytes + large.size, conns[fd].left);
                continue;
            }
            ssize_t got = recv(fd, input, sizeof input, 0);
            if (got <= 0) {
                if (!got || (errno != EAGAIN && errno != EINTR))
                    close(fd);
                continue;
            }
            int count = requests_in(input, (size_t)got);
            if (!memcmp(input, "GET /static/", 12)) {
                struct answer *file = input[12] == 'l' ? &large : &page;
                push(epoll, fd, file->bytes + file->size, file->size);
            } else if (count == 1) {
                push(epoll, fd, hello.bytes + hello.size, hello.size);
            } else if (count && count <= MOST) {
                size_t size = hello.size * (size_t)count;
                push(epoll, fd, hellos.bytes + size, size);
            }
            if (closing)
                close(fd);
        }
    }
}
