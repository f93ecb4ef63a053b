/* finding: what stages report, and what the zone's policy makes of it.
 *
 * WHAT   A findings list belongs to one chain run. The chain opens it for one stage after another; a stage adds;
 *        policy turns each into a verdict. Past `keep` findings they are counted, not kept.
 * WHO    finding_add from any thread of a par_map; the rest by the chain's thread. Immutable once the run is over:
 *        then any thread may read it and hold a reference.
 * SPEC   design.md 1, 4.
 */
#ifndef WEIR_RUN_FINDING_H
#define WEIR_RUN_FINDING_H

#include "pipeline/stage.h"

struct json;

struct finding {
    const struct stage_type *stage;
    const struct finding_type *type;
    enum verdict verdict;                /* after policy; PASS under observe, see `observed` */
    bool observed;                       /* the stage is set to observe: this would have been `would` */
    enum verdict would;
    uint8_t *owner;                      /* NULL: the zone */
    uint16_t rrtype;                     /* 0: the name as a whole */
    int64_t n0, n1;
    char *text;                          /* or NULL */
};

struct findings {
    _Atomic uint32_t refs;
    size_t n;                            /* kept, in the order of (stage, owner canonical, type, code) after findings_close */
    struct finding *list;
    size_t total;                        /* reported, kept or not */
    size_t by_verdict[4];                /* of all, after policy */
    enum verdict verdict;                /* the largest */
    struct findings_private *private;    /* until findings_close */
};

struct findings *findings_new(size_t keep);
struct findings *findings_ref(const struct findings *f);
void findings_unref(struct findings *f);              /* NULL allowed */
/* Opens it for a stage. verdicts[code] is the zone's policy for it, NULL = the defaults of its table. */
void findings_stage(struct findings *f, const struct stage_type *stage, const enum verdict *verdicts, bool observe);
/* One that was saved, as it was judged then: stage and code by their names (unknown ones are left out), owner and text are
 * copied. In order; before findings_close. Not counted. */
void findings_restore(struct findings *f, const char *stage, const char *code, const struct finding *saved);
void findings_close(struct findings *f);             /* sorts: the same input gives the same list whatever the threads did */
/* After findings_close: where nothing was found, *f is the one that all such versions share. */
void findings_share(struct findings **f);
/* Is the same said in f (stage, code, owner, type; numbers and words may differ)? O(kept). */
bool findings_has(const struct findings *f, const struct finding *finding);
enum verdict findings_stage_verdict(const struct findings *f); /* of the stage that is open */

/* "www.example. A: signature by key 1234 expired 3600 s ago": the message with {n0} {n1} {text} filled in. Caller frees. */
char *finding_print(const struct finding *finding);
void finding_json(const struct finding *finding, struct json *json);   /* an object, into the open array */
const char *verdict_text(enum verdict v);             /* "pass" "hold" "retry" "reject" */
int verdict_parse(const char *s, enum verdict *out);  /* -E_NOENT; "note" is pass */

#endif
