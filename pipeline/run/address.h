/* address: where a peer is, and who may do what.
 *
 * WHAT   An IPv4 or IPv6 address with a port, written `address@port` everywhere (configuration, logs, status),
 *        and access lists of prefixes, TSIG keys, or both.
 * OWNS   struct address is a value. struct acl owns its array and references on its keys.
 */
#ifndef WEIR_RUN_ADDRESS_H
#define WEIR_RUN_ADDRESS_H

#include "pipeline/zone/tsig.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct address {
    union {
        struct sockaddr sa;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    };
    socklen_t len;                       /* 0: unset */
};
enum { ADDRESS_TEXT_MAX = 72 };

/* "192.0.2.1@53", "2001:db8::1@53", "fe80::1%eth0@53"; without @port: default_port. -E_CONF. */
int address_parse(const char *text, uint16_t default_port, struct address *out, struct why *why) MUST_CHECK;
char *address_print(const struct address *a, char out[ADDRESS_TEXT_MAX]);          /* with @port */
char *address_print_host(const struct address *a, char out[ADDRESS_TEXT_MAX]);     /* without */
bool address_same_host(const struct address *a, const struct address *b);          /* port ignored; v4-mapped v6 equals v4 */
uint32_t address_hash_host(const struct address *a);  /* v6 by /64: what one client may own */

struct acl_rule {
    uint8_t prefix[16];                  /* IPv4 as v4-mapped */
    uint8_t bits;                        /* 0..128 */
    bool anywhere;                       /* no prefix: the key alone counts */
    struct tsig_key *key;                /* that must have signed, in addition; NULL: signed or not */
};
struct acl {
    size_t n;
    struct acl_rule *rule;
};
/* "192.0.2.0/24", "2001:db8::/32", one address; "key:NAME"; "PREFIX key:NAME". *key: the NAME, in text, or NULL; the caller finds
 * the key and puts it into the rule. */
int acl_parse_rule(const char *text, struct acl_rule *out, const char **key, struct why *why) MUST_CHECK;
/* key: that signed the message, or NULL. Empty list: nobody. Keys are the same when their names are: which secret and
 * algorithm count was seen to when the message was verified. */
bool acl_allows(const struct acl *acl, const struct address *a, const struct tsig_key *key);
void acl_clear(struct acl *acl);

#endif
