/* zone_model: a zone as a sorted array of nodes, to compare versions with.
 *
 * WHAT   Every change builds the owner's node anew and at once, and every question is answered by looking at all
 *        nodes: slow, and too simple to be wrong.
 * OWNS   One reference on each node.
 */
#ifndef WEIR_TESTS_ZONE_MODEL_H
#define WEIR_TESTS_ZONE_MODEL_H

#include "pipeline/zone/edit.h"

enum { MODEL_NODES_MAX = 1024 };

struct zone_model {
    unsigned n;
    struct node *node[MODEL_NODES_MAX];
};

void model_copy(struct zone_model *dst, const struct zone_model *src);
void model_clear(struct zone_model *m);
const struct node *model_get(const struct zone_model *m, const uint8_t *name);
void model_put(struct zone_model *m, struct node *node); /* takes over the reference */
bool model_remove(struct zone_model *m, const uint8_t *name);
void model_add(struct zone_model *m, const uint8_t *owner, uint16_t type, uint32_t ttl,
               const uint8_t *rdata, uint16_t len);
bool model_del(struct zone_model *m, const uint8_t *owner, uint16_t type, const uint8_t *rdata,
               uint16_t len);

/* Stop the test when they differ. */
void model_expect_snapshot(const struct zone_model *m, const struct snapshot *s);
void model_expect_changes(const struct zone_model *was, const struct zone_model *now,
                          const struct changeset *c);
void expect_changes_equal(const struct changeset *a, const struct changeset *b);

#endif
