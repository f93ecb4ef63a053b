/* offline_fuzz: a file of key sets that an offline KSK of `example.` has signed, out of hostile octets.
 *
 * Held against what comes back: a refusal says why, names the file, and leaves nothing behind; what is taken has, a period, a DNSKEY set, nothing
 * but key sets and their signatures, and a time in which all of these are valid.
 */
#include "pipeline/base/alloc.h"
#include "pipeline/run/keyring_offline.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t apex[] = "\7example";

static void check_period(const struct keyset_prepared *p)
{
    struct rrset set;
    ASSERT(p->from <= p->until && name_equal(node_name(p->node), apex));
    ASSERT(node_has(p->node, RR_DNSKEY));
    for (unsigned i = 0; i < p->node->nrrsets; i++) {
        node_rrset_at(p->node, i, &set);
        uint16_t type = set.type == RR_RRSIG ? set.covered : set.type;
        ASSERT(type == RR_DNSKEY || type == RR_CDS || type == RR_CDNSKEY);
        ASSERT(set.type == RR_RRSIG ? node_has(p->node, type)
                                    : node_rrset(p->node, RR_RRSIG, type, &(struct rrset){0}));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct keyring_offline o;
    struct why why = {""};
    char path[64];
    int fd = memfd_create("offline", MFD_CLOEXEC);
    ASSERT(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int err = keyring_offline_read(path, apex, &o, &why);
    close(fd);
    ASSERT(err ? o.n == 0 && !o.period && strncmp(why.text, path, strlen(path)) == 0 : o.n > 0);
    for (unsigned i = 0; i < o.n; i++)
        check_period(&o.period[i]);
    keyring_offline_clear(&o);
    return 0;
}
