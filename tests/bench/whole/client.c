/* The load: connections that each write a request, wait for its answer, and write the next one.
 *
 *     cc -O2 -o client client.c && ./client PORT CONNECTIONS SECONDS REQUEST [OPTION VALUE]...
 *
 * REQUEST is a file with the bytes of one write; a NUL in it stands for a number that is new in
 * every write.  Options: depth (answers to a write: pipelining), status (expected, 200), rate
 * (writes per second, at fixed times: latencies count from when one was due), idle (further
 * connections, which ask once before), close (1: a new connection for every write).
 *
 * It connects, says "ready", waits for a line, and asks for SECONDS; what is under way then is
 * waited for, so that all that the server has worked on is counted.  Prints one line of JSON, and
 * ends when its input does.  Gives up after a minute, whatever happens.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { HEAD_BYTES = 16384, PATIENCE_MS = 3000, GIVE_UP_SECONDS = 60, STEPS = 64, PARTS = 16 };
enum state { HEAD, BODY, CHUNK_SIZE, CHUNK, TRAILER, UNTIL_END };

struct conn {
    int fd, due, missing; /* it waits to write; answers to the present write */
    enum state state;
    size_t held, left; /* bytes of a partial head or line; bytes of the body still to come */
    double since;
    char part[HEAD_BYTES];
};

static int port, depth = 1, status = 200, idle_count, closing, part_count;
static double rate;
static char input[1 << 18], *parts[PARTS], out[1 << 17];
static size_t part_bytes; /* of the first one */
static unsigned long answers, errors, closed, bytes, number, latencies[64 * STEPS], measured;
static struct conn **waiting; /* with a rate: those that have nothing to do */
static int waiting_count, epoll;

static void die(const char *what)
{
    fprintf(stderr, "client: %s: %s\n", what, errno ? strerror(errno) : "failed");
    exit(1);
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* Counters of nanoseconds: STEPS of them for each power of two. */

static int slot_of(double seconds)
{
    unsigned long ns = seconds > 0 ? (unsigned long)(seconds * 1e9) : 0;
    if (ns < STEPS)
        return (int)ns;
    int power = 63 - __builtin_clzl(ns);
    return (power - 5) * STEPS + (int)((ns >> (power - 6)) & (STEPS - 1));
}

static double percentile_us(double share)
{
    unsigned long passed = 0;
    for (int slot = 0; slot < 64 * STEPS; slot++) {
        passed += latencies[slot];
        if (measured && (double)passed >= share * (double)measured) {
            if (slot < STEPS)
                return slot / 1e3;
            return (double)((unsigned long)(STEPS + slot % STEPS) << (slot / STEPS - 1)) / 1e3;
        }
    }
    return 0;
}

static void connect_to(struct conn *conn)
{
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int on = 1;
    conn->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (conn->fd < 0 || connect(conn->fd, (struct sockaddr *)&name, sizeof name))
        die("connect");
    setsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    conn->state = HEAD;
    conn->held = conn->left = 0;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = conn};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, conn->fd, &event))
        die("epoll_ctl");
}

/* The file, cut where a number goes. */
static void read_request(const char *path)
{
    static char file[1 << 16];
    FILE *stream = fopen(path, "rb");
    size_t size = stream ? fread(file, 1, sizeof file, stream) : 0;
    if (!size || size == sizeof file)
        die(path);
    fclose(stream);
    char *end = file + size, *from = file;
    while (part_count < PARTS) {
        char *cut = memchr(from, 0, (size_t)(end - from));
        parts[part_count++] = from;
        if (!cut)
            break;
        from = cut + 1;
    }
    if (part_count == PARTS)
        die("too many numbers in the request");
    part_bytes = part_count > 1 ? strlen(parts[0]) : size;
}

static void ask(struct conn *conn, double since)
{
    size_t size = part_bytes;
    const char *from = parts[0];
    number++;
    if (part_count > 1) {
        from = strcpy(out, parts[0]);
        for (int i = 1; i < part_count; i++)
            size += (size_t)sprintf(out + size, "%lu%s", number, parts[i]);
    }
    conn->missing = depth;
    conn->since = since;
    if (send(conn->fd, from, size, MSG_NOSIGNAL) != (ssize_t)size) {
        errors++;
        conn->missing = 0;
    }
}

