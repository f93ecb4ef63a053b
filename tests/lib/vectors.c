#include "tests/lib/vectors.h"
#include "pipeline/base/alloc.h"
#include "pipeline/zone/name.h"

#include <ctype.h>
#include <ldns/ldns.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Noreturn void fail(const char *what, const char *which)
{
    fprintf(stderr, "%s: %s\n", what, which);
    exit(EXIT_FAILURE);
}

const char *shared_path(const char *path)
{
    static char out[1024];
    const char *shared = getenv("WEIR_SHARED");
    snprintf(out, sizeof(out), "%s/%s", shared ? shared : "../shared", path);
    return out;
}

char *shared_read(const char *path)
{
    FILE *in = fopen(shared_path(path), "r");
    if (!in)
        fail("cannot open", shared_path(path));
    size_t len = 0, cap = 1 << 20;
    char *text = mem_alloc(cap + 1);
    for (size_t n; (n = fread(text + len, 1, cap - len, in)) > 0;) {
        len += n;
        if (len == cap)
            text = mem_resize(text, (cap *= 2) + 1);
    }
    text[len] = '\0';
    fclose(in);
    return text;
}

/* A string at *p, which stands on its opening quote. Escapes keep their second character. */
static void json_string(const char **p, char *out, size_t cap)
{
    size_t n = 0;
    const char *s = *p + 1;
    for (; *s && *s != '"'; s++) {
        if (*s == '\\' && s[1])
            s++;
        if (n + 1 >= cap)
            fail("JSON string is too long", out);
        out[n++] = *s;
    }
    out[n] = '\0';
    *p = *s ? s + 1 : s;
}

bool json_pair(const char **p, char *key, size_t key_cap, char *value, size_t value_cap)
{
    bool have_key = false;
    for (; **p; ++*p) {
        if (**p == '"') {
            if (have_key) {
                json_string(p, value, value_cap);
                return true;
            }
            json_string(p, value, value_cap);
            const char *q = *p + strspn(*p, " \n\t");
            if (*q == ':' && strlen(value) < key_cap) {
                strcpy(key, value);
                have_key = true;
                *p = q;
            } else {
                --*p; /* an element of an array: the loop steps on */
            }
        } else if (have_key && !isspace((unsigned char)**p) && **p != ':') {
            have_key = false; /* not a string value */
        }
    }
    return false;
}

size_t hex_decode(const char *hex, uint8_t *out, size_t cap)
{
    size_t n = strlen(hex) / 2;
    if (n > cap)
        fail("hex is too long", hex);
    for (size_t i = 0; i < n; i++) {
        unsigned octet;
        if (sscanf(hex + 2 * i, "%2x", &octet) != 1)
            fail("not hex", hex);
        out[i] = (uint8_t)octet;
    }
    return n;
}

static struct record record_from(const ldns_rr *rr)
{
    struct record r = {.type = (uint16_t)ldns_rr_get_type(rr), .ttl = ldns_rr_ttl(rr)};
    memcpy(r.owner, ldns_rdf_data(ldns_rr_owner(rr)), ldns_rdf_size(ldns_rr_owner(rr)));
    size_t len = 0;
    for (size_t i = 0; i < ldns_rr_rd_count(rr); i++)
        len += ldns_rdf_size(ldns_rr_rdf(rr, i));
    r.rdata = mem_alloc(len + 1);
    for (size_t i = 0; i < ldns_rr_rd_count(rr); i++) {
        const ldns_rdf *f = ldns_rr_rdf(rr, i);
        memcpy(r.rdata + r.len, ldns_rdf_data(f), ldns_rdf_size(f));
        r.len = (uint16_t)(r.len + ldns_rdf_size(f));
    }
    return r;
}

struct record record_of(const char *line)
{
    ldns_rr *rr;
    ldns_status status = ldns_rr_new_frm_str(&rr, line, 3600, NULL, NULL);
    if (status != LDNS_STATUS_OK)
        fail(ldns_get_errorstr_by_id(status), line);
    struct record r = record_from(rr);
    ldns_rr_free(rr);
    return r;
}

void record_free(struct record *r)
{
    mem_free(&r->rdata);
}

struct node *node_of(const struct record *records, size_t n)
{
    struct node_builder *b = node_builder_new();
    node_builder_begin(b, records[0].owner);
    for (size_t i = 0; i < n; i++)
        if (name_equal(records[i].owner, records[0].owner) &&
            node_builder_add(b, records[i].type, records[i].ttl, records[i].rdata, records[i].len))
            fail("node_builder_add refuses", "a record");
    struct node *node = node_builder_seal(b);
    node_builder_free(&b);
    return node;
}

struct record *records_read(const char *path, size_t *n)
{
    FILE *in = fopen(path, "r");
    ldns_zone *zone;
    if (!in)
        fail("cannot open", path);
    ldns_status status = ldns_zone_new_frm_fp(&zone, in, NULL, 3600, LDNS_RR_CLASS_IN);
    if (status != LDNS_STATUS_OK)
        fail(ldns_get_errorstr_by_id(status), path);
    fclose(in);
    const ldns_rr_list *list = ldns_zone_rrs(zone);
    *n = ldns_rr_list_rr_count(list) + 1;
    struct record *records = mem_array(*n, sizeof(*records));
    records[0] = record_from(ldns_zone_soa(zone));
    for (size_t i = 1; i < *n; i++)
        records[i] = record_from(ldns_rr_list_rr(list, i - 1));
    ldns_zone_deep_free(zone);
    return records;
}
