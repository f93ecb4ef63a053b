/* stageplay: one stage, played without a chain.
 *
 * WHAT   Runs a stage on versions as the chain would, and keeps what an accepted run leaves: input,
 *        output, state. A result that is not accepted is dropped, and nothing of it is left.
 * WHO    One thread.
 */
#ifndef WEIR_TESTS_STAGEPLAY_H
#define WEIR_TESTS_STAGEPLAY_H

#include "pipeline/run/finding.h"

struct stageplay {
    const struct stage_type *type;
    void *conf;
    struct family *family;       /* of outputs */
    struct snapshot *prev, *out; /* of the last accepted run; out NULL for a check-only stage */
    void *state;
    const struct keyset *keys; /* that it is given; borrowed, NULL: none */
};
struct stageresult {
    enum verdict verdict;
    struct findings *findings;
    struct snapshot *next, *out;
    struct changeset *changes; /* of the output; NULL for a check-only stage */
    void *state;
    time_t wake_at, good_until;
    uint64_t visited;
};

/* options: "name=value name=value", or NULL; a list is "a~b,c" for ("a b", "c"). A bad one is refused with -E_CONF. */
int stageplay_open(struct stageplay *play, const struct stage_type *type, const uint8_t *apex,
                   const char *options, struct why *why) MUST_CHECK;
/* The conf alone, for a chain of the caller's; NULL for a stage without options. */
int stageplay_conf(const struct stage_type *type, const uint8_t *apex, const char *options, void **out,
                   struct why *why) MUST_CHECK;
void stageplay_close(struct stageplay *play);
/* Forgets what was accepted: the next run is a first load. */
void stageplay_forget(struct stageplay *play);
/* As if `prev` had been accepted and had left the state that these octets are (state_save's). For a check-only stage. */
void stageplay_resume(struct stageplay *play, const struct snapshot *prev, const uint8_t *octets,
                      size_t len);
struct stageresult stageplay_run(struct stageplay *play, const struct snapshot *next, time_t now,
                                 bool woken, struct par *par);
void stageplay_accept(struct stageplay *play, struct stageresult *result);
void stageplay_drop(struct stageplay *play, struct stageresult *result);
/* A finding of `part` that is no note and not in `whole` as well, or NULL. Code, owner and type count. */
const struct finding *stageresult_found_only(const struct stageresult *part,
                                             const struct stageresult *whole);
/* The findings as text, one a line, sorted; the caller frees. */
char *stageresult_print(const struct stageresult *result);

#endif
