/* status: a zone's other signers. The book says how far each has come, the polling what its servers said last. */
#include "pipeline/net/status_p.h"

#include "pipeline/net/signer.h"
#include "pipeline/run/zone_signers.h"

#include <time.h>

static const char *said_text(enum signer_said said)
{
    static const char *const text[] = {[SIGNER_UNASKED] = "not asked yet",
                                       [SIGNER_ANSWERED] = "answered",
                                       [SIGNER_NOT_SERVED] = "does not serve the zone",
                                       [SIGNER_NO_ANSWER] = "no answer"};
    return text[said];
}

static void view_text(FILE *f, const char *signer, const struct signer_view *view)
{
    char where[ADDRESS_TEXT_MAX], a[AGO_MAX];
    fprintf(f, "servers of %s:", signer);
    for (unsigned i = 0; view && i < view->n; i++) {
        const struct signer_server *row = &view->server[i];
        fprintf(f, "%s %s %s %s", i ? ";" : "", row->name, address_print(&row->address, where),
                said_text(row->said));
        if (row->said != SIGNER_UNASKED)
            fprintf(f, " %s ago", ago(row->at, a));
        if (row->error)
            fprintf(f, " (%s)", row->error);
    }
    fprintf(f, "%s\n", view ? "" : " not asked yet");
}

bool signers_known(struct zone *z)
{
    struct signers *book = zone_conf_of(z)->nsigners ? NULL : zone_signers_book(z);
    bool known = zone_conf_of(z)->nsigners || book;
    signers_free(&book);
    return known;
}

void signers_status_text(FILE *f, struct server *s, struct zone *z)
{
    const struct zone_conf *conf = zone_conf_of(z);
    struct signers *book = zone_signers_book(z);
    struct signers_conf signers;
    if (book) {
        signers_conf_of(conf, &signers);
        char *text = signers_text(book, &signers.policy, time(NULL));
        fputs(text, f);
        mem_free(&text);
    }
    for (unsigned i = 0; i < conf->nsigners; i++)
        if (conf->signers[i].nservers)
            view_text(f, conf->signers[i].name,
                      signer_view_of(s->signers, z, conf->signers[i].name));
    signers_free(&book);
}

void signers_status_json(struct json *j, struct server *s, struct zone *z)
{
    const struct zone_conf *conf = zone_conf_of(z);
    struct signers *book = zone_signers_book(z);
    struct signers_conf signers;
    json_bool(j, "asking", signer_asking(s->signers, z));
    json_bool(j, "wanted", zone_signers_wanted(z));
    if (book) {
        signers_conf_of(conf, &signers);
        signers_json(book, &signers.policy, time(NULL), j);
    }
    json_array(j, "asked");
    for (unsigned i = 0; i < conf->nsigners; i++) {
        const struct signer_view *view = signer_view_of(s->signers, z, conf->signers[i].name);
        if (!view)
            continue;
        json_object(j, NULL);
        json_string(j, "signer", view->signer);
        signer_view_json(view, j);
        json_end(j);
    }
    json_end(j);
    signers_free(&book);
}
