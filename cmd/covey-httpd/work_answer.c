/*
 * work_answer - a change is on this node's disk: who else has it, and what is answered
 *
 * 201 and 204 when a majority of the homes of each path has its record and
 * enough disks its content; 202 when that is not so in the time that the
 * client or the configuration allows.
 */
#include "work_inside.h"

#include "answer.h"
#include "loop/conn.h"
#include "container.h"
#include "freshness.h"
#include "group.h"
#include "push.h"
#include "reply.h"
#include "settle.h"

#include <limits.h>

#define AT_ONCE_MAX 32		/* items of a form that are settled at once */
#define BYTES_PER_MS 32768	/* of a large body, what a keeper's disk is allowed: 32 MiB/s */

/* the answer */

static bool replaced_all(const struct work *work)
{
	for (size_t i = 0; i < work->count; i++)
		if (!work->items[i].replaced)
			return false;
	return true;
}

static int status_of(const struct work *work)
{
	if (work->unconfirmed)
		return 202;
	if (work->kind == WORK_DELETE || work->kind == WORK_RMDIR || work->existed ||
	    replaced_all(work))
		return 204;
	return 201;
}

/* Back to the page that the form stood on: an index, or a history. */
static void answer_form(struct conn *c)
{
	bool restored = !version_is_none(c->request.query.restore);

	answer_redirect(c, 303, restored ? STR("?versions") : STR("./"));
}

/* How many homes and disks the item has that fewest have. */
static void write_state(struct conn *c)
{
	const struct work *work = c->request.work;
	unsigned least[3] = { UINT_MAX, 0, UINT_MAX }, now[3];
	struct buf value = BUF_INIT;

	if (!work->unconfirmed || work->started == 0) {
		answer_version_state(c);
		return;
	}
	for (size_t i = 0; i < work->started; i++) {
		settle_tell(work->items[i].settle, &now[0], &now[1], &now[2]);
		if (now[0] < least[0] || (now[0] == least[0] && now[2] < least[2]))
			memcpy(least, now, sizeof least);
	}
	answer_count(c, false);
	freshness_write_state(&value, least[0], least[1],
			      work->started < work->count ? 1 : least[2]);
	reply_field(&c->output.text, "Version-State", buf_str(&value));
	buf_clear(&value);
}

/* An update that was stored, but not in the group of one in which it was judged. */
static bool is_open(const struct work *work)
{
	if (!work_is_update(work))
		return false;
	for (size_t i = 0; i < work->started; i++)
		if (settle_epoch(work->items[i].settle) != work->alone)
			return true;
	return work->unconfirmed;
}

static void preference_applied(struct conn *c, int status)
{
	struct prefer applied = c->request.prefer;
	struct buf value = BUF_INIT;

	applied.respond_async &= status == 202;
	applied.has_wait &= !work_is_update(c->request.work);
	prefer_applied(&value, &applied);
	if (value.len > 0)
		reply_field(&c->output.text, "Preference-Applied", buf_str(&value));
	buf_clear(&value);
}

static struct version version_of(const struct item *item, const struct work *work)
{
	return work->existed ? item->existing.version : item->commit.record.version;
}

static void answer_work(struct conn *c)
{
	struct work *work = c->request.work;
	int status = status_of(work);
	char etag[ETAG_TEXT];

	c->request.ask.confirmed = !work->unconfirmed;
	notices_write(c, !work->unconfirmed);
	if (is_open(work)) {
		answer_error(c, 504, "the update is stored, and may or may not be what its condition wanted");
		return;
	}
	if (work->form) {
		answer_form(c);
		return;
	}
	answer_begin(c, status);
	if (work->count == 1)
		reply_field(&c->output.text, "ETag",
			    answer_etag(etag, version_of(&work->items[0], work)));
	write_state(c);
	preference_applied(c, status);
	if (status == 204)
		answer_end(c);
	else
		answer_end_text(c, (struct str)STR_INIT);
}

/* homes and keepers */

static void start_next(struct work *work);

