/* The floor of the speed benchmark: what answering a policy request costs when nothing is decided.
 *
 * A single-threaded epoll server on 127.0.0.1:PORT. It reads a Postfix policy request up to its
 * empty line and answers a constant. It parses nothing, counts nothing, writes nothing to disk.
 *
 *     floor PORT
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAX_FD = 4096, BATCH = 256 };

static const char ANSWER[] = "action=DUNNO\n\n";
static char last_byte[MAX_FD]; /* of each connection, so that an empty line may arrive split */

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static int listen_on(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((unsigned short) port)};
    int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) < 0)
        die("socket");
    if (bind(fd, (struct sockaddr *) &address, sizeof address) < 0 || listen(fd, 512) < 0)
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
    int one = 1, fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);

    if (fd < 0)
        return;
    if (fd >= MAX_FD) {
        close(fd);
        return;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    last_byte[fd] = 0;
    watch(queue, fd);
}

static void serve(int fd)
{
    char data[16384];
    ssize_t size = recv(fd, data, sizeof data, 0);

    if (size <= 0) {
        close(fd);
        return;
    }
    char before = size > 1 ? data[size - 2] : last_byte[fd];
    last_byte[fd] = data[size - 1];
    if (data[size - 1] == '\n' && before == '\n' && send(fd, ANSWER, sizeof ANSWER - 1, MSG_NOSIGNAL) < 0)
        close(fd);
}

int main(int argc, char **argv)
{
    struct epoll_event events[BATCH];

    if (argc != 2) {
        fprintf(stderr, "usage: floor PORT\n");
        return 2;
    }
    int listener = listen_on(atoi(argv[1])), queue = epoll_create1(0);
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
