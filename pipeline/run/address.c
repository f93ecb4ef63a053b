/* Peers and access lists. Everything compares on one form: 16 octets, IPv4 mapped into
 * ::ffff:0:0/96, so that a peer is the same whether it came in over an IPv4 or a dual-stack socket.
 *
 * An access rule of one family never speaks for the other: "::/0" covers ::ffff:0:0/96 as octets,
 * but an operator who writes it means IPv6. IPv4 rules are those that lie inside the mapped prefix.
 *
 * A rule without a key lets in who comes from there, whether signed or not: a signature adds to what
 * an address proves and takes nothing from it.
 */
#include "pipeline/run/address.h"

#include "pipeline/base/alloc.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HOST_TEXT_MAX = INET6_ADDRSTRLEN + IF_NAMESIZE + 1, MAPPED_BITS = 96 };

static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static void host_octets(const struct address *a, uint8_t out[16])
{
    if (a->sa.sa_family == AF_INET) {
        memcpy(out, mapped, sizeof mapped);
        memcpy(out + sizeof mapped, &a->v4.sin_addr, 4);
    } else {
        memcpy(out, &a->v6.sin6_addr, 16);
    }
}

static bool is_v4(const uint8_t host[16])
{
    return memcmp(host, mapped, sizeof mapped) == 0;
}

static bool parse_number(const char *s, unsigned long min, unsigned long max, unsigned long *out)
{
    if (*s < '0' || *s > '9' || strlen(s) > 10)
        return false;
    char *end;
    unsigned long v = strtoul(s, &end, 10);
    if (*end || v < min || v > max)
        return false;
    *out = v;
    return true;
}

static bool parse_v6(char *host, struct address *a)
{
    char *scope = strchr(host, '%');
    unsigned long index = 0;
    if (scope) {
        *scope++ = '\0';
        index = if_nametoindex(scope);
        if (!index && !parse_number(scope, 1, UINT32_MAX, &index))
            return false;
    }
    if (inet_pton(AF_INET6, host, &a->v6.sin6_addr) != 1)
        return false;
    a->v6.sin6_family = AF_INET6;
    a->v6.sin6_scope_id = (uint32_t)index;
    a->len = sizeof a->v6;
    return true;
}

static bool parse_host(char *host, struct address *a)
{
    if (inet_pton(AF_INET, host, &a->v4.sin_addr) == 1) {
        a->v4.sin_family = AF_INET;
        a->len = sizeof a->v4;
        return true;
    }
    return parse_v6(host, a);
}

static void set_port(struct address *a, uint16_t port)
{
    if (a->sa.sa_family == AF_INET)
        a->v4.sin_port = htons(port);
    else
        a->v6.sin6_port = htons(port);
}

int address_parse(const char *text, uint16_t default_port, struct address *out, struct why *why)
{
    const char *at = strchr(text, '@');
    size_t len = at ? (size_t)(at - text) : strlen(text);
    char host[HOST_TEXT_MAX + 1] = "";
    struct address a;
    memset(&a, 0, sizeof a); /* all of the union: addresses are compared octet by octet */
    if (len < sizeof host)
        memcpy(host, text, len);
    if (!parse_host(host, &a))
        return why_set(why, -E_CONF,
                       "expected an IPv4 or IPv6 address with or without a port, such as "
                       "\"192.0.2.1@53\" or \"2001:db8::1@53\"");
    unsigned long port = default_port;
    if (at && !parse_number(at + 1, 1, UINT16_MAX, &port))
        return why_set(why, -E_CONF, "expected a port 1..65535 behind the @");
    set_port(&a, (uint16_t)port);
    *out = a;
    return 0;
}

char *address_print_host(const struct address *a, char out[ADDRESS_TEXT_MAX])
{
    out[0] = '\0';
    if (a->len == 0)
        return out;
    if (a->sa.sa_family == AF_INET) {
        inet_ntop(AF_INET, &a->v4.sin_addr, out, ADDRESS_TEXT_MAX);
        return out;
    }
    inet_ntop(AF_INET6, &a->v6.sin6_addr, out, ADDRESS_TEXT_MAX);
    if (a->v6.sin6_scope_id) {
        char name[IF_NAMESIZE];
        size_t n = strlen(out);
        if (if_indextoname(a->v6.sin6_scope_id, name))
            snprintf(out + n, ADDRESS_TEXT_MAX - n, "%%%s", name);
        else
            snprintf(out + n, ADDRESS_TEXT_MAX - n, "%%%u", a->v6.sin6_scope_id);
    }
    return out;
}

char *address_print(const struct address *a, char out[ADDRESS_TEXT_MAX])
{
    address_print_host(a, out);
    if (a->len) {
        size_t n = strlen(out);
        in_port_t port = a->sa.sa_family == AF_INET ? a->v4.sin_port : a->v6.sin6_port;
        snprintf(out + n, ADDRESS_TEXT_MAX - n, "@%u", ntohs(port));
    }
    return out;
}

static uint32_t scope_of(const struct address *a)
{
    return a->sa.sa_family == AF_INET6 ? a->v6.sin6_scope_id : 0;
}

bool address_same_host(const struct address *a, const struct address *b)
{
    if (a->len == 0 || b->len == 0)
        return a->len == b->len;
    uint8_t x[16], y[16];
    host_octets(a, x);
    host_octets(b, y);
    /* A peer that was configured without its link's name matches on any link. */
    uint32_t sx = scope_of(a), sy = scope_of(b);
    return memcmp(x, y, 16) == 0 && (sx == sy || sx == 0 || sy == 0);
}

