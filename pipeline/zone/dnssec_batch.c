/* dnssec_batch: many signatures at once.
 *
 * Jobs whose key has a table are hashed and collected; when the batch is full (or at the end) it
 * runs, and whatever it does not show to be valid is asked again of EVP, whose word is what is
 * reported. All others go one by one. A caller sees no difference to dnssec_verify but the speed.
 */
#include "pipeline/zone/dnssec_parts.h"

#include <openssl/err.h>

struct collected {
    struct dnssec_job *job;
    const uint8_t *signature; /* in the job's rrsig */
    uint8_t digest[P256_OCTETS];
};

static void batch_flush(struct dnssec_scratch *scratch, const struct collected *in, unsigned n)
{
    bool valid[P256_BATCH];
    p256_batch_run(scratch->p256, valid);
    for (unsigned i = 0; i < n; i++)
        in[i].job->result = valid[i] ? DNSSEC_VALID
                                     : dnssec_verify_digest(scratch, in[i].job->key, in[i].digest,
                                                            in[i].signature, 2 * P256_OCTETS);
}

/* The job's result is set, or it was added to the batch as c (true). */
static bool batch_collect(struct dnssec_scratch *scratch, struct dnssec_job *job,
                          struct collected *c)
{
    struct rrsig sig;
    const uint8_t *octets;
    size_t len;
    job->result = dnssec_prepare(scratch, job->key, job->owner, &job->set, job->rrsig,
                                 job->rrsig_len, &sig, &octets, &len);
    if (job->result != DNSSEC_VALID)
        return false;
    if (!job->key->tables || !dnssec_digest(scratch, DIGEST_SHA256, octets, len, c->digest)) {
        job->result =
            dnssec_verify_octets(scratch, job->key, octets, len, sig.signature, sig.signature_len);
        return false;
    }
    if (!p256_batch_add(scratch->p256, job->key->tables, c->digest, sig.signature)) {
        job->result =
            dnssec_verify_digest(scratch, job->key, c->digest, sig.signature, sig.signature_len);
        return false;
    }
    c->job = job;
    c->signature = sig.signature;
    return true;
}

void dnssec_verify_batch(struct dnssec_scratch *scratch, struct dnssec_job *jobs, size_t n)
{
    struct collected in[P256_BATCH];
    unsigned count = 0;
    ERR_set_mark();
    for (size_t i = 0; i < n; i++) {
        if (jobs[i].key->tables && !scratch->p256)
            scratch->p256 = p256_batch_new();
        if (batch_collect(scratch, &jobs[i], &in[count]) && ++count == P256_BATCH) {
            batch_flush(scratch, in, count);
            count = 0;
        }
    }
    if (count)
        batch_flush(scratch, in, count);
    ERR_pop_to_mark();
}
