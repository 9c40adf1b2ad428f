/* The load of the speed benchmark: N connections, exactly one request outstanding on each.
 *
 * Speaks the Postfix policy protocol as Postfix 3.7 does at RCPT (29 attributes, in its order), or,
 * with --http, asks rspamd's normal worker over HTTP. Closed loop by default: the next request
 * leaves when the answer is there. With --rate it is an open loop: every request has a time at which
 * it is due, and its latency counts from that time, so a stall of the server is seen by all requests
 * that fell due meanwhile (no coordinated omission).
 *
 * Latencies go into a histogram of log buckets with 128 steps per power of two: at most 0.8 % off.
 * Prints one JSON object. Single thread; only what arrives between warm-up and end is counted.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { REQUEST_ROOM = 8192, REPLY_ROOM = 65536, BATCH = 256, MAX_PIDS = 16, MAX_ACTIONS = 16 };
enum { STEPS = 128, STEP_BITS = 7, BUCKETS = 64 * STEPS };

/* ---- options ---------------------------------------------------------------------------------- */

static struct {
    const char *host, *unix_path, *expect;
    int port, connections, rcpts, novel;
    long senders, recipients, book, requests;
    double seconds, warmup, rate;
    int pids[MAX_PIDS], pid_count;
    bool tree, http, eom, sequential;
} opt = {.host = "127.0.0.1", .connections = 50, .rcpts = 1, .senders = 10000, .recipients = 100000,
         .book = 10, .novel = 60, .seconds = 3, .warmup = 1};

static void fail(const char *form, ...)
{
    va_list args;

    va_start(args, form);
    vfprintf(stderr, form, args);
    va_end(args);
    fputc('\n', stderr);
    exit(1);
}

static const char USAGE[] =
    "usage: load --port PORT | --unix PATH [options]\n"
    "  --host ADDRESS      IPv4 address (127.0.0.1)\n"
    "  --connections N     connections, one request outstanding on each (50)\n"
    "  --senders N         distinct SASL user names (10000), drawn at random\n"
    "  --sequential        walk through the senders in order instead\n"
    "  --book N            recipients to whom a sender writes again and again (10)\n"
    "  --novel N           of 1000 recipients, those drawn from all instead (60)\n"
    "  --recipients N      distinct addresses among these (100000)\n"
    "  --rcpts K           recipients of each message: K requests share an instance (1)\n"
    "  --eom               end each message with an END-OF-MESSAGE request\n"
    "  --seconds S         measured time (3)     --warmup S   time before it (1)\n"
    "  --requests N        end after N measured answers, or after --seconds\n"
    "  --rate R            open loop: R requests/s in all; latency counts from the due time\n"
    "  --pid PID           report the CPU time of this process; may be repeated\n"
    "  --tree              ... and of all its descendants, those that ended included\n"
    "  --expect PREFIX     report how many answers do not begin with PREFIX\n"
    "  --http              rspamd: POST /checkv2, keep-alive\n";

static void read_options(int argc, char **argv)
{
    static const struct option names[] = {
        {"host", 1, 0, 'h'}, {"port", 1, 0, 'p'}, {"unix", 1, 0, 'u'}, {"connections", 1, 0, 'c'},
        {"senders", 1, 0, 's'}, {"recipients", 1, 0, 'R'}, {"book", 1, 0, 'b'}, {"novel", 1, 0, 'N'},
        {"rcpts", 1, 0, 'k'}, {"eom", 0, 0, 'e'},
        {"seconds", 1, 0, 't'}, {"warmup", 1, 0, 'w'}, {"requests", 1, 0, 'n'}, {"rate", 1, 0, 'r'},
        {"pid", 1, 0, 'P'}, {"tree", 0, 0, 'T'}, {"expect", 1, 0, 'x'}, {"http", 0, 0, 'H'},
        {"sequential", 0, 0, 'q'}, {0, 0, 0, 0}};
    int key;

    while ((key = getopt_long(argc, argv, "", names, NULL)) != -1)
        switch (key) {
        case 'h': opt.host = optarg; break;
        case 'p': opt.port = atoi(optarg); break;
        case 'u': opt.unix_path = optarg; break;
        case 'c': opt.connections = atoi(optarg); break;
        case 's': opt.senders = atol(optarg); break;
        case 'R': opt.recipients = atol(optarg); break;
        case 'b': opt.book = atol(optarg); break;
        case 'N': opt.novel = atoi(optarg); break;
        case 'k': opt.rcpts = atoi(optarg); break;
        case 'e': opt.eom = true; break;
        case 't': opt.seconds = atof(optarg); break;
        case 'w': opt.warmup = atof(optarg); break;
        case 'n': opt.requests = atol(optarg); break;
        case 'r': opt.rate = atof(optarg); break;
        case 'P': if (opt.pid_count < MAX_PIDS) opt.pids[opt.pid_count++] = atoi(optarg); break;
        case 'T': opt.tree = true; break;
        case 'x': opt.expect = optarg; break;
        case 'H': opt.http = true; break;
        case 'q': opt.sequential = true; break;
        default: fail("%s", USAGE);
        }
    if ((!opt.port && !opt.unix_path) || opt.connections < 1 || opt.senders < 1 || opt.recipients < 1 || opt.book < 1
        || opt.rcpts < 1 || opt.seconds <= 0 || optind != argc)
        fail("%s", USAGE);
    if (opt.http && opt.rcpts != 1)
        fail("--http takes one recipient a message");
}

