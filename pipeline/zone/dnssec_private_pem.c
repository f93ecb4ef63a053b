/* dnssec_private_pem: private keys out of PEM.
 *
 *      PRIVATE KEY         PKCS#8 (RFC 5958): what kind of key, then the key as one of these:
 *      RSA PRIVATE KEY         PKCS#1 (RFC 8017 A.1.2): version, n, e, d, p, q, dp, dq, qinv
 *      EC PRIVATE KEY          SEC 1 (RFC 5915): version, the number, [0] curve, [1] public point
 *                              Ed25519, Ed448 (RFC 8410 7): one string of octets
 *
 * OpenSSL takes the frame and base64 off, into memory that it wipes; the DER in it is read here (why:
 * dnssec_private_numbers.c). Keys under a password are refused: there is nobody to ask.
 */
#include "pipeline/zone/dnssec_parts.h"

#include <openssl/ec.h>
#include <openssl/objects.h>
#include <openssl/pem.h>

enum {
    DER_INTEGER = 0x02,
    DER_BITS = 0x03,
    DER_OCTETS = 0x04,
    DER_OID = 0x06,
    DER_SEQUENCE = 0x30,
    DER_CURVE = 0xa0,
    DER_ATTRIBUTES = 0xa0,
    DER_PUBLIC = 0xa1,
    DER_PUBLIC_8410 = 0x81,
    DER_LENGTH_OCTETS_MAX = 3
};

struct der {
    const uint8_t *p, *end;
};

/* The next element, if it has that tag; d moves behind it. */
static bool der_take(struct der *d, uint8_t tag, struct der *out)
{
    const uint8_t *p = d->p;
    size_t left = (size_t)(d->end - p);
    if (left < 2 || p[0] != tag)
        return false;
    size_t len = p[1], octets = 0;
    if (len & 0x80) {
        octets = len & 0x7f;
        if (octets == 0 || octets > DER_LENGTH_OCTETS_MAX || left < 2 + octets)
            return false;
        len = 0;
        for (size_t i = 0; i < octets; i++)
            len = len << 8 | p[2 + i];
    }
    if (len > left - 2 - octets)
        return false;
    out->p = p + 2 + octets;
    out->end = d->p = out->p + len;
    return true;
}

static size_t der_len(const struct der *d)
{
    return (size_t)(d->end - d->p);
}

static bool der_version(struct der *d, uint8_t max)
{
    struct der v;
    return der_take(d, DER_INTEGER, &v) && der_len(&v) == 1 && *v.p <= max;
}

static int der_nid(struct der *d)
{
    struct der oid;
    const uint8_t *p = d->p;
    if (!der_take(d, DER_OID, &oid))
        return NID_undef;
    ASN1_OBJECT *object = d2i_ASN1_OBJECT(NULL, &p, d->p - p);
    int nid = object ? OBJ_obj2nid(object) : NID_undef;
    ASN1_OBJECT_free(object);
    return nid;
}

static bool number_take(struct der *from, struct private_number *out)
{
    while (from->p < from->end && *from->p == 0)
        from->p++;
    if (der_len(from) == 0 || der_len(from) > PRIVATE_NUMBER_MAX)
        return false;
    out->len = der_len(from);
    memcpy(out->octets, from->p, out->len);
    return true;
}

/* ---- the kinds of keys ---- */

static int broken(struct why *why)
{
    return why_set(why, -E_FORMAT,
                   "no private key in the PEM: its DER is broken or goes beyond "
                   "what any algorithm has");
}

/* nid: of the kind of key, or of the curve. */
static int algorithm_of(int nid, const struct algorithm *want, struct private_numbers *out,
                        struct why *why)
{
    static const struct {
        int nid;
        uint8_t code;
    } kind[] = {{NID_rsaEncryption, ALG_RSASHA256},
                {NID_rsaEncryption, ALG_RSASHA512},
                {NID_X9_62_prime256v1, ALG_ECDSAP256},
                {NID_secp384r1, ALG_ECDSAP384},
                {NID_ED25519, ALG_ED25519},
                {NID_ED448, ALG_ED448}};
    for (size_t i = 0; i < sizeof(kind) / sizeof(kind[0]); i++)
        if (kind[i].nid == nid && (!want || want->code == kind[i].code)) {
            out->algorithm = algorithm_get(kind[i].code);
            return 0;
        }
    const char *name = nid == NID_undef ? "unknown" : OBJ_nid2ln(nid);
    if (want)
        return why_set(why, -E_FORMAT, "the key's kind or curve is %s, not that of %s", name,
                       want->mnemonic);
    return why_set(why, -E_UNSUPPORTED, "no algorithm of DNSSEC has keys of kind or curve %s",
                   name);
}

