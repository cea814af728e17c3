/*
 * work - changes to the store on behalf of a request
 *
 * Here: what is to be done, and what must hold for it.  The group is asked
 * by work_ask.c while work_commit.c stages the body; that commits, and
 * work_answer.c waits for homes and keepers and answers.
 */
#include "work_inside.h"

#include "answer.h"
#include "conn.h"
#include "fields.h"
#include "handlers.h"
#include "mem.h"
#include "push.h"
#include "rmdir.h"
#include "settle.h"

#include <unistd.h>

struct work *work_new(struct conn *c, enum work_kind kind)
{
	struct work *work = mem_new(1, sizeof *work);

	work->conn = c;
	work->kind = kind;
	work->ask = (struct ask)ASK_INIT;
	return work;
}

void work_free(struct work *work)
{
	if (work == NULL)
		return;
	ask_end(&work->ask);
	timer_stop(&work->timer);
	for (size_t i = 0; i < work->count; i++) {
		settle_leave(work->items[i].settle);
		push_free(work->items[i].push);
		stage_free(work->items[i].stage);
		buf_clear(&work->items[i].small);
		buf_clear(&work->items[i].path);
		if (work->items[i].copy >= 0)
			close(work->items[i].copy);
	}
	free(work->items);
	free(work);
}

struct item *work_add(struct work *work, struct str path)
{
	struct item *item;

	work->items = mem_resize(work->items, work->count + 1, sizeof *work->items);
	item = &work->items[work->count++];
	*item = (struct item){
		.path = BUF_INIT, .small = BUF_INIT, .copy = -1, .commit = COMMIT_INIT
	};
	buf_addstr(&item->path, path);
	return item;
}

/* what must hold */

bool work_is_update(const struct work *work)
{
	const struct conn *c = work->conn;

	return c->worker->httpd->group != NULL && cond_is_update(&c->request.cond);
}

struct registers work_registers(const struct store_entry *here)
{
	return (struct registers){ .file = here->record, .entry = here->entry };
}

static void take_newer(struct record *record, const struct record *other)
{
	if (version_cmp(other->version, record->version) > 0)
		*record = *other;
}

/*
 * A directory's entry is kept by the homes of its name alone: where these
 * said what it is, what this node may have left of one decides nothing.
 */
struct registers work_together(const struct item *item, const struct registers *here)
{
	struct registers r = *here;

	take_newer(&r.file, &item->theirs);
	if (item->sure)
		r.entry = item->their_entry;
	else
		take_newer(&r.entry, &item->their_entry);
	return r;
}

struct record work_standing(const struct registers *r)
{
	return record_name_kind(&r->file, &r->entry) == NAME_FILE ?
		       r->file : (struct record){ .version = VERSION_NONE };
}

int work_judge_cond(const struct conn *c, const struct record *standing, struct err *err)
{
	char text[ETAG_TEXT];
	struct cond_target target = { .exists = record_is_live(standing),
				      .etag = answer_etag(text, standing->version),
				      .modified = answer_modified(standing) };

	switch (cond_check(&c->request.cond, &target)) {
	case COND_MALFORMED:
		return err_set(err, ERR_INVALID, "If-Match or If-None-Match is not a list of entity tags");
	case COND_FAILED:
		if (!target.exists)
			return err_set(err, ERR_PRECONDITION, "nothing is there");
		return err_set(err, ERR_PRECONDITION, "the newest version is %s", text);
	case COND_NOT_MODIFIED:
	case COND_GO:
		break;
	}
	return 0;
}

/*
 * Where a majority of the homes says nothing this node may have what is long
 * gone, and forbids nothing.
 */
int work_judge_kind(const struct item *item, const struct work *work, const struct registers *r,
		    struct err *err)
{
	enum name_kind stands = record_name_kind(&r->file, &r->entry);
	bool directory = stands == NAME_DIRECTORY;

	switch (work->kind) {
	case WORK_FILE:
		if (directory && !item->doubtful)
			return err_set(err, ERR_CONFLICT,
				       "a directory stands there: put the file into it, with its name behind the slash");
		break;
	case WORK_DELETE:
		if (directory && !item->doubtful)
			return err_set(err, ERR_CONFLICT,
				       "a directory stands there: DELETE it with a slash at the end");
		/* What nobody can vouch for may be there, and is to go. */
		if (stands != NAME_FILE && !work->unconfirmed)
			return err_set(err, ERR_ABSENT, "no such file");
		break;
	case WORK_MKDIR:
		if (stands == NAME_FILE && !item->doubtful)
			return err_set(err, ERR_CONFLICT, "a file stands there");
		break;
	case WORK_RMDIR:
		if (!directory)
			return err_set(err, ERR_ABSENT, "no such directory");
		break;
	}
	return 0;
}

int wanted_parse(struct wanted *wanted, struct str field)
{
	int r256 = field.s ? fields_digest_parse(field, wanted->sha256) : 0;
	int r512 = field.s ? fields_digest_parse_512(field, wanted->sha512) : 0;

	wanted->has_256 |= r256 > 0;
	wanted->has_512 |= r512 > 0;
	return r256 < 0 || r512 < 0 ? -1 : 0;
}

/* requests without a body */

static void start_simple(struct conn *c, enum work_kind kind)
{
	if (c->has_body) {
		answer_error(c, 400, "this request takes no body");
		return;
	}
	c->request.work = work_new(c, kind);
	work_add(c->request.work, buf_str(&c->request.path));
	work_run(c);
}

void delete_start(struct conn *c)
{
	start_simple(c, WORK_DELETE);
}

/* In a group of one it is one act, under the lock; a condition is judged as any write's. */
static void remove_directory(struct conn *c)
{
	struct work *work;
	struct err err;

	if (!c->worker->httpd->grouped || c->has_body) {
		start_simple(c, WORK_RMDIR);
		return;
	}
	work = work_new(c, WORK_RMDIR);
	c->request.work = work;
	if (work_judge_cond(c, &(struct record){ .flags = 0 }, &err) < 0 ||
	    work_judge_alone(c, &err) < 0)
		answer_err(c, &err);
	else
		rmdir_start(c);
}

void directory_start(struct conn *c)
{
	if (c->request.path.len == 0)
		answer_error(c, 409, "the root directory is always there");
	else if (c->head.method == METHOD_PUT)
		start_simple(c, WORK_MKDIR);
	else
		remove_directory(c);
}
