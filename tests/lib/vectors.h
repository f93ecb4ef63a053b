/* vectors: published test vectors and hand-written records, as octets.
 *
 * WHAT   Finds files of the shared test data, reads Wycheproof's JSON as a stream of (key,
 *        string) pairs, and makes records and nodes from master-file lines by ldns, so that what
 *        is tested is not what reads.
 */
#ifndef WEIR_TESTS_VECTORS_H
#define WEIR_TESTS_VECTORS_H

#include "pipeline/zone/node.h"

#include <stddef.h>
#include <stdint.h>

/* $WEIR_SHARED/path, or ../shared/path. Static memory. */
const char *shared_path(const char *path);
/* The whole file, terminated; the caller frees it. Exits when it cannot be read: a missing vector
 * is a failure. */
char *shared_read(const char *path);
/* The next "key": "string" pair at *p, skipping all else (numbers, brackets). False at the end. */
bool json_pair(const char **p, char *key, size_t key_cap, char *value, size_t value_cap);

size_t hex_decode(const char *hex, uint8_t *out, size_t cap);

struct record {
    uint8_t owner[255];
    uint16_t type, len;
    uint32_t ttl;
    uint8_t *rdata;
};
/* By ldns; exits on a line that ldns does not take. record_free frees rdata. */
struct record record_of(const char *line);
void record_free(struct record *r);
/* A node of all records at the owner of the first. */
struct node *node_of(const struct record *records, size_t n);
/* Reads a whole master file by ldns; the caller frees. */
struct record *records_read(const char *path, size_t *n);

#endif
