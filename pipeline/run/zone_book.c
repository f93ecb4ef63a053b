/* Views wait here until a turn takes them in, files are looked at by every turn.
 */
#include "pipeline/run/zone_book.h"

#include "pipeline/base/log.h"
#include "pipeline/run/signer_keys.h"
#include "pipeline/run/zone_parent.h"

#include <string.h>

struct book_file {
    char *signer;
    struct signer_keys keys;
    bool told; /* that it cannot be used */
};

struct zone_book {
    unsigned nfiles; /* of the turn */
    struct book_file *file[SIGNERS_MAX];

    pthread_mutex_t lock; /* for what follows */
    unsigned nviews;
    struct signer_view *view[SIGNERS_MAX]; /* said, and not yet taken in; no two of one signer */
    char *shown; /* the book as of the last turn, printed; NULL: there is none */
};

struct zone_book *zone_book_new(void)
{
    struct zone_book *b = mem_zalloc(sizeof *b);
    pthread_mutex_init(&b->lock, NULL);
    return b;
}

static void file_free(struct book_file **f)
{
    mem_free(&(*f)->signer);
    signer_keys_clear(&(*f)->keys);
    mem_free(f);
}

void zone_book_free(struct zone_book **bp)
{
    struct zone_book *b = *bp;
    if (!b)
        return;
    for (unsigned i = 0; i < b->nfiles; i++)
        file_free(&b->file[i]);
    for (unsigned i = 0; i < b->nviews; i++)
        signer_view_unref(b->view[i]);
    mem_free(&b->shown);
    pthread_mutex_destroy(&b->lock);
    mem_free(bp);
}

/* ---- views */

void zone_book_view(struct zone_book *b, const struct signer_view *view)
{
    struct signer_view *before = NULL;
    unsigned i = 0;
    pthread_mutex_lock(&b->lock);
    while (i < b->nviews && strcmp(b->view[i]->signer, view->signer) != 0)
        i++;
    if (i < b->nviews)
        before = b->view[i];
    else if (i == SIGNERS_MAX) /* of signers that a reload took away: no turn wants them */
        before = b->view[--i];
    else
        b->nviews++;
    b->view[i] = signer_view_ref(view);
    pthread_mutex_unlock(&b->lock);
    signer_view_unref(before);
}

static unsigned views_take(struct zone_book *b, struct signer_view *out[SIGNERS_MAX])
{
    pthread_mutex_lock(&b->lock);
    unsigned n = b->nviews;
    memcpy(out, b->view, n * sizeof out[0]);
    b->nviews = 0;
    pthread_mutex_unlock(&b->lock);
    return n;
}

/* ---- files */

static void file_tell(struct book_file *f, const struct zone *z, const struct why *bad)
{
    if (bad && !f->told)
        log_warn("a signer's keys_file cannot be used: what it said before stays",
                 LOG_KV("zone", LOG_S(z->text)), LOG_KV("signer", LOG_S(f->signer)),
                 LOG_KV("why", LOG_S(bad->text)));
    if (!bad && f->told)
        log_notice("a signer's keys_file is good again", LOG_KV("zone", LOG_S(z->text)),
                   LOG_KV("signer", LOG_S(f->signer)));
    f->told = bad != NULL;
}

static struct book_file *file_of(struct zone_book *b, const char *signer)
{
    for (unsigned i = 0; i < b->nfiles; i++)
        if (strcmp(b->file[i]->signer, signer) == 0)
            return b->file[i];
    ASSERT(b->nfiles < SIGNERS_MAX);
    struct book_file *f = mem_zalloc(sizeof *f);
    f->signer = mem_strdup(signer);
    b->file[b->nfiles++] = f;
    return f;
}

static bool has_file(const struct zone_conf *conf, const char *signer)
{
    for (unsigned i = 0; i < conf->nsigners; i++)
        if (conf->signers[i].keys_file && strcmp(conf->signers[i].name, signer) == 0)
            return true;
    return false;
}