/* ---- time, chance, latencies ------------------------------------------------------------------ */

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t) t.tv_sec * 1000000000u + (uint64_t) t.tv_nsec;
}

static uint64_t chance(uint64_t below)
{
    static uint64_t x = 88172645463325252u; /* xorshift64; always the same sequence */

    x ^= x << 13, x ^= x >> 7, x ^= x << 17;
    return x % below;
}

static struct {
    uint64_t count[BUCKETS], total, max;
} latency;

static int bucket_of(uint64_t ns)
{
    int top = ns < STEPS ? 0 : 63 - __builtin_clzll(ns) - STEP_BITS;

    return top * STEPS + (int) (ns >> top);
}

static void record(uint64_t ns)
{
    int at = bucket_of(ns);

    latency.count[at < BUCKETS ? at : BUCKETS - 1]++;
    latency.total++;
    if (ns > latency.max)
        latency.max = ns;
}

/* The value that a share of the latencies does not exceed, in microseconds (upper edge of its bucket). */
static double quantile(double share)
{
    uint64_t wanted = (uint64_t) (share * (double) latency.total + 0.999999), seen = 0;

    for (int i = 0; i < BUCKETS && latency.total; i++)
        if (latency.count[i] && (seen += latency.count[i]) >= wanted) {
            int top = i < 2 * STEPS ? 0 : i / STEPS - 1;
            uint64_t edge = ((uint64_t) (i - top * STEPS) + 1) << top;
            return (double) (edge < latency.max ? edge : latency.max) / 1000.0;
        }
    return 0;
}

/* ---- CPU time of the server, from /proc -------------------------------------------------------- */

