/*
 * take - TAKE: small contents that another node gives to this one, as a keeper
 *
 *	take_start	the body, sealed
 *	in the pool	open it, commit all of it at once
 *	then		TAKEN, sealed
 *
 * Each is committed as it is, as one that is pushed alone (write.c); what does
 * not fit leaves nothing behind, and keeps none of the others out.
 */
#include "handlers.h"

#include "answer.h"
#include "container.h"
#include "group.h"
#include "loop/conn.h"
#include "log.h"
#include "mem.h"
#include "reply.h"
#include "store.h"
#include "wire.h"

struct take {
	struct conn *conn;
	struct job job;
	struct buf packet, plain;	/* as it came; opened */
	struct buf answer;		/* sealed; empty: it was refused */
	/* of the job */
	struct take_item items[TAKE_ITEMS_MAX];
	struct commit commits[TAKE_ITEMS_MAX];
	uint8_t states[TAKE_ITEMS_MAX];
	size_t count;
};

static void take_end(struct conn *c)
{
	struct take *t = c->request.take;

	buf_clear(&t->packet);
	buf_clear(&t->plain);
	buf_clear(&t->answer);
	free(t);
}

/* 0, or -1: malformed. */
static int take_parse(struct take *t, struct str body)
{
	int more;

	while ((more = take_item_next(&body, &t->items[t->count])) > 0)
		if (++t->count == TAKE_ITEMS_MAX)
			break;
	return more < 0 || body.n > 0 || t->count == 0 ? -1 : 0;
}

/* Its content is what its record says. */
static bool item_is_whole(const struct take_item *item, const struct stage *stage)
{
	return stage_size(stage) == item->record.size &&
	       memcmp(stage_sha256(stage), item->record.sha256, SHA256_BYTES) == 0;
}

/* All that are whole, together. */
static void take_commit(struct take *t, const struct httpd *h)
{
	struct commit *commits[TAKE_ITEMS_MAX];
	struct stage *stages[TAKE_ITEMS_MAX];
	size_t which[TAKE_ITEMS_MAX], n = 0;
	struct err errs[TAKE_ITEMS_MAX];
	int statuses[TAKE_ITEMS_MAX];
	struct layout layout;

	group_layout(h->group, &layout);
	for (size_t i = 0; i < t->count; i++) {
		const struct take_item *item = &t->items[i];

		t->states[i] = TAKE_NOT;
		stages[i] = stage_of_bytes(h->store, item->content);
		if (!item_is_whole(item, stages[i]))
			continue;
		t->commits[i] = commit_of_record(item->path, &item->record, item->type, stages[i],
						 layout.keep_versions);
		t->commits[i].wal = h->wal;
		commits[n] = &t->commits[i];
		which[n++] = i;
	}
	store_commit_all(h->store, commits, n, statuses, errs);
	for (size_t k = 0; k < n; k++) {
		if (statuses[k] == 0)
			t->states[which[k]] = commits[k]->dropped ? TAKE_NEEDLESS : TAKE_HAS;
		else
			log_err(LOG_LEVEL_INFO, &errs[k], "take a content");
	}
	for (size_t i = 0; i < t->count; i++)
		stage_free(stages[i]);
}

static void take_job(struct job *job)
{
	struct take *t = CONTAINER_OF(job, struct take, job);
	const struct httpd *h = t->conn->worker->httpd;
	struct bulk question, answer;

	if (group_open(h->group, buf_str(&t->packet), &t->plain, &question) < 0 ||
	    question.type != BULK_TAKE || take_parse(t, question.body) < 0)
		return;
	take_commit(t, h);
	answer = bulk_answer(&question);
	answer.type = BULK_TAKEN;
	answer.body = (struct str){ (const char *)t->states, t->count };
	group_seal(h->group, &answer, &t->answer);
}

static void take_done(struct job *job)
{
	struct take *t = CONTAINER_OF(job, struct take, job);
	struct conn *c = t->conn;

	if (t->answer.len == 0) {
		answer_error(c, 403, "not of this group, or malformed");
	} else {
		answer_begin(c, 200);
		reply_field(&c->output.text, "Content-Type", STR("application/octet-stream"));
		reply_field(&c->output.text, "Cache-Control", STR("no-store"));
		answer_end_text(c, buf_str(&t->answer));
	}
	conn_resume(c);
}

static void take_received(struct conn *c, struct str body)
{
	struct take *t = c->request.take;

	buf_addstr(&t->packet, body);
	conn_start_job(c, &t->job, take_job, take_done, 0);
}

void take_start(struct conn *c)
{
	struct take *t = mem_new(1, sizeof *t);

	t->conn = c;
	c->request.take = t;
	c->request.end = take_end;
	c->request.sealed = true;
	upload_whole(c, WIRE_CONTENTS_BYTES, take_received);
}
