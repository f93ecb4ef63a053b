/* Sockets for queries.
 *
 * SO_REUSEPORT on every one of them: each query thread binds the same address, and the kernel deals
 * clients out by a hash of both ends, so a thread never takes another's packet and no lock is
 * shared. It also lets in another process of the same user, which would silently take half of the
 * clients; so the server first binds each address once without it.
 *
 * A server that answers UDP must not let the ICMP messages of strangers shape its packets.
 * IP_PMTUDISC_OMIT leaves DF clear and takes no learned path MTU into account; with replies of
 * 1,232 octets nothing is fragmented in practice.
 *
 * A wildcard UDP socket learns from a control message at which address a query came in, so that udp
 * can answer from there: a reply from another address would be dropped by the client. */
#include "pipeline/net/listen.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

enum {
    BACKLOG = 1024,
    UDP_RECEIVE_BYTES =
        4 * 1024 * 1024, /* a burst while a thread is busy; the kernel may give less */
    UDP_SEND_BYTES = 1024 * 1024,
};

bool listen_is_wildcard(const struct address *at)
{
    if (at->sa.sa_family == AF_INET)
        return at->v4.sin_addr.s_addr == htonl(INADDR_ANY);
    return IN6_IS_ADDR_UNSPECIFIED(&at->v6.sin6_addr);
}

bool listen_exhausted(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

static bool turn_on(int fd, int level, int option)
{
    const int one = 1;
    return setsockopt(fd, level, option, &one, sizeof one) == 0;
}

static bool set_common(int fd, const struct address *at)
{
    return turn_on(fd, SOL_SOCKET, SO_REUSEPORT) &&
           (at->sa.sa_family == AF_INET || turn_on(fd, IPPROTO_IPV6, IPV6_V6ONLY));
}

static bool set_udp(int fd, const struct address *at)
{
    bool v4 = at->sa.sa_family == AF_INET;
    const int receive = UDP_RECEIVE_BYTES, send = UDP_SEND_BYTES;
    const int omit = v4 ? IP_PMTUDISC_OMIT : IPV6_PMTUDISC_OMIT;
    /* Sizes are wishes: without CAP_NET_ADMIN the plain form is cut to net.core.rmem_max. */
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &receive, sizeof receive) != 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive, sizeof receive);
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &send, sizeof send);
    if (v4)
        (void)setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &omit, sizeof omit);
    else
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &omit, sizeof omit);
    if (!listen_is_wildcard(at))
        return true;
    return v4 ? turn_on(fd, IPPROTO_IP, IP_PKTINFO) : turn_on(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO);
}

static int failed(int fd, const char *what, const struct address *at, struct why *why)
{
    int error = errno;
    char text[ADDRESS_TEXT_MAX];
    if (fd >= 0)
        close(fd);
    return why_set(why, -E_IO, "%s %s: %s", what, address_print(at, text), strerror(error));
}

/* TCP: SO_REUSEADDR overlooks what is left of old connections, but no socket that listens. */
static int bind_alone(int type, const char *what, const struct address *at, struct why *why)
{
    int fd = socket(at->sa.sa_family, type | SOCK_CLOEXEC, 0);
    bool ready = fd >= 0 &&
                 (at->sa.sa_family == AF_INET || turn_on(fd, IPPROTO_IPV6, IPV6_V6ONLY)) &&
                 (type == SOCK_DGRAM || turn_on(fd, SOL_SOCKET, SO_REUSEADDR));
    if (!ready || bind(fd, &at->sa, at->len) != 0)
        return failed(fd, what, at, why);
    close(fd);
    return 0;
}

int listen_is_free(const struct address *at, struct why *why)
{
    int err = bind_alone(SOCK_DGRAM, "cannot bind UDP", at, why);
    return err ? err : bind_alone(SOCK_STREAM, "cannot bind TCP", at, why);
}

int listen_udp(const struct address *at, int *out, struct why *why)
{
    int fd = socket(at->sa.sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || !set_common(fd, at) || !set_udp(fd, at))
        return failed(fd, "cannot make a UDP socket for", at, why);
    if (bind(fd, &at->sa, at->len) != 0)
        return failed(fd, "cannot bind UDP", at, why);
    *out = fd;
    return 0;
}

/* The send buffer is left to the kernel: setting SO_SNDBUF would turn off its tuning, which grows
 * the buffer for a fast reader. What it does not do is keep it small for one that does not read: on
 * loopback such a client gets 2.5 MB from the start. TCP_NOTSENT_LOWAT does: it bounds what lies in
 * the kernel without being on its way. Both options pass on to accepted sockets. */
int listen_tcp(const struct address *at, int *out, struct why *why)
{
    int fd = socket(at->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const int unsent = LISTEN_UNSENT_BYTES;
    if (fd < 0 || !set_common(fd, at) || !turn_on(fd, SOL_SOCKET, SO_REUSEADDR) ||
        !turn_on(fd, IPPROTO_TCP, TCP_NODELAY) ||
        setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof unsent) != 0)
        return failed(fd, "cannot make a TCP socket for", at, why);
    if (bind(fd, &at->sa, at->len) != 0)
        return failed(fd, "cannot bind TCP", at, why);
    if (listen(fd, BACKLOG) != 0)
        return failed(fd, "cannot listen on TCP", at, why);
    *out = fd;
    return 0;
}