static double own_cpu_seconds(void)
{
    struct rusage used;

    getrusage(RUSAGE_SELF, &used);
    return (double) (used.ru_utime.tv_sec + used.ru_stime.tv_sec)
        + (double) (used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

struct process { int pid, parent; uint64_t own, ended; bool counted; };

static bool read_process(int pid, struct process *it)
{
    char path[64], text[1024];
    unsigned long user, kernel;
    long ended_user, ended_kernel;

    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *file = fopen(path, "r");
    if (!file)
        return false;
    size_t size = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[size] = 0;
    char *after = strrchr(text, ')'); /* the name in parentheses may contain anything */
    it->pid = pid, it->counted = false;
    if (!after || sscanf(after + 1, " %*c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %ld %ld",
                         &it->parent, &user, &kernel, &ended_user, &ended_kernel) != 5)
        return false;
    it->own = user + kernel, it->ended = (uint64_t) (ended_user + ended_kernel);
    return true;
}

static bool is_root(int pid)
{
    for (int i = 0; i < opt.pid_count; i++)
        if (opt.pids[i] == pid)
            return true;
    return false;
}

static int read_all(struct process *all, int room)
{
    DIR *folder = opendir("/proc");
    struct dirent *entry;
    int count = 0;

    while (folder && (entry = readdir(folder)) && count < room)
        if (isdigit((unsigned char) entry->d_name[0]) && read_process(atoi(entry->d_name), &all[count]))
            count++;
    if (folder)
        closedir(folder);
    return count;
}

static bool has_counted_parent(const struct process *all, int count, int parent)
{
    for (int i = 0; i < count; i++)
        if (all[i].pid == parent)
            return all[i].counted;
    return false;
}

/* Clock ticks used so far by the processes asked for. */
static uint64_t cpu_ticks(void)
{
    static struct process all[8192];
    uint64_t sum = 0;
    int count = opt.pid_count ? read_all(all, 8192) : 0;

    for (bool more = true; more;) {
        more = false;
        for (int i = 0; i < count; i++)
            if (!all[i].counted
                && (is_root(all[i].pid) || (opt.tree && has_counted_parent(all, count, all[i].parent)))) {
                all[i].counted = more = true;
                sum += all[i].own + (opt.tree ? all[i].ended : 0);
            }
    }
    return sum;
}

/* ---- requests --------------------------------------------------------------------------------- */

struct connection {
    int fd, length, got, rcpt;
    bool busy;
    unsigned message;      /* number of the message on this connection */
    long sender;
    uint64_t since, slot;  /* when the request was sent or due; the next open-loop slot */
    char instance[64], queue_id[32], recipient[64], request[REQUEST_ROOM], reply[REPLY_ROOM];
};

static struct connection *connections;
static int sender_width, own_pid;
static const char LOWER[] = "0123456789abcdef", UPPER[] = "0123456789ABCDEF";

static char *put(char *to, const char *text) { return stpcpy(to, text); }

static char *put_number(char *to, uint64_t value, int width)
{
    char digits[24];
    int n = 0;

    do
        digits[n++] = (char) ('0' + value % 10), value /= 10;
    while (value || n < width);
    while (n)
        *to++ = digits[--n];
    *to = 0;
    return to;
}

static char *put_hex(char *to, uint64_t value, int width, const char *digits)
{
    int n = width;

    while (n < 16 && value >> (4 * n))
        n++;
    while (n--)
        *to++ = digits[value >> (4 * n) & 15];
    *to = 0;
    return to;
}

static char *put_login(char *to, long sender)
{
    to = put_number(put(to, "user"), (uint64_t) sender + 1, sender_width);
    return put(to, "@example.com");
}

static char *put_address(char *to, long sender) /* a /24 for each: many senders from one are a campaign */
{
    to = put_number(put(to, "10."), (uint64_t) (sender >> 8 & 255), 1);
    to = put_number(put(to, "."), (uint64_t) (sender & 255), 1);
    return put(to, ".9");
}

static char *put_client(char *to, long sender)
{
    return put(put_number(put(to, "client-"), (uint64_t) (sender & 0x1ffff), 1), ".dyn.example.org");
}

static void new_recipient(struct connection *c)
{
    bool novel = chance(1000) < (uint64_t) opt.novel;
    uint64_t n = novel ? chance((uint64_t) opt.recipients)
                       : (uint64_t) (c->sender * opt.book) + chance((uint64_t) opt.book);
    char *to = put(put_number(put(c->recipient, novel ? "rcpt" : "friend"), n, 1), "@mx");

    put(put_number(to, n % 1000, 1), ".example.net");
}

static void new_message(struct connection *c)
{
    static long next_sender;
    struct timespec t;
    int at = (int) (c - connections);

    clock_gettime(CLOCK_REALTIME, &t);
    c->sender = opt.sequential ? next_sender++ % opt.senders : (long) chance((uint64_t) opt.senders);
    c->message++;
    uint64_t parts[] = {(uint64_t) t.tv_sec, (uint64_t) t.tv_nsec / 1000, c->message};
    char *to = put_hex(c->instance, (uint64_t) (own_pid + at), 1, LOWER);
    for (int i = 0; i < 3; i++)
        to = put_hex(put(to, "."), parts[i], 1, LOWER);
    to = put_hex(put(c->queue_id, "4"), parts[1], 5, UPPER); /* the form of a short queue id */
    put_hex(put_hex(to, (uint64_t) at & 0xff, 2, UPPER), c->message & 0xfff, 3, UPPER);
}

/* One policy request as Postfix sends it. Until the first recipient is accepted there is no queue id. */
static char *policy_request(struct connection *c, char *to, bool end)
{
    to = put(put(to, "request=smtpd_access_policy\nprotocol_state="), end ? "END-OF-MESSAGE" : "RCPT");
    to = put_address(put(to, "\nprotocol_name=ESMTP\nclient_address="), c->sender);
    to = put_client(put(to, "\nclient_name="), c->sender);
    to = put_number(put(to, "\nclient_port="), 32768 + (uint64_t) (c->sender & 0x3fff), 1);
    to = put_client(put(to, "\nreverse_client_name="), c->sender);
    to = put(to, "\nserver_address=192.0.2.25\nserver_port=587\nhelo_name=[");
    to = put_login(put(put_address(to, c->sender), "]\nsender="), c->sender);
    to = put(put(to, "\nrecipient="), end && opt.rcpts > 1 ? "" : c->recipient);
    to = put_number(put(to, "\nrecipient_count="), end ? (uint64_t) opt.rcpts : 0, 1);
    to = put(put(to, "\nqueue_id="), end || c->rcpt > 0 ? c->queue_id : "");
    to = put(put(to, "\ninstance="), c->instance);
    to = put_number(put(to, "\nsize="), 2000 + (uint64_t) (c->sender & 4095), 1);
    to = put_login(put(to, "\netrn_domain=\nstress=\nsasl_method=PLAIN\nsasl_username="), c->sender);
    return put(to, "\nsasl_sender=\nccert_subject=\nccert_issuer=\nccert_fingerprint=\n"
                   "ccert_pubkey_fingerprint=\nencryption_protocol=TLSv1.3\n"
                   "encryption_cipher=TLS_AES_256_GCM_SHA384\nencryption_keysize=256\n"
                   "policy_context=\n\n");
}

static char *http_request(struct connection *c, char *to)
{
    char body[1024], *end = put_login(put(body, "From: "), c->sender);

    end = put(put(put(end, "\r\nTo: "), c->recipient), "\r\nSubject: hello\r\nMessage-ID: <");
    end = put(put(end, c->instance), "@example.com>\r\nMIME-Version: 1.0\r\n\r\nHello.\r\n");
    to = put_login(put(to, "POST /checkv2 HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive\r\nFrom: "),
                   c->sender);
    to = put(put(to, "\r\nRcpt: "), c->recipient);
    to = put_login(put(to, "\r\nUser: "), c->sender);
    to = put_address(put(to, "\r\nIP: "), c->sender);
    to = put(put(to, "\r\nQueue-Id: "), c->queue_id);
    to = put_number(put(to, "\r\nContent-Length: "), (uint64_t) (end - body), 1);
    return put(put(to, "\r\n\r\n"), body);
}

/* Makes the next request of this connection's conversation ready to send. */
static void prepare(struct connection *c)
{
    int last = opt.rcpts - 1 + (opt.eom && !opt.http);

    c->rcpt = c->message && c->rcpt < last ? c->rcpt + 1 : 0;
    if (c->rcpt == 0)
        new_message(c);
    bool end = c->rcpt >= opt.rcpts;
    if (!end)
        new_recipient(c);
    char *to = opt.http ? http_request(c, c->request) : policy_request(c, c->request, end);
    c->length = (int) (to - c->request);
}

/* ---- answers ---------------------------------------------------------------------------------- */

static struct { char name[48]; uint64_t count; } actions[MAX_ACTIONS + 1];
static uint64_t unexpected, reconnects;

static void count_action(const char *text, const char *stops)
{
    size_t size = strcspn(text, stops);
    int i = 0;

    size = size < sizeof actions[0].name ? size : sizeof actions[0].name - 1;
    if (opt.expect && strncasecmp(text, opt.expect, strlen(opt.expect)))
        unexpected++;
    while (i < MAX_ACTIONS && actions[i].count
           && (strncasecmp(actions[i].name, text, size) || actions[i].name[size]))
        i++;
    if (!actions[i].count++)
        memcpy(actions[i].name, i < MAX_ACTIONS ? text : "other", i < MAX_ACTIONS ? size : 5);
}

/* The action of a complete answer, or NULL while it is incomplete. */
static const char *policy_action(struct connection *c)
{
    if (c->got < 2 || c->reply[c->got - 1] != '\n' || c->reply[c->got - 2] != '\n')
        return NULL;
    return strncmp(c->reply, "action=", 7) ? "malformed" : c->reply + 7;
}

static const char *http_action(struct connection *c, bool *closing)
{
    char *body = strstr(c->reply, "\r\n\r\n"), *length = strcasestr(c->reply, "\ncontent-length:");

    if (!body || !length || length > body || c->got < body + 4 - c->reply + atol(length + 16))
        return NULL;
    char *ending = strcasestr(c->reply, "\nconnection: close");
    *closing = ending && ending < body;
    char *action = strstr(body, "\"action\":\"");
    return action ? action + 10 : "malformed";
}

/* ---- connections ------------------------------------------------------------------------------ */

static int queue;
static uint64_t started, measure_from, end_at;

static int dial(void)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons((unsigned short) opt.port)};
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    int one = 1, fd = socket(opt.unix_path ? AF_UNIX : AF_INET, SOCK_STREAM, 0), result;

    if (opt.unix_path) {
        snprintf(un.sun_path, sizeof un.sun_path, "%s", opt.unix_path);
        result = connect(fd, (struct sockaddr *) &un, sizeof un);
    } else {
        if (inet_pton(AF_INET, opt.host, &in.sin_addr) != 1)
            fail("--host wants an IPv4 address");
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        result = connect(fd, (struct sockaddr *) &in, sizeof in);
    }
    if (fd < 0 || result < 0)
        fail("cannot connect: %s", strerror(errno));
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

static void attach(struct connection *c)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};

    c->fd = dial();
    if (epoll_ctl(queue, EPOLL_CTL_ADD, c->fd, &event) < 0)
        fail("epoll_ctl: %s", strerror(errno));
}

