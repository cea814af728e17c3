/*
 * work_ask - what a change depends on beyond this node, asked before it is made
 *
 * About each path, so that its new version sorts above what others have,
 * and about the directories above it that are not known here.  A client that
 * gives the group time (Prefer: wait) has it asked until a majority answers:
 * a version that was chosen without one stays unconfirmed.
 */
#include "work_inside.h"

#include "answer.h"
#include "conn.h"
#include "container.h"
#include "group.h"

#define AGAIN_MS 250		/* until homes are asked again of which no majority answered */

/* What is here, and what the peers said. */
static struct registers known_of(struct conn *c, const struct item *item)
{
	struct store_entry entry = STORE_ENTRY_INIT;
	struct registers here = { .file.flags = 0 };

	if (store_newest(c->worker->httpd->store, buf_str(&item->path), STORE_RECORD, &entry, NULL) == 0)
		here = work_registers(&entry);
	store_entry_clear(&entry);
	return work_together(item, &here);
}

/*
 * In a group of one what is here is all there is, and an update is judged
 * under its path's lock.  In a larger group it depends on what others know:
 * it is refused when it clearly fails, which only a confirmed reading can tell,
 * and not offered yet when it does not.
 *
 * One can become the other at any time.  So covey-versiond must have answered
 * by the layout of this node alone, that must still be the layout when the
 * version is chosen, and the one by which the record was stored in the end:
 * whoever is asked by a later layout is answered after that.
 */
static int judge_update(struct conn *c, const struct item *item, struct err *err)
{
	struct work *work = c->request.work;
	struct registers known;
	struct record standing;

	work->alone = work->unconfirmed ? 0 : work->ask.epoch;
	if (work_judge_alone(c, err) == 0)
		return 0;
	known = known_of(c, item);
	standing = work_standing(&known);
	if (work_judge_cond(c, &standing, err) == 0)
		return work_judge_alone(c, err);
	if (err->kind == ERR_PRECONDITION && !work->ask.confirmed)
		return err_set(err, ERR_AWAY,
			       "whether the condition holds cannot be confirmed now: nothing was done");
	return -1;
}

int work_judge_alone(const struct conn *c, struct err *err)
{
	const struct work *work = c->request.work;

	if (!work_is_update(work) || (work->alone != 0 &&
				      work->alone == group_alone(c->worker->httpd->group)))
		return 0;
	return err_set(err, ERR_UNSUPPORTED,
		       "If-Match and the like are not offered for writes in a group of several nodes yet");
}

/* Whether what is above the path is to be asked about as well. */
static bool wants_above(const struct conn *c, struct str path)
{
	const struct work *work = c->request.work;

	return c->worker->httpd->grouped && (work->kind == WORK_FILE || work->kind == WORK_MKDIR) &&
	       work->ask.certainty != CERTAINTY_UNCONFIRMED && !work->ask.above &&
	       path_parent(path).n > 0;
}

/* The same directory was asked about just now. */
static bool is_beside_the_last(const struct work *work)
{
	return work->asking > 0 &&
	       str_eq(path_parent(buf_str(&work->items[work->asking].path)),
		      path_parent(buf_str(&work->items[work->asking - 1].path)));
}

/* What the next question is about: a directory above the item, or the next item. */
static void next_question(struct conn *c)
{
	struct work *work = c->request.work;
	struct str path = work->ancestor.s ? work->ancestor :
					     buf_str(&work->items[work->asking].path);
	bool known = work->ancestor.s ? record_is_live(&work->ask.entry) : is_beside_the_last(work);

	if (wants_above(c, path) && !known) {
		work->ancestor = path_parent(path);
		return;
	}
	work->ancestor = (struct str)STR_INIT;
	work->asking++;
}

static void note_standing(struct work *work)
{
	const struct ask *ask = &work->ask;

	/* Of what is to go, a majority's word is enough, settled or not. */
	if (ask->certainty != CERTAINTY_UNCONFIRMED ||
	    (work->unconfirmed && ask->answered >= work->answered))
		return;
	work->unconfirmed = true;
	work->asked = ask->asked;
	work->answered = ask->answered;
}

/* In a group of one the nearest thing above the path must be a directory. */
static int judge_above(struct conn *c, struct str path, struct err *err)
{
	while ((path = path_parent(path)).n > 0) {
		struct store_entry entry = STORE_ENTRY_INIT;
		struct registers found;

		if (store_newest(c->worker->httpd->store, path, STORE_RECORD, &entry, err) < 0)
			return -1;
		found = work_registers(&entry);
		store_entry_clear(&entry);
		if (record_name_kind(&found.file, &found.entry) == NAME_FILE)
			return err_set(err, ERR_CONFLICT,
				       "a file stands where a directory is needed: %.*s",
				       STR_ARG(path));
		if (record_is_live(&found.entry))
			break;
	}
	return 0;
}

/*
 * A file that a majority may never have had, or may have deleted by now, is no
 * reason to refuse: of its homes alone, and of most, comes what stands above.
 */
static int judge_ancestor(struct conn *c)
{
	struct work *work = c->request.work;
	const struct ask *ask = &work->ask;

	if (ask->certainty != CERTAINTY_CONFIRMED ||
	    record_name_kind(&ask->record, &ask->entry) != NAME_FILE)
		return 0;
	return err_set(&work->err, ERR_CONFLICT, "a file stands where a directory is needed: %.*s",
		       STR_ARG(work->ancestor));
}

