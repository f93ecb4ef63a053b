/* anchor: the keys that the world begins with, as the operator gives them (zone/trust.h).
 *
 * That the zone chains to an anchor means that a key of the DNSKEY set is one, and signs the set
 * (RFC 4035 5). One is enough; an anchor without a key is the standby of a rollover.
 */
#include "stages/validate/validate.h"

int anchors_open(struct validate_conf *conf, struct why *why)
{
    struct why inner;
    if (conf->trust_anchor.n == 0)
        return 0;
    conf->anchor = mem_array(conf->trust_anchor.n, sizeof(conf->anchor[0]));
    for (size_t i = 0; i < conf->trust_anchor.n; i++) {
        int rc = trust_anchor_parse(conf->trust_anchor.text[i], &conf->anchor[i], &inner);
        if (rc != 0)
            return why_set(why, rc, "trust_anchor %s", inner.text);
        conf->anchors++;
    }
    return 0;
}

void anchors_close(struct validate_conf *conf)
{
    for (size_t i = 0; i < conf->anchors; i++)
        trust_anchor_clear(&conf->anchor[i]);
    conf->anchors = 0;
    mem_free(&conf->anchor);
}

bool anchors_name(const struct check *check, struct rdata dnskey)
{
    const struct validate_conf *conf = check->conf;
    for (size_t i = 0; i < conf->anchors; i++)
        if (trust_anchor_names(&conf->anchor[i], check->apex_name, dnskey.data, dnskey.len))
            return true;
    return false;
}
