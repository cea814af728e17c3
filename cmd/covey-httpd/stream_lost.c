/*
 * stream_lost - content that none of those gives who should have it
 *
 * Whoever read it once may have it still: all live nodes are asked, as many
 * as covey-versiond asks at most.  When nobody has it, an older version that
 * is here is answered.
 */
#include "stream_inside.h"

#include "answer.h"
#include "conn.h"
#include "container.h"
#include "get.h"

#define SLACK_MS 250

/* anybody */

/* Of those who say that they have it only who was not asked yet. */
static void take_new(struct stream *s, const struct newest_answer *answer)
{
	uint64_t others[HOLDERS_MAX];
	size_t count = 0;

	for (size_t i = 0; i < answer->holder_count; i++) {
		size_t at = 0;

		while (at < s->holder_count && s->holders[at] != answer->holders[i])
			at++;
		if (at == s->holder_count)
			others[count++] = answer->holders[i];
	}
	memcpy(s->holders, others, count * sizeof others[0]);
	s->holder_count = count;
}

static void found(struct call *call, struct frame *frame)
{
	struct stream *s = CONTAINER_OF(call, struct stream, call);
	struct conn *c = s->conn;
	struct newest_answer answer = { .holder_count = 0 };

	if (frame == NULL || frame->type != VERSION_TALK_ANSWER ||
	    newest_answer_unpack(frame->body, &answer, NULL) < 0)
		answer.holder_count = 0;
	call_finish(call);
	take_new(s, &answer);
	if (!stream_begin(s))
		stream_lost(s);
	conn_resume(c);
}

bool stream_search(struct stream *s)
{
	struct conn *c = s->conn;
	struct httpd *h = c->worker->httpd;
	struct newest_ask question = { .path = buf_str(&c->request.path),
				       .version = s->record.version, .purpose = NEWEST_HOLDERS };
	struct buf body = BUF_INIT;

	if (s->searched || !h->grouped)
		return false;
	s->searched = true;
	s->call.answer = found;
	newest_ask_pack(&body, &question);
	c->state = CONN_BUSY;
	call_start(c->worker->version, &s->call, VERSION_TALK_NEWEST, buf_str(&body),
		   2 * h->conf->timeouts.check_ms + SLACK_MS);
	buf_clear(&body);
	return true;
}

/* nobody */

static void find_older(struct job *job)
{
	struct stream *s = CONTAINER_OF(job, struct stream, job);
	struct store *store = s->conn->worker->httpd->store;
	struct str path = buf_str(&s->conn->request.path);
	struct history history = HISTORY_INIT;

	if (store_history(store, path, &history, NULL) < 0)
		return;
	for (size_t i = 0; i < history.count; i++) {
		const struct record *r = &history.entries[i].record;

		if (version_cmp(r->version, s->record.version) >= 0)
			continue;
		if (!record_is_live(r))
			break;		/* what was deleted does not come back */
		if (history.entries[i].content &&
		    store_version(store, path, r->version, STORE_CONTENT, &s->older, NULL) == 0)
			break;
	}
	history_clear(&history);
}

static void older_found(struct job *job)
{
	struct stream *s = CONTAINER_OF(job, struct stream, job);
	struct conn *c = s->conn;

	if (s->older.fd < 0) {
		get_absent(c, 503, STR("the newest version's content cannot be had now"));
	} else {
		store_entry_clear(&c->request.entry);
		c->request.entry = s->older;
		s->older = (struct store_entry)STORE_ENTRY_INIT;
		c->request.ask.confirmed = false;
		get_serve(c);
	}
	conn_resume(c);
}

void stream_lost(struct stream *s)
{
	struct conn *c = s->conn;

	s->active = false;
	if (s->fetched != NULL) {
		s->fetched(c, -1);
		return;
	}
	if (!version_is_none(c->request.query.version) || c->request.freshness.no_cache) {
		get_absent(c, 503, STR("this version's content cannot be had now"));
		return;
	}
	c->state = CONN_BUSY;
	s->job = (struct job){ .work = find_older, .done = older_found, .home = c->worker->loop };
	pool_submit(c->worker->httpd->pool, &s->job);
}
