/* journal_pages: is an LMDB file as LMDB believes it to be?
 *
 * WHAT   LMDB follows page numbers, offsets and lengths that it finds in its file, and a wrong one ends the process, or makes the next
 *        write land on what is in use. This walks both trees of one state of the file (the table, and LMDB's own list of free pages)
 *        and looks at every such number. What is in values is not looked at: those carry sums of their own.
 * WHO    Any thread; the state must stay as it is meanwhile (a read transaction sees to it).
 * FAILS  -E_FORMAT with a why that names page and rule. Safe on any octets.
 *        It is not read through a map: a sector that the disk cannot read would be a SIGBUS there, and is an error here.
 * COST   O(pages of the trees), one visit to the first page of each large value; a bit a page, and a page a level of the tree.
 * SPEC   The format of LMDB 0.9 (data version 1) on machines of 64 bits: mdb.c, MDB_page, MDB_node, MDB_meta.
 */
#ifndef WEIR_RUN_JOURNAL_PAGES_H
#define WEIR_RUN_JOURNAL_PAGES_H

#include "pipeline/base/errors.h"

#include <stddef.h>
#include <stdint.h>

/* What LMDB uses of its first two pages before anybody can look at the rest: a page size of 0 would end the process. `size` octets of the
 * file's beginning; PAGES_HEAD_OCTETS are enough, and an empty file is a new one. */
enum { PAGES_HEAD_OCTETS = (1 << 16) + 512 };
int pages_head_check(const uint8_t *file, size_t size, struct why *why) MUST_CHECK;
/* Reads n octets of the file from `at` on; all of them lie within its size. Its error, with a why, is the check's. */
typedef int pages_read_fn(void *ctx, uint64_t at, uint8_t *to, size_t n, struct why *why);
struct pages_file {
    pages_read_fn *read;
    void *ctx;
    uint64_t size;
};
/* The state is the one of transaction `txn`. */
int pages_check(const struct pages_file *file, size_t page_size, uint64_t txn, struct why *why) MUST_CHECK;

#endif
