/* Open loop: requests leave when a Poisson clock says so, whether or not earlier ones have been answered.

       open HOST PORT PATH CONTENT_TYPE FOLDER COUNT RATE SECONDS SEED [PROBE_PATH PROBE_RATE]

   Sends FOLDER/0 … FOLDER/COUNT-1 in turn over kept connections, of which there is always one more when all are busy.
   Every latency counts from the moment a request was due, not from when it could be sent, so that a late generator or
   a full socket hides nothing. A second Poisson clock may probe another path (GET). Prints a line a request:

       due seconds | status (0: no answer) | latency seconds | 1 where it carried Retry-After | p (picture) or l (probe)
       | seconds it was sent late

   HTTP/1.1 answers with Content-Length or of status 204 only; one thread, epoll. */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { MOST_CONNECTIONS = 8192, ANSWER_BYTES = 65536 };
static const double PATIENCE = 30.0; /* seconds after the last request for the rest of the answers */

struct text { char *bytes; size_t length; };
struct connection {
    int socket, busy, used; /* used: has answered before, so the server may have closed it as idle */
    struct text out;          /* what is being sent; not owned */
    size_t sent, got;
    double due, started;
    char kind;
    char *in;
};
struct clock { double rate, next; unsigned short seed[3]; };

static struct connection connections[MOST_CONNECTIONS];
static int opened, idle[MOST_CONNECTIONS], idles, in_flight, poll_fd;
static struct sockaddr_in server;

static void fail(const char *what) { perror(what); exit(1); }

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

static void tick(struct clock *c) { c->next += -log(1.0 - erand48(c->seed)) / c->rate; }

static struct text read_request(const char *folder, int number, const char *path, const char *type) {
    char name[4096], head[4096];
    snprintf(name, sizeof name, "%s/%d", folder, number);
    FILE *file = fopen(name, "rb");
    if (!file) fail(name);
    fseek(file, 0, SEEK_END);
    long size = ftell(file);
    rewind(file);
    int n = snprintf(head, sizeof head,
                     "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: %s\r\nContent-Length: %ld\r\n\r\n", path, type, size);
    struct text whole = {malloc(n + size), n + size};
    memcpy(whole.bytes, head, n);
    if (fread(whole.bytes + n, 1, size, file) != (size_t)size) fail(name);
    fclose(file);
    return whole;
}

static void report(const struct connection *c, int status, int retry_after) {
    printf("%.6f %d %.6f %d %c %.6f\n", c->due, status, now() - c->due, retry_after, c->kind, c->started - c->due);
}

static void connect_to_server(struct connection *c) {
    c->socket = socket(AF_INET, SOCK_STREAM, 0);
    if (c->socket < 0) fail("socket");
    if (connect(c->socket, (struct sockaddr *)&server, sizeof server)) fail("connect");
    int yes = 1;
    setsockopt(c->socket, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    fcntl(c->socket, F_SETFL, O_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = c};
    if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, c->socket, &event)) fail("epoll_ctl");
}

static void finish(struct connection *c, int status, int retry_after, int keep) {
    report(c, status, retry_after);
    c->busy = 0;
    c->used = keep;
    c->got = 0;
    in_flight--;
    if (!keep) {
        close(c->socket);
        connect_to_server(c);
    }
    idle[idles++] = c - connections;
}

static void push(struct connection *c) {
    while (c->busy && c->sent < c->out.length) {
        ssize_t n = send(c->socket, c->out.bytes + c->sent, c->out.length - c->sent, MSG_NOSIGNAL);
        if (n > 0) c->sent += n;
        else if (errno == EAGAIN) return;
        else return; /* the server closed early: its answer, if any, is read next */
    }
}

/* The status once a whole answer is there, 0 before. */
static int whole_answer(struct connection *c) {
    c->in[c->got] = 0;
    char *end = strstr(c->in, "\r\n\r\n");
    if (!end) return 0;
    int status = atoi(c->in + 9);
    char *length = strcasestr(c->in, "\r\ncontent-length:");
    size_t body = length && length < end ? strtoul(length + 17, NULL, 10) : 0;
    return c->got >= (size_t)(end + 4 - c->in) + body ? status : 0;
}