uint32_t address_hash_host(const struct address *a)
{
    if (a->len == 0)
        return 0;
    uint8_t host[16];
    host_octets(a, host);
    uint64_t v = 0;
    memcpy(&v, is_v4(host) ? host + 8 : host, 8);
    /* A 64-bit finaliser: every bit of the input reaches every bit that is kept. */
    v ^= v >> 33;
    v *= UINT64_C(0xff51afd7ed558ccd);
    v ^= v >> 33;
    v *= UINT64_C(0xc4ceb9fe1a85ec53);
    return (uint32_t)(v >> 32);
}

static bool in_prefix(const uint8_t host[16], const struct acl_rule *rule)
{
    unsigned whole = rule->bits / 8, rest = rule->bits % 8;
    if (memcmp(host, rule->prefix, whole) != 0)
        return false;
    return rest == 0 || ((host[whole] ^ rule->prefix[whole]) & (0xff00 >> rest) & 0xff) == 0;
}

static bool rule_is_v4(const struct acl_rule *rule)
{
    return rule->bits >= MAPPED_BITS && is_v4(rule->prefix);
}

/* Writes the rule with its host bits cleared; true when there were none set. */
static bool clear_host_bits(struct acl_rule *rule)
{
    bool clean = true;
    for (unsigned bit = rule->bits; bit < 128; bit++) {
        uint8_t mask = (uint8_t)(0x80 >> bit % 8);
        if (rule->prefix[bit / 8] & mask)
            clean = false;
        rule->prefix[bit / 8] &= (uint8_t)~mask;
    }
    return clean;
}

static void print_rule(const struct acl_rule *rule, char out[ADDRESS_TEXT_MAX])
{
    bool v4 = rule_is_v4(rule);
    inet_ntop(v4 ? AF_INET : AF_INET6, rule->prefix + (v4 ? 12 : 0), out, ADDRESS_TEXT_MAX);
    size_t n = strlen(out);
    snprintf(out + n, ADDRESS_TEXT_MAX - n, "/%d", rule->bits - (v4 ? MAPPED_BITS : 0));
}

static int parse_prefix(const char *text, size_t whole, struct acl_rule *out, struct why *why)
{
    const char *slash = memchr(text, '/', whole);
    size_t len = slash ? (size_t)(slash - text) : whole;
    char host[HOST_TEXT_MAX + 1] = "", number[8] = "";
    if (len < sizeof host)
        memcpy(host, text, len);
    if (slash && whole - len - 1 < sizeof number)
        memcpy(number, slash + 1, whole - len - 1);
    struct address a = {.len = 0};
    if (strchr(host, '%') || !parse_host(host, &a))
        return why_set(why, -E_CONF,
                       "expected an address or a prefix, such as \"192.0.2.0/24\", "
                       "\"2001:db8::/32\" or \"192.0.2.1\", a key, \"key:NAME\", or both: "
                       "\"192.0.2.0/24 key:NAME\"");
    bool v4 = a.sa.sa_family == AF_INET;
    unsigned long bits = v4 ? 32 : 128;
    if (slash && !parse_number(number, 0, bits, &bits))
        return why_set(why, -E_CONF, "expected a prefix length 0..%d", v4 ? 32 : 128);
    struct acl_rule rule = {.bits = (uint8_t)(bits + (v4 ? MAPPED_BITS : 0))};
    host_octets(&a, rule.prefix);
    if (!clear_host_bits(&rule)) {
        char meant[ADDRESS_TEXT_MAX];
        print_rule(&rule, meant);
        return why_set(why, -E_CONF, "expected no bits behind the prefix; is \"%s\" meant?", meant);
    }
    *out = rule;
    return 0;
}

int acl_parse_rule(const char *text, struct acl_rule *out, const char **key, struct why *why)
{
    const char *word = strncmp(text, "key:", 4) == 0 ? text : strstr(text, " key:");
    size_t prefix = word ? (size_t)(word - text) : strlen(text);
    *key = NULL;
    if (word && prefix == 0) {
        *out = (struct acl_rule){.anywhere = true};
    } else {
        while (prefix && text[prefix - 1] == ' ')
            prefix--;
        int err = parse_prefix(text, prefix, out, why);
        if (err)
            return err;
    }
    if (word)
        *key = strchr(word, ':') + 1;
    return 0;
}

static bool rule_allows(const struct acl_rule *rule, const uint8_t host[16], bool v4,
                        const struct tsig_key *key)
{
    if (!rule->anywhere && (rule_is_v4(rule) != v4 || !in_prefix(host, rule)))
        return false;
    return !rule->key || (key && name_equal(tsig_key_name(rule->key), tsig_key_name(key)));
}

bool acl_allows(const struct acl *acl, const struct address *a, const struct tsig_key *key)
{
    if (a->len == 0)
        return false;
    uint8_t host[16];
    host_octets(a, host);
    bool v4 = is_v4(host);
    for (size_t i = 0; i < acl->n; i++)
        if (rule_allows(&acl->rule[i], host, v4, key))
            return true;
    return false;
}

void acl_clear(struct acl *acl)
{
    for (size_t i = 0; i < acl->n; i++)
        tsig_key_unref(acl->rule[i].key);
    mem_free(&acl->rule);
    acl->n = 0;
}