/* The file of each signer that has one, and that could be read, ever. */
static unsigned files_look(struct zone_book *b, const struct zone *z, const struct zone_conf *conf,
                           struct signer_file out[SIGNERS_MAX])
{
    unsigned n = 0;
    for (unsigned i = 0; i < b->nfiles;) {
        if (has_file(conf, b->file[i]->signer)) {
            i++;
            continue;
        }
        file_free(&b->file[i]);
        b->file[i] = b->file[--b->nfiles];
    }
    for (unsigned i = 0; i < conf->nsigners; i++) {
        struct why why;
        if (!conf->signers[i].keys_file)
            continue;
        struct book_file *f = file_of(b, conf->signers[i].name);
        int err = signer_keys_look(&f->keys, conf->signers[i].keys_file, z->name, &why);
        file_tell(f, z, err ? &why : NULL);
        if (f->keys.node)
            out[n++] = (struct signer_file){f->signer, f->keys.node};
    }
    return n;
}

/* ---- the step */

void zone_book_step(struct zone_book *b, struct zone *z, struct keyring_store *store,
                    const struct zone_conf *conf, const struct keyring_facts *ring_facts,
                    const struct version *v, struct signers_plan *plan)
{
    struct signer_view *view[SIGNERS_MAX];
    struct signer_file file[SIGNERS_MAX];
    struct signers_conf signers;
    unsigned nviews = views_take(b, view);
    if (store->book || conf->nsigners) {
        signers_conf_of(conf, &signers);
        struct parent_view *parent = zone_parent_view(z);
        struct signers_facts facts = {.time = ring_facts->time,
                                      .nviews = nviews,
                                      .view = (const struct signer_view *const *)view,
                                      .file = file,
                                      .parent = parent,
                                      .apex = v ? snapshot_apex(v->served) : NULL,
                                      .ring = store->ring};
        facts.nfiles = files_look(b, z, conf, file);
        facts.zone_ttl_max = ring_facts->uses ? ring_facts->uses->ttl_max : 0;
        if (!store->book)
            store->book = signers_new(store->apex);
        signers_step(store->book, &signers.policy, &facts, plan);
        parent_view_unref(parent);
        if (conf->nsigners && b->nfiles && (!plan->wake_in || plan->wake_in > ZONE_BOOK_FILES_S))
            plan->wake_in = ZONE_BOOK_FILES_S;
    }
    for (unsigned i = 0; i < nviews; i++)
        signer_view_unref(view[i]);
}

void zone_book_tell(const struct zone *z, const struct signers_plan *plan)
{
    for (unsigned i = 0; i < plan->nevents; i++) {
        const struct signers_event *e = &plan->event[i];
        log_line(e->alarm || e->back ? LOG_WARN : LOG_NOTICE,
                 e->alarm  ? "another signer of the zone is not as it should be"
                 : e->back ? "another signer of the zone is set back: what a step had seen is no "
                             "longer so"
                           : "another signer of the zone goes on",
                 (const struct log_pair[]){LOG_KV("zone", LOG_S(z->text)),
                                           LOG_KV("signer", LOG_S(e->signer)),
                                           LOG_KV("step", LOG_S(signer_step_text(e->step))),
                                           LOG_KV("what", LOG_S(e->text)),
                                           {0}});
    }
}

void zone_book_end(struct zone_book *b, const struct signers *now)
{
    char *shown = now ? signers_print(now) : NULL;
    pthread_mutex_lock(&b->lock);
    char *before = b->shown;
    b->shown = shown;
    pthread_mutex_unlock(&b->lock);
    mem_free(&before);
}

struct signers *zone_book_copy(struct zone_book *b, const uint8_t *apex)
{
    struct signers *book = NULL;
    struct why why;
    pthread_mutex_lock(&b->lock);
    char *text = b->shown ? mem_strdup(b->shown) : NULL;
    pthread_mutex_unlock(&b->lock);
    if (text && signers_parse(text, strlen(text), apex, &book, &why))
        log_error("what is known of the zone's other signers cannot be shown",
                  LOG_KV("why", LOG_S(why.text)));
    mem_free(&text);
    return book;
}