/* The server hung up: on an idle connection that is its right, and a request that just met that is sent once more. */
static void reopen(struct connection *c) {
    if (c->busy && !(c->used && !c->got)) {
        finish(c, 0, 0, 0);
        return;
    }
    close(c->socket);
    connect_to_server(c);
    c->used = 0;
    c->sent = 0;
    push(c);
}

static void pull(struct connection *c) {
    for (;;) {
        ssize_t n = recv(c->socket, c->in + c->got, ANSWER_BYTES - 1 - c->got, 0);
        if (n < 0 && errno == EAGAIN) return;
        if (n <= 0) {
            reopen(c);
            return;
        }
        c->got += n;
        int status = whole_answer(c);
        if (!status) continue;
        if (c->busy)
            finish(c, status, strcasestr(c->in, "\r\nretry-after:") != NULL,
                   c->sent == c->out.length && !strcasestr(c->in, "\r\nconnection: close"));
        return;
    }
}

static void begin(struct text request, double due, char kind) {
    if (!idles) {
        if (opened == MOST_CONNECTIONS) { fprintf(stderr, "more connections than %d\n", MOST_CONNECTIONS); exit(1); }
        connections[opened].in = malloc(ANSWER_BYTES);
        connect_to_server(&connections[opened]);
        idle[idles++] = opened++;
    }
    struct connection *c = &connections[idle[--idles]];
    *c = (struct connection){.socket = c->socket, .busy = 1, .used = c->used, .out = request, .due = due, .started = now(), .kind = kind, .in = c->in};
    in_flight++;
    push(c);
}

static void wait_until(int timer, double when) {
    struct itimerspec at = {.it_value = {(time_t)when, (long)((when - (time_t)when) * 1e9)}};
    timerfd_settime(timer, TFD_TIMER_ABSTIME, &at, NULL);
    struct epoll_event events[256];
    int n = epoll_wait(poll_fd, events, 256, 1000);
    for (int i = 0; i < n; i++) {
        struct connection *c = events[i].data.ptr;
        if (!c) continue; /* the timer */
        push(c);
        pull(c);
    }
}

int main(int argc, char **argv) {
    if (argc != 10 && argc != 12) { fprintf(stderr, "see the head of open.c\n"); return 2; }
    server = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(atoi(argv[2]))};
    inet_pton(AF_INET, argv[1], &server.sin_addr);
    int count = atoi(argv[6]), number = 0, seed = atoi(argv[9]);
    double seconds = atof(argv[8]), begun;
    struct text *requests = malloc(count * sizeof *requests), probe = {NULL, 0};
    for (int i = 0; i < count; i++) requests[i] = read_request(argv[5], i, argv[3], argv[4]);
    if (argc == 12) probe.length = asprintf(&probe.bytes, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", argv[10]);
    poll_fd = epoll_create1(0);
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.ptr = NULL};
    epoll_ctl(poll_fd, EPOLL_CTL_ADD, timer, &event);

    begun = now();
    struct clock pictures = {atof(argv[7]), begun, {seed, 1, 1}}, probes = {argc == 12 ? atof(argv[11]) : 1, begun, {seed, 2, 2}};
    double end = begun + seconds;
    tick(&pictures);
    tick(&probes);
    if (!probe.bytes) probes.next = INFINITY;
    while (now() < end || (in_flight && now() < end + PATIENCE)) {
        while (pictures.next <= now() && pictures.next < end) {
            begin(requests[number++ % count], pictures.next, 'p');
            tick(&pictures);
        }
        while (probes.next <= now() && probes.next < end) {
            begin(probe, probes.next, 'l');
            tick(&probes);
        }
        double next = fmin(pictures.next, probes.next);
        wait_until(timer, next < end ? next : now() + 0.05);
    }
    for (int i = 0; i < opened; i++)
        if (connections[i].busy) report(&connections[i], 0, 0);
    return 0;
}