/* True: it was answered. */
static bool judge(struct work *work)
{
	struct conn *c = work->conn;
	size_t good = 0;

	for (size_t i = 0; i < work->started; i++) {
		switch (settle_state(work->items[i].settle)) {
		case SETTLE_HOPELESS:
			work->unconfirmed = true;
			break;
		case SETTLE_GOOD:
			good++;
			break;
		case SETTLE_OPEN:
			break;
		}
	}
	if (!work->unconfirmed && good < work->count) {
		work->open = work->started - good;
		start_next(work);
		return false;
	}
	answer_work(c);
	return true;
}

static void changed(void *owner)
{
	struct work *work = owner;
	struct conn *c = work->conn;

	if (!work->answered_it && judge(work)) {
		work->answered_it = true;
		conn_resume(c);
	}
}

static void too_long(struct timer *timer)
{
	struct work *work = CONTAINER_OF(timer, struct work, timer);
	struct conn *c = work->conn;

	work->unconfirmed = work->answered_it = true;
	answer_work(c);
	conn_resume(c);
}

static void start_one(struct work *work, struct item *item, uint64_t wait_ms)
{
	struct settle_what what = { .path = buf_str(&item->path),
				    .type = str_of(item->type),
				    .record = work->existed ? item->existing : item->commit.record,
				    .mark = item->commit.mark,
				    .fd = item->stage ? stage_fd(item->stage) : -1,
				    .push = item->push,
				    .wait_ms = wait_ms };

	item->push = NULL;
	item->settle = settle_start(work->conn->worker, &what, changed, work);
}

static void start_next(struct work *work)
{
	uint64_t now = loop_now(work->conn->worker->loop);

	while (work->started < work->count && work->open < AT_ONCE_MAX) {
		start_one(work, &work->items[work->started++],
			  work->until > now ? work->until - now : 0);
		work->open++;
	}
}

static uint64_t wait_ms(const struct conn *c)
{
	const struct work *work = c->request.work;
	uint64_t size = 0;

	if (c->request.prefer.has_wait && !work_is_update(work))
		return 1000 * c->request.prefer.wait;
	for (size_t i = 0; i < work->count; i++)
		size += work->items[i].commit.record.size;
	return c->worker->httpd->conf->timeouts.store_ms + size / BYTES_PER_MS;
}

static void settle(struct conn *c)
{
	struct work *work = c->request.work;
	uint64_t now = loop_now(c->worker->loop);
	bool waits;

	if (work->until == 0)
		work->until = now + wait_ms(c);
	/* It has a majority's word for its place, and waits for theirs that they have it. */
	waits = !work->unconfirmed &&
		(work_is_update(work) || (!c->request.prefer.respond_async && work->until > now));
	start_next(work);
	if (!waits) {
		work->unconfirmed = work->answered_it = true;
		answer_work(c);
		return;
	}
	work->timer.fire = too_long;
	timer_start(c->worker->loop, &work->timer, work->until > now ? work->until - now : 0);
}

static void refuse(struct conn *c)
{
	struct work *work = c->request.work;
	struct ask *ask = &c->request.ask;

	settle_poke(c->worker);		/* some items may have been committed */
	ask->confirmed = !work->unconfirmed;
	ask->asked = work->asked;
	ask->answered = work->answered;
	if (work->err.kind == ERR_ABSENT)
		answer_version_error(c, 404, str_of(err_reason(&work->err)));
	else
		answer_err(c, &work->err);
}

void work_committed(struct conn *c)
{
	struct work *work = c->request.work;
	struct group *group = c->worker->httpd->group;

	work->existed = work->result < 0 && work->kind == WORK_MKDIR &&
			work->err.kind == ERR_EXISTS;
	c->request.ask.asked = work->asked;
	c->request.ask.answered = work->answered;
	if (work->result < 0 && !work->existed) {
		refuse(c);
	} else if (group != NULL && group_epoch(group) > 0) {
		settle(c);
	} else {
		/* Without a layout nothing is promised, even if covey-versiond was told of one already. */
		work->unconfirmed |= c->worker->httpd->grouped;
		settle_poke(c->worker);
		answer_work(c);
	}
}