static void transmit(struct connection *c)
{
    /* A request is far smaller than a socket's buffer, which is empty: nothing else is outstanding. */
    ssize_t sent = send(c->fd, c->request, (size_t) c->length, MSG_NOSIGNAL);

    if (sent >= 0 && sent != c->length)
        fail("a request was sent only in part");
    c->got = 0;
}

static void again(struct connection *c)
{
    close(c->fd);
    attach(c);
    reconnects++;
}

static uint64_t due(uint64_t slot) { return started + (uint64_t) ((double) slot * 1e9 / opt.rate); }

/* Sends the request that was prepared, if it may leave now. */
static void next_request(struct connection *c, uint64_t now)
{
    c->busy = false;
    if (opt.rate > 0) {
        if (due(c->slot) > now)
            return;
        now = due(c->slot);
        c->slot += (uint64_t) opt.connections;
    }
    c->busy = true;
    c->since = now;
    transmit(c);
}

static void receive(struct connection *c)
{
    bool closing = false;
    ssize_t size = recv(c->fd, c->reply + c->got, (size_t) (REPLY_ROOM - 1 - c->got), 0);

    if (size < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (size <= 0) { /* the server hung up: dial again and repeat what was not answered */
        again(c);
        if (c->busy)
            transmit(c);
        return;
    }
    c->got += (int) size;
    c->reply[c->got] = 0;
    const char *action = opt.http ? http_action(c, &closing) : policy_action(c);
    if (!action)
        return;
    uint64_t now = now_ns();
    if (now >= measure_from && now <= end_at) {
        record(now - c->since);
        count_action(action, opt.http ? "\"" : " \n");
    }
    if (closing)
        again(c);
    prepare(c);
    next_request(c, now);
}

/* ---- the run ---------------------------------------------------------------------------------- */

static int timer = -1;
static uint64_t cursor;

/* Open loop: sends what has fallen due on idle connections, sets the timer for the next slot. */
static void send_due(void)
{
    uint64_t now = now_ns();

    for (; due(cursor) <= now; cursor++) {
        struct connection *c = &connections[cursor % (uint64_t) opt.connections];
        if (!c->busy)
            next_request(c, now);
    }
    uint64_t then = due(cursor);
    struct itimerspec at = {.it_value = {(time_t) (then / 1000000000u), (long) (then % 1000000000u)}};
    timerfd_settime(timer, TFD_TIMER_ABSTIME, &at, NULL);
}

static void begin(void)
{
    struct epoll_event tick = {.events = EPOLLIN | EPOLLET, .data.ptr = NULL};

    queue = epoll_create1(0);
    for (int i = 0; i < opt.connections; i++) {
        connections[i].slot = (uint64_t) i;
        attach(&connections[i]);
        prepare(&connections[i]);
    }
    if (opt.rate > 0) {
        prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
        timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
        epoll_ctl(queue, EPOLL_CTL_ADD, timer, &tick);
    }
    started = now_ns();
    measure_from = started + (uint64_t) (opt.warmup * 1e9);
    end_at = measure_from + (uint64_t) (opt.seconds * 1e9);
    for (int i = 0; i < opt.connections && opt.rate <= 0; i++)
        next_request(&connections[i], now_ns());
    if (opt.rate > 0)
        send_due();
}

static void run_until(uint64_t moment)
{
    struct epoll_event events[BATCH];

    for (uint64_t now; (now = now_ns()) < moment;) {
        int wait = (int) ((moment - now) / 1000000) + 1;
        int ready = epoll_wait(queue, events, BATCH, wait);
        for (int i = 0; i < ready; i++)
            if (events[i].data.ptr)
                receive(events[i].data.ptr);
        if (opt.rate > 0)
            send_due();
        if (opt.requests && latency.total >= (uint64_t) opt.requests)
            return;
    }
}

/* Requests without an answer at the end count with the time they have waited so far. */
static uint64_t count_waiting(uint64_t end)
{
    uint64_t waiting = 0;

    for (int i = 0; i < opt.connections && opt.rate > 0; i++) {
        struct connection *c = &connections[i];
        if (c->busy && c->since < end)
            record(end - c->since), waiting++;
        for (; due(c->slot) < end; c->slot += (uint64_t) opt.connections)
            record(end - due(c->slot)), waiting++;
    }
    return waiting;
}

static void print_text(const char *text)
{
    for (putchar('"'); *text; text++)
        putchar(*text == '"' || *text == '\\' || (unsigned char) *text < 32 ? '?' : *text);
    putchar('"');
}

static void report(double seconds, uint64_t ticks, double own)
{
    uint64_t answered = latency.total, waiting = count_waiting(end_at);
    double cpu_us = (double) ticks * 1e6 / (double) sysconf(_SC_CLK_TCK);

    printf("{\"requests\": %lu, \"seconds\": %.3f, \"rate\": %.1f, ", answered, seconds,
           (double) answered / seconds);
    printf("\"p50_us\": %.1f, \"p90_us\": %.1f, \"p99_us\": %.1f, \"p999_us\": %.1f, \"max_us\": %.1f, ",
           quantile(0.50), quantile(0.90), quantile(0.99), quantile(0.999), (double) latency.max / 1000.0);
    printf("\"cpu_us_per_request\": ");
    if (opt.pid_count && answered)
        printf("%.2f", cpu_us / (double) answered);
    else
        printf("null");
    printf(", \"load_cpu_share\": %.2f, \"waiting\": %lu, \"unexpected\": %lu, \"reconnects\": %lu, \"request_bytes\": %d, \"answers\": {",
           own / seconds, waiting, unexpected, reconnects, connections[0].length);
    for (int i = 0; i <= MAX_ACTIONS && actions[i].count; i++) {
        printf(i ? ", " : "");
        print_text(actions[i].name);
        printf(": %lu", actions[i].count);
    }
    printf("}}\n");
}

int main(int argc, char **argv)
{
    read_options(argc, argv);
    for (long n = opt.senders; n; n /= 10)
        sender_width++;
    sender_width = sender_width < 5 ? 5 : sender_width;
    connections = calloc((size_t) opt.connections, sizeof *connections);
    own_pid = (int) getpid();
    begin();
    run_until(measure_from);
    double own = own_cpu_seconds();
    uint64_t from = now_ns(), ticks = cpu_ticks();
    run_until(end_at);
    uint64_t end = now_ns();
    ticks = cpu_ticks() - ticks;
    end_at = end < end_at ? end : end_at;
    report((double) (end_at - from) / 1e9, ticks, own_cpu_seconds() - own);
    return 0;
}
