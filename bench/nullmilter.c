/* The floor of the milter benchmark: what being asked costs an MTA when nothing is decided.
 *
 * A single-threaded epoll server on the Unix socket PATH. Every offer is answered with the same packet
 * (TERMS, in hex), every command whose letter stands in REPLIED with "continue". It keeps nothing of what it
 * reads, counts nothing, writes nothing to disk.
 *
 *     nullmilter PATH TERMS REPLIED
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { MAX_FD = 4096, BATCH = 256, CHUNK = 1 << 17, MOST_ANSWERS = 4096, MOST_TERMS = 512 };

static const char CONTINUE[] = {0, 0, 0, 1, 'c'};
static struct peer {
    int got;       /* bytes of the packet's length */
    uint32_t left; /* the length as far as it is known, then the bytes still to come */
    char letter;   /* of the packet; 0: not read yet */
} peers[MAX_FD];
static char terms[MOST_TERMS];
static size_t terms_size;
static const char *replied;

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static int listen_on(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    unlink(path);
    if (fd < 0 || bind(fd, (struct sockaddr *) &address, sizeof address) < 0)
        die("bind");
    if (chmod(path, 0666) < 0 || listen(fd, 512) < 0)
        die("listen");
    return fd;
}

static void watch(int queue, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

    if (epoll_ctl(queue, EPOLL_CTL_ADD, fd, &event) < 0)
        die("epoll_ctl");
}

static void welcome(int queue, int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);

    if (fd < 0)
        return;
    if (fd >= MAX_FD) {
        close(fd);
        return;
    }
    memset(&peers[fd], 0, sizeof peers[fd]);
    watch(queue, fd);
}

static size_t answer(char letter, char *out)
{
    if (letter == 'O') {
        memcpy(out, terms, terms_size);
        return terms_size;
    }
    if (strchr(replied, letter) == NULL)
        return 0;
    memcpy(out, CONTINUE, sizeof CONTINUE);
    return sizeof CONTINUE;
}

/* Reads a byte of a length, or as much of a packet as there is; how many bytes that were. */
static size_t step(struct peer *peer, const unsigned char *data, size_t size)
{
    if (peer->got < 4) {
        peer->left = peer->left << 8 | data[0];
        peer->letter = 0;
        peer->got++;
        return 1;
    }
    if (peer->letter == 0)
        peer->letter = (char) data[0];
    size_t here = size < peer->left ? size : peer->left;
    peer->left -= (uint32_t) here;
    return here;
}

static void serve(int fd)
{
    static unsigned char data[CHUNK];
    char answers[MOST_ANSWERS];
    size_t size = 0;
    struct peer *peer = &peers[fd];
    ssize_t got = recv(fd, data, sizeof data, 0);

    if (got <= 0) {
        close(fd);
        return;
    }
    for (size_t at = 0; at < (size_t) got;) {
        at += step(peer, data + at, (size_t) got - at);
        if (peer->got == 4 && peer->letter && peer->left == 0) {
            peer->got = 0;
            if (size + MOST_TERMS < sizeof answers)
                size += answer(peer->letter, answers + size);
        }
    }
    if (size && send(fd, answers, size, MSG_NOSIGNAL) < 0)
        close(fd);
}

int main(int argc, char **argv)
{
    struct epoll_event events[BATCH];

    if (argc != 4 || strlen(argv[2]) > 2 * sizeof terms - 2) {
        fprintf(stderr, "usage: nullmilter PATH TERMS REPLIED\n");
        return 2;
    }
    while (sscanf(argv[2] + 2 * terms_size, "%2hhx", (unsigned char *) &terms[terms_size]) == 1)
        terms_size++;
    replied = argv[3];
    int listener = listen_on(argv[1]), queue = epoll_create1(0);
    watch(queue, listener);
    for (;;) {
        int ready = epoll_wait(queue, events, BATCH, -1);
        for (int i = 0; i < ready; i++) {
            if (events[i].data.fd == listener)
                welcome(queue, listener);
            else
                serve(events[i].data.fd);
        }
    }
}
