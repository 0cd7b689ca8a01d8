/* The load: connections that each send a message, wait for its echo, and send the next one.
 *
 *     cc -O2 -o client client.c && ./client PORT CONNECTIONS SIZE SECONDS [MESSAGES]
 *
 * Stops after SECONDS, or when MESSAGES were sent; what is under way then is waited for, so that
 * every message the server has worked on is counted.  Prints one line of JSON.  An echo that is
 * too long, an end, an error, or five seconds without anything: says so and exits with 1.
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
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_MS 5000
#define SLOWEST_US 1000000 /* what takes longer counts as this long */

struct conn {
    int fd;
    size_t sent, received; /* of the present message */
    double since;
};

static char buffer[1 << 18], *message;
static size_t size;
static unsigned took[SLOWEST_US + 1]; /* how many messages took so many microseconds */
static unsigned long messages;

static void die(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, errno ? strerror(errno) : "failed");
    exit(1);
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static int connect_to(int port)
{
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&name, sizeof name))
        die("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

/* Sends what the socket takes; the rest follows when it is writable again. */
static void push(int epoll, struct conn *conn)
{
    ssize_t count =
        send(conn->fd, message + conn->sent, size - conn->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count < 0 && errno != EAGAIN)
        die("send");
    size_t before = conn->sent;
    conn->sent += count > 0 ? (size_t)count : 0;
    if (conn->sent < size || before) { /* not all at once: the rare case */
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = conn};
        if (conn->sent < size)
            event.events |= EPOLLOUT;
        if (epoll_ctl(epoll, EPOLL_CTL_MOD, conn->fd, &event))
            die("epoll_ctl");
    }
}

static void begin(int epoll, struct conn *conn)
{
    conn->sent = conn->received = 0;
    conn->since = now();
    push(epoll, conn);
}

/* Whether the echo is complete now. */
static int pull(struct conn *conn)
{
    ssize_t count = recv(conn->fd, buffer, sizeof buffer, MSG_DONTWAIT);
    if (count < 0 && errno == EAGAIN)
        return 0;
    errno = count ? errno : ECONNRESET;
    if (count <= 0)
        die("recv");
    conn->received += (size_t)count;
    if (conn->received > conn->sent) {
        errno = EPROTO;
        die("an echo is longer than its message");
    }
    return conn->received == size;
}

static void note(double seconds)
{
    double us = seconds * 1e6;
    took[us < SLOWEST_US ? (int)us : SLOWEST_US]++;
    messages++;
}

static int percentile(double share)
{
    unsigned long passed = 0;
    for (int us = 0; us <= SLOWEST_US; us++) {
        passed += took[us];
        if ((double)passed >= share * (double)messages)
            return us;
    }
    return SLOWEST_US;
}

int main(int argc, char **argv)
{
    if (argc < 5) {
        fprintf(stderr, "usage: %s PORT CONNECTIONS SIZE SECONDS [MESSAGES]\n", argv[0]);
        return 2;
    }
    int count = atoi(argv[2]), open = count;
    size = (size_t)atol(argv[3]);
    unsigned long most = argc > 5 ? strtoul(argv[5], NULL, 10) : ~0UL, begun = 0;
    struct conn *conns = calloc((size_t)count, sizeof *conns);
    message = malloc(size);
    if (count < 1 || size < 1 || !conns || !message)
        die("arguments");
    for (size_t i = 0; i < size; i++)
        message[i] = (char)('a' + i % 26);

    int epoll = epoll_create1(EPOLL_CLOEXEC);
    for (int i = 0; i < count; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &conns[i]};
        conns[i].fd = connect_to(atoi(argv[1]));
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, conns[i].fd, &event))
            die("epoll_ctl");
    }
    double start = now(), end = start + atof(argv[4]), last = start;
    for (int i = 0; i < count; i++, begun++)
        begin(epoll, &conns[i]);
    while (open) {
        struct epoll_event events[256];
        int ready = epoll_wait(epoll, events, 256, PATIENCE_MS);
        errno = ready ? errno : ETIMEDOUT;
        if (ready <= 0)
            die("epoll_wait");
        for (int i = 0; i < ready; i++) {
            struct conn *conn = events[i].data.ptr;
            if (events[i].events & EPOLLOUT && conn->sent < size)
                push(epoll, conn);
            if (!(events[i].events & ~(unsigned)EPOLLOUT) || !pull(conn))
                continue;
            last = now();
            note(last - conn->since);
            if (last < end && begun < most) {
                begun++;
                begin(epoll, conn);
            } else {
                open--;
            }
        }
    }
    printf("{\"messages\": %lu, \"seconds\": %.6f, \"p50_us\": %d, \"p99_us\": %d}\n", messages,
           last - start, percentile(0.50), percentile(0.99));
    return 0;
}
