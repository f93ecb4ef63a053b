/* Limits that all query threads share.
 *
 * An entry stands for a host as long as it holds a connection or a transfer, so the table is never
 * larger than the number of connections that are allowed. The bucket is a seeded hash of the host:
 * a client who owns many /64s cannot aim at one bucket.
 *
 * Only those whom a zone's allow_transfer lets in get as far as tcp_limits_transfer_begin():
 * strangers who ask for transfers are refused before, and cannot use up what the secondaries need.
 */
#include "pipeline/net/tcp_limits.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/random.h>

#include "pipeline/base/alloc.h"

enum { BUCKETS = 1024, HOST_OCTETS = 8 };

struct count {
    int64_t connections, transfers;
};
struct host {
    struct host *next;
    uint8_t key[HOST_OCTETS];
    struct count held;
};
struct tcp_limits {
    pthread_mutex_t lock;
    uint64_t seed;
    struct count held;
    _Atomic int64_t output;
    struct host *bucket[BUCKETS];
};

struct tcp_limits *tcp_limits_new(void)
{
    struct tcp_limits *l = mem_zalloc(sizeof *l);
    pthread_mutex_init(&l->lock, NULL);
    if (getrandom(&l->seed, sizeof l->seed, 0) != (ssize_t)sizeof l->seed)
        l->seed = (uintptr_t)l;
    return l;
}

void tcp_limits_free(struct tcp_limits **limits)
{
    if (!*limits)
        return;
    ASSERT((*limits)->held.connections == 0 && (*limits)->held.transfers == 0 &&
           tcp_limits_held(*limits) == 0);
    pthread_mutex_destroy(&(*limits)->lock);
    mem_free(limits);
}

/* The upper half of an IPv6 address; for IPv4 ffff:ffff and the address, which is multicast and
 * nobody's /64. */
static void host_key(const struct address *peer, uint8_t key[HOST_OCTETS])
{
    memset(key, 0xff, HOST_OCTETS);
    if (peer->sa.sa_family == AF_INET)
        memcpy(key + 4, &peer->v4.sin_addr, 4);
    else if (IN6_IS_ADDR_V4MAPPED(&peer->v6.sin6_addr))
        memcpy(key + 4, peer->v6.sin6_addr.s6_addr + 12, 4);
    else
        memcpy(key, &peer->v6.sin6_addr, HOST_OCTETS);
}

/* Where the pointer to the host's entry is, or would be. */
static struct host **host_find(struct tcp_limits *l, const uint8_t key[HOST_OCTETS])
{
    uint64_t h;
    memcpy(&h, key, sizeof h);
    h = (h ^ l->seed) * 0x9e3779b97f4a7c15u;
    h = (h ^ h >> 29) * 0xbf58476d1ce4e5b9u;
    struct host **p = &l->bucket[h >> 32 & (BUCKETS - 1)];
    while (*p && memcmp((*p)->key, key, HOST_OCTETS) != 0)
        p = &(*p)->next;
    return p;
}

static int64_t *connections(struct count *count)
{
    return &count->connections;
}
static int64_t *transfers(struct count *count)
{
    return &count->transfers;
}

static enum tcp_admission begin(struct tcp_limits *l, const struct address *peer,
                                int64_t *(*which)(struct count *), int64_t most,
                                int64_t most_per_host)
{
    uint8_t key[HOST_OCTETS];
    host_key(peer, key);
    enum tcp_admission admission = TCP_ADMITTED;
    pthread_mutex_lock(&l->lock);
    struct host **p = host_find(l, key);
    if (*p && *which(&(*p)->held) >= most_per_host) {
        admission = TCP_HOST_FULL;
    } else if (*which(&l->held) >= most) {
        admission = TCP_FULL;
    } else {
        if (!*p) {
            *p = mem_zalloc(sizeof **p);
            memcpy((*p)->key, key, HOST_OCTETS);
        }
        ++*which(&(*p)->held);
        ++*which(&l->held);
    }
    pthread_mutex_unlock(&l->lock);
    return admission;
}

static void end(struct tcp_limits *l, const struct address *peer, int64_t *(*which)(struct count *))
{
    uint8_t key[HOST_OCTETS];
    host_key(peer, key);
    pthread_mutex_lock(&l->lock);
    struct host **p = host_find(l, key);
    ASSERT(*p && *which(&(*p)->held) > 0 && *which(&l->held) > 0);
    --*which(&(*p)->held);
    --*which(&l->held);
    if ((*p)->held.connections == 0 && (*p)->held.transfers == 0) {
        struct host *gone = *p;
        *p = gone->next;
        mem_free(&gone);
    }
    pthread_mutex_unlock(&l->lock);
}

enum tcp_admission tcp_limits_connect(struct tcp_limits *l, const struct address *peer,
                                      int64_t most, int64_t most_per_host)
{
    return begin(l, peer, connections, most, most_per_host);
}

void tcp_limits_disconnect(struct tcp_limits *l, const struct address *peer)
{
    end(l, peer, connections);
}

enum tcp_admission tcp_limits_transfer_begin(struct tcp_limits *l, const struct address *peer,
                                             int64_t most, int64_t most_per_host)
{
    return begin(l, peer, transfers, most, most_per_host);
}

void tcp_limits_transfer_end(struct tcp_limits *l, const struct address *peer)
{
    end(l, peer, transfers);
}

void tcp_limits_hold(struct tcp_limits *l, int64_t change)
{
    atomic_fetch_add_explicit(&l->output, change, memory_order_relaxed);
}

int64_t tcp_limits_held(const struct tcp_limits *l)
{
    return atomic_load_explicit(&l->output, memory_order_relaxed);
}
