/* ask - what the group knows of a path: one question to covey-versiond */
#include "ask.h"

#include "conn.h"
#include "container.h"
#include "members.h"

#define SLACK_MS 250		/* versiond's own steps, on a busy machine */

static void forget(struct ask *ask)
{
	ask->standing = STANDING_UNCONFIRMED;
	ask->confirmed = false;
	ask->asked = ask->answered = ask->homes = ask->homes_answered = 0;
	ask->epoch = ask->clock = 0;
	ask->record = (struct record){ .flags = 0 };
	ask->type[0] = '\0';
	ask->directory = ask->silent = ask->known = false;
	ask->holder_count = 0;
}

static void confirm(struct ask *ask)
{
	ask->standing = STANDING_CONFIRMED;
	ask->confirmed = ask->known = true;
}

void ask_none(struct ask *ask, struct conn *c)
{
	struct httpd *h = c->worker->httpd;

	forget(ask);
	if (h->grouped)
		ask->asked = atomic_load_explicit(&h->asked, memory_order_relaxed);
	if (!h->grouped)
		confirm(ask);
}

void ask_members(struct httpd *h)
{
	struct members members = MEMBERS_INIT;

	if (members_load(h->state_directory, &members, NULL) == 0) {
		atomic_store(&h->asked, (unsigned)members_asked(&members));
	}
	members_clear(&members);
}

/* versiond is away: the members this node has met are all that is known. */
static void nobody_answered(struct ask *ask, struct conn *c)
{
	ask_members(c->worker->httpd);
	ask_none(ask, c);
}

static int take(struct ask *ask, struct conn *c, const struct frame *frame)
{
	struct newest_answer answer;

	if (frame->type != VERSION_TALK_ANSWER ||
	    newest_answer_unpack(frame->body, &answer, NULL) < 0)
		return -1;
	ask->standing = answer.standing;
	ask->confirmed = answer.standing == STANDING_CONFIRMED;
	ask->asked = answer.counts.peers;
	ask->answered = answer.counts.peers_answered;
	ask->homes = answer.counts.homes;
	ask->homes_answered = answer.counts.homes_answered;
	ask->epoch = answer.epoch;
	ask->clock = answer.clock;
	ask->record = answer.record;
	ask->directory = answer.directory;
	ask->known = answer.known;
	ask->silent = ask->asked > 0 && ask->answered == 0;
	memcpy(ask->type, answer.type.s ? answer.type.s : "", answer.type.n);
	ask->type[answer.type.n] = '\0';
	memcpy(ask->holders, answer.holders, sizeof ask->holders);
	ask->holder_count = answer.holder_count;
	atomic_store_explicit(&c->worker->httpd->asked, ask->asked, memory_order_relaxed);
	return 0;
}

static void answered(struct call *call, struct frame *frame)
{
	struct ask *ask = CONTAINER_OF(call, struct ask, call);
	struct conn *c = ask->conn;

	if (frame == NULL || take(ask, c, frame) < 0)
		nobody_answered(ask, c);
	call_finish(call);
	ask->done(c);
	conn_resume(c);
}

bool ask_start(struct ask *ask, struct conn *c, struct str path, enum newest_purpose purpose,
	       struct version version, void (*done)(struct conn *))
{
	struct httpd *h = c->worker->httpd;
	struct newest_ask question = { .path = path, .version = version, .purpose = purpose };
	struct buf body = BUF_INIT;

	forget(ask);
	ask->began = loop_now(c->worker->loop);
	if (!h->grouped) {
		confirm(ask);
		return true;
	}
	ask->conn = c;
	ask->done = done;
	ask->call.answer = answered;
	newest_ask_pack(&body, &question);
	c->state = CONN_BUSY;
	/* It may ask, and then store what a minority has. */
	call_start(c->worker->version, &ask->call, VERSION_TALK_NEWEST, buf_str(&body),
		   2 * h->conf->timeouts.check_ms + SLACK_MS);
	buf_clear(&body);
	return false;
}

void ask_end(struct ask *ask)
{
	call_finish(&ask->call);
}