static void note_answer(const struct conn *c, struct item *item)
{
	const struct ask *ask = &c->request.work->ask;
	bool told = ask->certainty != CERTAINTY_UNCONFIRMED;

	item->theirs = ask->record;
	item->their_entry = ask->entry;
	item->sure = c->worker->httpd->grouped && told;
	item->doubtful = !told;
	item->clock = ask->clock;
}

/* 0, or -1: the request fails, work->err says why. */
static int take_answer(struct conn *c)
{
	struct work *work = c->request.work;
	struct item *item = &work->items[work->asking];

	note_standing(work);
	if (work->ancestor.s != NULL)
		return judge_ancestor(c);
	note_answer(c, item);
	return judge_update(c, item, &work->err);
}

static void asked(struct conn *);

/*
 * That there is nothing to be deleted is an answer as a reader's: nobody may
 * see it later.  So is that a condition fails, or that a file is in the way of
 * a directory.  The write of a file only has to be above what a majority knows.
 */
static enum newest_purpose purpose_of(const struct work *work)
{
	bool writes = work->kind == WORK_FILE && work->ancestor.s == NULL;

	return writes && !work_is_update(work) ? NEWEST_WRITE : NEWEST_READ;
}

/* 1: all is known, or the request fails; 0: an answer is awaited. */
static int ask_on(struct conn *c)
{
	struct work *work = c->request.work;

	while (work->result == 0 && work->asking < work->count) {
		struct str path = work->ancestor.s ? work->ancestor :
						     buf_str(&work->items[work->asking].path);

		if (!ask_start(&work->ask, c, path, purpose_of(work), VERSION_NONE, asked))
			return 0;
		work->result = take_answer(c);
		next_question(c);
	}
	return 1;
}

static void ask_all(struct conn *c);

static void ask_again(struct timer *timer)
{
	struct conn *c = CONTAINER_OF(timer, struct work, timer)->conn;

	ask_all(c);
	conn_resume(c);
}

/*
 * No majority answered about something, and the client gives the group time.
 * Of one that gave up the version is chosen now: it is to be above nothing that
 * is written later.
 */
static bool is_worth_waiting(const struct conn *c)
{
	const struct work *work = c->request.work;
	const struct prefer *prefer = &c->request.prefer;
	bool failed = work->result < 0 || (!work->staging && work->stage_result < 0);

	return work->unconfirmed && !failed && !work_is_update(work) && prefer->has_wait &&
	       !prefer->respond_async && !conn_left(c);
}

static void all_asked(struct conn *c)
{
	struct work *work = c->request.work;
	uint64_t now = loop_now(c->worker->loop);

	if (is_worth_waiting(c)) {
		if (work->until == 0)
			work->until = now + 1000 * c->request.prefer.wait;
		if (now < work->until) {
			work->timer.fire = ask_again;
			timer_start(c->worker->loop, &work->timer, AGAIN_MS);
			return;
		}
	}
	work->asked_all = true;
	work_ready(c);
}

static void asked(struct conn *c)
{
	struct work *work = c->request.work;

	work->result = take_answer(c);
	next_question(c);
	if (ask_on(c) > 0)
		all_asked(c);
}

/* From the first: what was answered a while ago is of then. */
static void ask_all(struct conn *c)
{
	struct work *work = c->request.work;

	work->asking = 0;
	work->ancestor = (struct str)STR_INIT;
	work->unconfirmed = false;
	if (ask_on(c) > 0)
		all_asked(c);
}

void work_ready(struct conn *c)
{
	struct work *work = c->request.work;

	if (work->staging || !work->asked_all)
		return;
	if (work->result == 0 && work->stage_result < 0) {
		work->result = -1;
		work->err = work->stage_err;
	}
	if (work->result < 0)
		work_committed(c);
	else
		work_commit(c);
}

/*
 * What is to be copied, or to be put on disk, is on its way there meanwhile.  A
 * body in memory is written with the commit: another errand to the pool would
 * cost more than it saves.
 */
static bool is_small(const struct work *work)
{
	return work->count == 1 && work->items[0].stage == NULL && work->items[0].copy < 0;
}

void work_run(struct conn *c)
{
	struct work *work = c->request.work;

	c->state = CONN_BUSY;
	if (c->worker->httpd->grouped && work->kind == WORK_FILE && !is_small(work))
		work_stage(c);
	ask_all(c);
}

/* before the body */

/* -1: answered. */
static int judge_early(struct conn *c)
{
	struct work *work = c->request.work;
	struct item *item = work->count > 0 ? &work->items[0] : NULL;
	struct registers known;
	struct record standing;
	struct err err;

	if (store_fits(c->worker->httpd->store, 0, &err) < 0)
		goto refused;
	if (item == NULL)
		return 0;
	note_answer(c, item);
	work->unconfirmed = !work->ask.confirmed;
	if (judge_update(c, item, &err) < 0)
		goto refused;
	work->unconfirmed = false;	/* it is asked again when the body is there */
	known = known_of(c, item);
	standing = work_standing(&known);
	if ((c->worker->httpd->grouped || judge_above(c, buf_str(&item->path), &err) == 0) &&
	    work_judge_cond(c, &standing, &err) == 0 && work_judge_kind(item, work, &known, &err) == 0)
		return 0;
refused:
	answer_err(c, &err);
	return -1;
}

static void early_asked(struct conn *c)
{
	if (judge_early(c) == 0)
		c->request.work->welcome(c);
}

void work_welcome(struct conn *c, void (*welcome)(struct conn *))
{
	struct work *work = c->request.work;

	work->welcome = welcome;
	if (work->count == 0 ||
	    ask_start(&work->ask, c, buf_str(&work->items[0].path), purpose_of(work),
		      VERSION_NONE, early_asked))
		early_asked(c);
}