static void let_go(struct conn *conn)
{
    close(conn->fd);
    conn->fd = -1;
    conn->held = 0;
    conn->state = HEAD;
}

/* It writes as soon as it can: a round more, like wrk.  A client that writes at once is so fast that
 * it sleeps until each answer and has to be woken, which a server pays for: a fifth of a request.
 */
static void turn(struct conn *conn, int due)
{
    struct epoll_event event = {.events = EPOLLIN | (due ? EPOLLOUT : 0), .data.ptr = conn};
    conn->due = due;
    if (epoll_ctl(epoll, EPOLL_CTL_MOD, conn->fd, &event))
        die("epoll_ctl");
}

/* What follows a head: its status is compared, and the length of its body found. */
static void read_head(struct conn *conn, const char *head, size_t size)
{
    char text[HEAD_BYTES + 1];
    memcpy(text, head, size);
    text[size] = 0;
    if (size < 12 || strncmp(text, "HTTP/1.", 7) || atoi(text + 9) != status)
        errors++;
    int found = size < 12 ? 0 : atoi(text + 9);
    char *length = strcasestr(text, "\r\nContent-Length:");
    conn->left = length ? strtoul(length + 17, NULL, 10) : 0;
    conn->state = BODY;
    if (found == 304 || found == 204 || found / 100 == 1) {
        conn->left = 0;
    } else if (!length) {
        int chunked = strcasestr(text, "\r\nTransfer-Encoding: chunked") != NULL;
        conn->state = chunked ? CHUNK_SIZE : UNTIL_END;
    }
}

/* A head or a line: up to `end`, kept until it is complete.  Returns how much was taken. */
static size_t take(struct conn *conn, const char *data, size_t size, const char *end, int *whole)
{
    size_t mark = strlen(end), before = conn->held;
    size_t fits = size < HEAD_BYTES - before ? size : HEAD_BYTES - before;
    memcpy(conn->part + before, data, fits);
    char *found = memmem(conn->part, before + fits, end, mark);
    *whole = found != NULL;
    if (!found && before + fits == HEAD_BYTES)
        die("a head or line is too long");
    conn->held = found ? (size_t)(found - conn->part) + mark : before + fits;
    return conn->held - before;
}

/* A head or a line is complete: what it says of what follows. */
static void read_line(struct conn *conn)
{
    if (conn->state == HEAD) {
        read_head(conn, conn->part, conn->held);
    } else if (conn->state == CHUNK_SIZE) {
        size_t length = strtoul(conn->part, NULL, 16);
        conn->left = length + 2;
        conn->state = length ? CHUNK : TRAILER;
    } else if (conn->held == 2) {
        conn->state = BODY; /* the trailers end with an empty line, and so does the answer */
        conn->left = 0;
    }
    conn->held = 0;
}

/* What was read goes through the states; an answer that ends is counted. */
static void consume(struct conn *conn, const char *data, size_t size)
{
    int whole;
    while (size) {
        if (conn->state != BODY && conn->state != CHUNK && conn->state != UNTIL_END) {
            const char *end = conn->state == HEAD ? "\r\n\r\n" : "\r\n";
            size_t taken = take(conn, data, size, end, &whole);
            data += taken;
            size -= taken;
            if (!whole)
                return;
            read_line(conn);
        }
        if (conn->state == BODY || conn->state == CHUNK) {
            size_t part = size < conn->left ? size : conn->left;
            data += part;
            size -= part;
            conn->left -= part;
            if (conn->left)
                return;
            if (conn->state == CHUNK) {
                conn->state = CHUNK_SIZE;
            } else {
                conn->state = HEAD;
                conn->missing--;
                answers++;
            }
        } else if (conn->state == UNTIL_END) {
            return;
        }
    }
}

/* Reads; says whether the write is answered (1) or not yet (0). */
static int pull(struct conn *conn)
{
    ssize_t count = recv(conn->fd, input, sizeof input, MSG_DONTWAIT);
    if (count < 0 && errno == EAGAIN)
        return 0;
    if (count > 0) {
        bytes += (unsigned long)count;
        consume(conn, input, (size_t)count);
        return !conn->missing && !closing;
    }
    if (conn->state == UNTIL_END && !count) {
        conn->missing--;
        answers++;
    }
    closed++;
    let_go(conn);
    if (conn->missing > 0)
        errors++;
    return 1;
}