static int rsa_read(struct der d, const struct algorithm *want, struct private_numbers *out,
                    struct why *why)
{
    struct der seq, n;
    int err = algorithm_of(NID_rsaEncryption, want, out, why);
    if (err)
        return err;
    if (!der_take(&d, DER_SEQUENCE, &seq) || !der_version(&seq, 0))
        return broken(why);
    for (unsigned i = 0; i < PRIVATE_NUMBERS; i++) {
        if (!der_take(&seq, DER_INTEGER, &n) || !der_len(&n))
            return broken(why);
        if (i == 0 && der_len(&n) > PRIVATE_NUMBER_MAX)
            return why_set(why, -E_UNSUPPORTED,
                           "RSA key of %zu octets, at most %d bits are "
                           "accepted",
                           der_len(&n), RSA_MAX_BITS);
        if (!number_take(&n, &out->number[i]))
            return broken(why);
    }
    return 0;
}

/* curve: from PKCS#8, or NID_undef: then it is in here. */
static int ec_read(struct der d, int curve, const struct algorithm *want,
                   struct private_numbers *out, struct why *why)
{
    struct der seq, n, part, bits;
    if (!der_take(&d, DER_SEQUENCE, &seq) || !der_version(&seq, 1) ||
        !der_take(&seq, DER_OCTETS, &n))
        return broken(why);
    if (der_take(&seq, DER_CURVE, &part)) {
        int inner = der_nid(&part);
        if (curve != NID_undef && inner != curve)
            return why_set(why, -E_FORMAT, "the key names two curves");
        curve = inner;
    }
    int err = algorithm_of(curve, want, out, why);
    if (err)
        return err;
    if (!number_take(&n, &out->number[0]))
        return why_set(why, -E_FORMAT, "the private number is zero, or too long");
    if (der_take(&seq, DER_PUBLIC, &part)) {
        if (!der_take(&part, DER_BITS, &bits) || der_len(&bits) < 2 || bits.p[0] != 0 ||
            der_len(&bits) - 1 > sizeof(out->public))
            return broken(why);
        out->public_len = der_len(&bits) - 1;
        memcpy(out->public, bits.p + 1, out->public_len);
    }
    return 0;
}

static int pkcs8_read(struct der d, const struct algorithm *want, struct private_numbers *out,
                      struct why *why)
{
    struct der seq, kind, key, inner;
    if (!der_take(&d, DER_SEQUENCE, &seq) || !der_version(&seq, 1) ||
        !der_take(&seq, DER_SEQUENCE, &kind))
        return broken(why);
    int nid = der_nid(&kind);
    if (!der_take(&seq, DER_OCTETS, &key))
        return broken(why);
    if (nid == NID_X9_62_id_ecPublicKey) {
        int curve = der_nid(&kind);
        return curve == NID_undef ? why_set(why, -E_UNSUPPORTED, "the key's curve has no name")
                                  : ec_read(key, curve, want, out, why);
    }
    if (nid == NID_rsaEncryption)
        return rsa_read(key, want, out, why);
    int err = algorithm_of(nid, want, out, why);
    if (err)
        return err;
    if (!der_take(&key, DER_OCTETS, &inner) || der_len(&inner) > PRIVATE_NUMBER_MAX)
        return broken(why);
    out->number[0].len = der_len(&inner);
    memcpy(out->number[0].octets, inner.p, der_len(&inner));
    (void)der_take(&seq, DER_ATTRIBUTES, &inner); /* not ours */
    if (der_take(&seq, DER_PUBLIC_8410, &inner) && der_len(&inner) > 1 &&
        der_len(&inner) - 1 <= sizeof(out->public)) {
        out->public_len = der_len(&inner) - 1;
        memcpy(out->public, inner.p + 1, out->public_len);
    }
    return 0;
}

/* ---- the frame ---- */

static int no_password(char *buf, int size, int writing, void *asked)
{
    (void)buf, (void)size, (void)writing;
    *(bool *)asked = true;
    return -1;
}

int private_pem_read(const char *text, size_t len, const struct algorithm *want,
                     struct private_numbers *out, struct why *why)
{
    bool asked = false;
    char *name = NULL;
    unsigned char *octets = NULL;
    long n = 0;
    BIO *in = BIO_new_mem_buf(text, (int)len);
    ASSERT(in);
    int got =
        PEM_bytes_read_bio_secmem(&octets, &n, &name, PEM_STRING_EVP_PKEY, in, no_password, &asked);
    BIO_free(in);
    struct der d = {octets, got == 1 ? octets + n : NULL};
    int err;
    if (asked || (got == 1 && strcmp(name, PEM_STRING_PKCS8) == 0))
        err = why_set(why, -E_UNSUPPORTED,
                      "the PEM key is under a password: store it without one (openssl pkey)");
    else if (got != 1)
        err = why_set(why, -E_FORMAT, "no private key in the PEM: %s", openssl_reason());
    else if (strcmp(name, PEM_STRING_PKCS8INF) == 0)
        err = pkcs8_read(d, want, out, why);
    else if (strcmp(name, PEM_STRING_RSA) == 0)
        err = rsa_read(d, want, out, why);
    else if (strcmp(name, PEM_STRING_ECPRIVATEKEY) == 0)
        err = ec_read(d, NID_undef, want, out, why);
    else
        err = why_set(why, -E_UNSUPPORTED, "a PEM of \"%.40s\"", name);
    if (got == 1) {
        OPENSSL_secure_free(name);
        OPENSSL_secure_clear_free(octets, (size_t)n);
    }
    return err;
}