static int next(struct conn *conn, double time, double end)
{
    if (!rate && time < end) {
        if (conn->fd < 0)
            connect_to(conn);
        turn(conn, 1);
        return 1;
    }
    if (rate)
        waiting[waiting_count++] = conn;
    return 0;
}

static void run(struct conn *conns, int count, double seconds)
{
    double start = now(), end = start + seconds, time = start;
    unsigned long sent = 0;
    int open = 0;
    for (int i = 0; i < count; i++)
        open += next(&conns[i], start, end);
    while (open || (rate && time < end)) {
        while (rate && waiting_count && time < end && start + (double)sent / rate <= time) {
            ask(waiting[--waiting_count], start + (double)sent++ / rate);
            open++;
        }
        struct epoll_event events[256];
        int polling = rate && time < end;
        int ready = epoll_wait(epoll, events, 256, polling ? 0 : PATIENCE_MS);
        errno = ready ? errno : ETIMEDOUT;
        if (ready < 0 || (!ready && !polling))
            die("waiting for answers");
        time = now();
        for (int i = 0; i < ready; i++) {
            struct conn *conn = events[i].data.ptr;
            if (conn->due && events[i].events & EPOLLOUT) {
                ask(conn, now());
                turn(conn, 0);
                continue;
            }
            if (!pull(conn) || conn->since == 0)
                continue;
            time = now();
            latencies[slot_of(time - conn->since)]++;
            measured++;
            open--;
            conn->since = 0;
            open += next(conn, time, end);
        }
    }
    printf("{\"answers\": %lu, \"seconds\": %.6f, \"errors\": %lu, \"closed\": %lu, "
           "\"bytes\": %lu, \"p50_us\": %.1f, \"p90_us\": %.1f, \"p99_us\": %.1f",
           answers, now() - start, errors, closed, bytes, percentile_us(0.5), percentile_us(0.9),
           percentile_us(0.99));
}

/* Connections that were answered once, and then stay. */
static struct conn **hold(int count)
{
    struct conn **idle = calloc((size_t)count + 1, sizeof *idle);
    for (int i = 0; i < count; i++) {
        struct epoll_event event;
        idle[i] = calloc(1, sizeof **idle);
        connect_to(idle[i]);
        ask(idle[i], 0);
        while (idle[i]->missing) {
            if (epoll_wait(epoll, &event, 1, PATIENCE_MS) != 1)
                die("an idle connection was not answered");
            if (pull(event.data.ptr) && idle[i]->fd < 0)
                die("an idle connection was closed");
        }
        epoll_ctl(epoll, EPOLL_CTL_DEL, idle[i]->fd, NULL);
    }
    answers = errors = closed = bytes = 0;
    return idle;
}

static int still_open(struct conn **idle, int count)
{
    int open = 0;
    for (int i = 0; i < count; i++)
        open += recv(idle[i]->fd, input, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN;
    return open;
}

static void read_option(const char *name, double value)
{
    if (!strcmp(name, "depth"))
        depth = (int)value;
    else if (!strcmp(name, "status"))
        status = (int)value;
    else if (!strcmp(name, "idle"))
        idle_count = (int)value;
    else if (!strcmp(name, "close"))
        closing = (int)value;
    else if (!strcmp(name, "rate"))
        rate = value;
    else
        die(name);
}

int main(int argc, char **argv)
{
    if (argc < 5) {
        fprintf(stderr, "usage: %s PORT CONNECTIONS SECONDS REQUEST [OPTION VALUE]...\n", argv[0]);
        return 2;
    }
    int count = atoi(argv[2]);
    port = atoi(argv[1]);
    for (int i = 5; i + 1 < argc; i += 2)
        read_option(argv[i], atof(argv[i + 1]));
    alarm(GIVE_UP_SECONDS);
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    read_request(argv[4]);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    struct conn **idle = hold(idle_count);
    struct conn *conns = calloc((size_t)count, sizeof *conns);
    waiting = calloc((size_t)count, sizeof *waiting);
    for (int i = 0; i < count; i++)
        connect_to(&conns[i]);
    printf("ready\n");
    fflush(stdout);
    if (getchar() == EOF)
        return 1;
    run(conns, count, atof(argv[3]));
    printf(", \"idle\": %d}\n", still_open(idle, idle_count));
    fflush(stdout);
    while (getchar() != EOF)
        ;
    return 0;
}
