/*
 * write - a change to the store on behalf of a request, from its head to its answer
 *
 * write_run() is the whole of it, one step below the other, and the file has
 * the steps in their order; behind them is how each kind of write begins.
 *
 * A write outlives its request while homes and keepers that were not needed
 * for the answer are still on their way to have it.  It belongs to its
 * worker's loop; what blocks is done in the pool.
 *
 * They are steps of the loop and not one blocking job: while a majority of
 * the homes is away each writer waits for seconds, or for minutes if it
 * prefers that, and a thousand of them would hold every thread of a pool
 * whose threads are there to wait for the disk.  So a step that waits for
 * other nodes leaves, and only what this node's disk does is in the pool.
 */
#include "handlers.h"

#include "answer.h"
#include "backoff.h"
#include "clock.h"
#include "coding.h"
#include "loop/conn.h"
#include "container.h"
#include "digest.h"
#include "door.h"
#include "fields.h"
#include "freshness.h"
#include "group.h"
#include "inventory.h"
#include "list.h"
#include "log.h"
#include "mem.h"
#include "multipart.h"
#include "peer_http.h"
#include "pool.h"
#include "pull.h"
#include "quorum.h"
#include "range.h"
#include "reply.h"
#include "store.h"
#include "sync_talk.h"
#include "wire.h"

#include <errno.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define AT_ONCE_MAX 32		/* items of a form that are replicated at once */
#define AFTER_MAX 512		/* writes that go on after their answer; beyond it the rest is covey-syncd's at once */
#define STEADY_MS 5000		/* since the last 202 or look at the group, until the next look */
#define NEAR_FACTOR 2		/* of limits.min_free: the disk is nearly full */
#define ROOM_FACTOR 3		/* the same: it has room again */
#define LARGE_BYTES (1u << 20)	/* a larger body is pushed while it arrives, and given more time */
#define BYTES_PER_MS 32768	/* of a large body, what a keeper's disk is allowed: 32 MiB/s */
#define HOMES_RETRY_MS 250	/* until homes of which no majority answered are asked again, at first */
#define HOMES_RETRY_MAX_MS 4000	/* and at most */
#define HOMES_LAST_MS 500	/* what the last try leaves them to answer */
#define SHA512_BYTES 64
#define CHUNK_BYTES (256u << 10)
#define FIRST_BYTES (16u << 10)		/* of a chunk whose body's length is not known */
#define WAITING_PART 4		/* of limits.connections, one in so many may wait by preference */
#define FILES_MAX 1000			/* in one form */
#define FORM_SMALL (64u << 10)		/* bytes of a file of a form that may stay in memory */
#define AFTER_MS 500		/* STORE: for the homes that answer after a majority */
#define HOLD_MS 200		/* STORE waits so long for a push to homes */
#define LOOK_MS 20		/* for a layout that is known to be there */
#define GROWING_MS 10000	/* covey-syncd's answer while a body arrives */
#define LARGE_MS 60000		/* to push a large content */

enum write_kind { WRITE_FILE, WRITE_DELETE, WRITE_MKDIR, WRITE_RMDIR };

/* One path and what becomes of it. */
struct write_item {
	struct buf path;
	struct stage *stage;		/* owned; not synced yet; NULL: `small` has the body */
	struct buf small;
	size_t charged;			/* bytes of the budget that `small` takes */
	bool form_file;			/* its stage is one of httpd.form_files */
	int copy_fd;			/* owned: a file that has the body instead; or -1 */
	char type[RECORD_TYPE_MAX + 1];
	struct commit commit;		/* fixed: the version, if it is chosen already */
	struct replicate *replicate;	/* owned; from a large body's beginning, or from the commit; or NULL */
	struct record group_file;	/* the file's newest that the group knows */
	struct record group_entry;	/* the directory's */
	bool entry_known;		/* a majority of its homes said what the entry is */
	bool unanswered;		/* no majority said anything: what this node has forbids nothing */
	uint64_t clock;			/* ns: the group's; 0: not known */
	bool replaced;			/* a file stood there, as far as was known */
	struct record existing;		/* of a directory that was there already; or what a peer pushes */
};

/* The digests of a Repr-Digest or Content-Digest. */
struct body_digests {
	bool has_256, has_512;
	uint8_t sha256[SHA256_BYTES], sha512[SHA512_BYTES];
};

/* What a step of a job comes to: the next one follows at once, or when something has come. */
enum outcome { GO_ON, WAIT };

/* The steps, in their order; write_steps[] says what each is. */
enum write_step {
	WRITE_ASK_EARLY,
	WRITE_JUDGE_EARLY,
	WRITE_RECEIVE,
	WRITE_STAGE,
	WRITE_ASK,
	WRITE_TAKE,
	WRITE_COMMIT,
	WRITE_REPLICATE,
	WRITE_JUDGE,
	WRITE_ANSWER,
	WRITE_ANSWERED,
};

struct write {
	struct conn *conn;		/* NULL: its request is over */
	struct worker *worker;
	enum write_kind kind;
	struct write_item *items;	/* owned */
	size_t count, room;
	uint32_t mtime;			/* the client's, or 0 */
	struct body_digests repr, content;	/* what the (only) body must have */
	bool form;			/* a browser's form: answered 303 */
	bool waits;			/* it is one of httpd.waiting */
	enum write_step step;		/* the next one */
	struct link link;		/* of the worker's whose requests are over */
	struct job job;
	int (*prepare)(struct write *, struct write_item *, struct err *);	/* fills the item's commit */
	struct timer timer;		/* until homes are asked again, or the client waits no longer */
	uint64_t until;			/* ms, loop's clock: the client waits; 0: that has not begun */
	struct ask ask;
	size_t asking;			/* which item is being asked about */
	struct str parent;		/* which directory above it; s NULL: the path itself */
	unsigned tries;			/* to ask homes of which no majority answered */
	uint64_t alone_epoch;		/* of the layout of this node alone that an update was judged in */
	bool unconfirmed;		/* some answer was, or became so */
	uint32_t peers, peers_answered;	/* of the least sure answer */
	bool staging, staged;		/* the pool has the bodies; it has had them */
	int stage_result;		/* the pool's while staging */
	struct err stage_err;
	int result;			/* -1: it is refused, err says why */
	struct err err;
	struct coded *coded;		/* owned: a body that another node pushes is coded; or NULL */
	struct rmdir *rmdir;		/* owned: removes a directory from a group; or NULL */
	bool existed;			/* nothing had to be done: the directory was there */
	size_t started, open;		/* items that are replicated, and of them those not confirmed yet */
};

static enum outcome ask_early(struct write *);
static enum outcome judge_early(struct write *);
static enum outcome receive(struct write *);
static enum outcome stage(struct write *);
static enum outcome ask_homes(struct write *);
static enum outcome take_answer(struct write *);
static enum outcome commit(struct write *);
static enum outcome replicate(struct write *);
static enum outcome judge(struct write *);
static enum outcome answer(struct write *);

static enum outcome (*const write_steps[])(struct write *) = {
	[WRITE_ASK_EARLY] = ask_early,		/* the homes, before a body that is large, or conditional */
	[WRITE_JUDGE_EARLY] = judge_early,	/* is it refused whatever its body is? */
	[WRITE_RECEIVE] = receive,		/* the body, into memory or a stage */
	[WRITE_STAGE] = stage,			/* what is not small goes to this disk, beside the questions */
	[WRITE_ASK] = ask_homes,		/* the homes of each path, and of the directories above it */
	[WRITE_TAKE] = take_answer,		/* their answer: the next question, or a refusal, or all is known */
	[WRITE_COMMIT] = commit,		/* choose a version above all that is known, on this disk */
	[WRITE_REPLICATE] = replicate,		/* its record to the homes, its content to the keepers */
	[WRITE_JUDGE] = judge,			/* do enough of them have it, or is it too late? */
	[WRITE_ANSWER] = answer,		/* 201, 204 or 202; or why it is refused */
};

/*
 * Each step runs once.  One that has to WAIT has seen to it that this is
 * called again when something has come.  The next step is the one below,
 * unless a step names another.
 */
static void write_run(struct write *w)
{
	while (w->step < WRITE_ANSWERED && write_steps[w->step++](w) == GO_ON)
		;
}

/* From outside a handler. */
static void write_resume(struct write *w)
{
	struct conn *c = w->conn;

	write_run(w);
	conn_resume(c);
}

static void time_is_up(struct timer *timer)
{
	write_resume(CONTAINER_OF(timer, struct write, timer));
}

static void write_refuse(struct write *w)
{
	w->result = -1;
	w->step = WRITE_ANSWER;
}

static void write_end(struct conn *);
static void coded_free(struct coded *);

/* Who prefers to wait has a place for so long: not all of them may be such. */
static void write_bound_wait(struct write *w)
{
	struct httpd *h = w->worker->httpd;
	struct prefer *prefer = &w->conn->request.prefer;

	if (!prefer->has_wait)
		return;
	w->waits = true;
	if (atomic_fetch_add(&h->waiting, 1) < 1 + h->conf->limits.connections / WAITING_PART)
		return;
	prefer->has_wait = false;
	floods_note(h, FLOOD_WAIT, &w->conn->line->source);
}

static struct write *write_new(struct conn *c, enum write_kind kind)
{
	struct write *w = mem_new(1, sizeof *w);

	w->conn = c;
	w->worker = c->worker;
	w->kind = kind;
	w->ask = (struct ask)ASK_INIT;
	w->timer.fire = time_is_up;
	c->request.write = w;
	c->request.end = write_end;
	write_bound_wait(w);
	return w;
}

/* The body is elsewhere by now, or of no use. */
static void item_drop_small(const struct write *w, struct write_item *item)
{
	buf_clear(&item->small);
	budget_give(&w->worker->httpd->buffers, item->charged);
	item->charged = 0;
}

static void item_drop_stage(const struct write *w, struct write_item *item)
{
	stage_free(item->stage);
	item->stage = item->commit.stage = NULL;
	if (item->form_file)
		atomic_fetch_sub(&w->worker->httpd->form_files, 1);
	item->form_file = false;
}

/* Good until the next one is added. */
static struct write_item *write_add(struct write *w, struct str path)
{
	struct write_item *item;

	if (w->count == w->room) {
		w->room = w->room ? 2 * w->room : 1;
		w->items = mem_resize(w->items, w->room, sizeof *w->items);
	}
	item = &w->items[w->count++];
	*item = (struct write_item){
		.path = BUF_INIT, .small = BUF_INIT, .copy_fd = -1, .commit = COMMIT_INIT
	};
	buf_addstr(&item->path, path);
	return item;
}

/* Its body is there, or there is none. */
static void write_received(struct write *w)
{
	w->conn->state = CONN_BUSY;
	w->step = WRITE_STAGE;
	write_run(w);
}

/* what must hold */

static bool is_update(const struct write *w)
{
	return w->worker->httpd->group != NULL && cond_is_update(&w->conn->request.cond);
}

/* What is known of a name, of either kind. */
struct registers {
	struct record file, entry;
};

static struct registers registers_of(const struct store_entry *here)
{
	return (struct registers){ .file = here->record, .entry = here->entry };
}

/*
 * What is here, and what the group knows.  A directory's entry is kept by the
 * homes of its name alone: where these said what it is, what this node may
 * have left of one decides nothing.
 */
static struct registers registers_merge(const struct write_item *item, struct registers r)
{
	record_take_newer(&r.file, &item->group_file);
	if (item->entry_known)
		r.entry = item->group_entry;
	else
		record_take_newer(&r.entry, &item->group_entry);
	return r;
}

static struct registers registers_known(const struct write *w, const struct write_item *item)
{
	struct store_entry entry = STORE_ENTRY_INIT;
	struct registers here = { .file.flags = 0 };

	if (store_newest(w->worker->httpd->store, buf_str(&item->path), STORE_RECORD, &entry, NULL) == 0)
		here = registers_of(&entry);
	store_entry_clear(&entry);
	return registers_merge(item, here);
}

/* The record of the file that stands there; version none: no file does. */
static struct record file_there(const struct registers *r)
{
	return record_name_kind(&r->file, &r->entry) == NAME_FILE ?
		       r->file : (struct record){ .version = VERSION_NONE };
}

static int judge_condition(const struct write *w, const struct record *file, struct err *err)
{
	char text[ETAG_TEXT];
	struct cond_target target = answer_target(text, file);

	switch (cond_check(&w->conn->request.cond, &target)) {
	case COND_MALFORMED:
		return err_set(err, ERR_INVALID, "If-Match or If-None-Match is not a list of entity tags");
	case COND_FAILED:
		if (!target.exists)
			return err_set(err, ERR_PRECONDITION, "nothing is there");
		return err_set(err, ERR_PRECONDITION, "the newest version is %.*s", STR_ARG(target.etag));
	case COND_NOT_MODIFIED:
	case COND_GO:
		break;
	}
	return 0;
}

/* The epoch of a layout that has this node and no other; 0: it is not that. */
static uint64_t alone_epoch(const struct httpd *h)
{
	struct layout layout;

	group_layout(h->group, &layout);
	return layout.count == 1 && layout.members[0].id == store_node(h->store) ? layout.epoch : 0;
}

/* -1: it is an update, and there are other nodes, or may be. */
static int judge_alone(const struct write *w, struct err *err)
{
	if (!is_update(w) || (w->alone_epoch != 0 && w->alone_epoch == alone_epoch(w->worker->httpd)))
		return 0;
	return err_set(err, ERR_UNSUPPORTED,
		       "If-Match and the like are not offered for writes in a group of several nodes yet");
}

/*
 * Without a majority's answer (item->unanswered) what this node has may be
 * outdated, and forbids nothing.
 */
static int judge_kind(const struct write *w, const struct write_item *item,
		      const struct registers *r, struct err *err)
{
	enum name_kind stands = record_name_kind(&r->file, &r->entry);
	bool directory = stands == NAME_DIRECTORY;

	switch (w->kind) {
	case WRITE_FILE:
		if (directory && !item->unanswered)
			return err_set(err, ERR_CONFLICT,
				       "a directory stands there: put the file into it, with its name behind the slash");
		break;
	case WRITE_DELETE:
		if (directory && !item->unanswered)
			return err_set(err, ERR_CONFLICT,
				       "a directory stands there: DELETE it with a slash at the end");
		/* Without a majority's word a file may be there: the deletion is stored anyway. */
		if (stands != NAME_FILE && !w->unconfirmed)
			return err_set(err, ERR_ABSENT, "no such file");
		break;
	case WRITE_MKDIR:
		if (stands == NAME_FILE && !item->unanswered)
			return err_set(err, ERR_CONFLICT, "a file stands there");
		break;
	case WRITE_RMDIR:
		if (!directory)
			return err_set(err, ERR_ABSENT, "no such directory");
		break;
	}
	return 0;
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
static int judge_update(struct write *w, const struct write_item *item, struct err *err)
{
	struct registers known;
	struct record file;

	w->alone_epoch = w->unconfirmed ? 0 : w->ask.epoch;
	if (judge_alone(w, err) == 0)
		return 0;
	known = registers_known(w, item);
	file = file_there(&known);
	if (judge_condition(w, &file, err) == 0)
		return judge_alone(w, err);
	if (err->kind == ERR_PRECONDITION && !w->ask.confirmed)
		return err_set(err, ERR_AWAY,
			       "whether the condition holds cannot be confirmed now: nothing was done");
	return -1;
}

static int file_in_the_way(struct str path, struct err *err)
{
	return err_set(err, ERR_CONFLICT, "a file stands where a directory is needed: %.*s",
		       STR_ARG(path));
}

/* In a group of one the nearest thing above the path must be a directory. */
static int judge_parents_here(const struct write *w, struct str path, struct err *err)
{
	while ((path = path_parent(path)).n > 0) {
		struct store_entry entry = STORE_ENTRY_INIT;
		struct registers found;

		if (store_newest(w->worker->httpd->store, path, STORE_RECORD, &entry, err) < 0)
			return -1;
		found = registers_of(&entry);
		store_entry_clear(&entry);
		if (record_name_kind(&found.file, &found.entry) == NAME_FILE)
			return file_in_the_way(path, err);
		if (record_is_live(&found.entry))
			break;
	}
	return 0;
}

/*
 * Only a confirmed file is a reason to refuse: another one a majority may
 * never have had, or may have deleted by now.
 */
static int judge_parent(const struct write *w, struct err *err)
{
	const struct ask *ask = &w->ask;

	if (ask->certainty != CERTAINTY_CONFIRMED ||
	    record_name_kind(&ask->record, &ask->entry) != NAME_FILE)
		return 0;
	return file_in_the_way(w->parent, err);
}

/* ask: what the homes know */

/*
 * The plain write of a file only has to be above what a majority knows.  What
 * may be refused for what is there (404, 409, 412) is asked as a reader asks,
 * so that no later reader sees it otherwise.
 */
static enum newest_purpose purpose_of(const struct write *w)
{
	bool writes = w->kind == WRITE_FILE && w->parent.s == NULL;

	return writes && !is_update(w) ? NEWEST_WRITE : NEWEST_READ;
}

static void ask_answered(struct conn *c)
{
	write_run(c->request.write);
}

static enum outcome ask_about(struct write *w, struct str path)
{
	return ask_start(&w->ask, w->conn, path, purpose_of(w), VERSION_NONE, ask_answered) ? GO_ON :
											      WAIT;
}

static void item_note_answer(const struct write *w, struct write_item *item)
{
	const struct ask *ask = &w->ask;
	bool told = ask->certainty != CERTAINTY_UNCONFIRMED;

	item->group_file = ask->record;
	item->group_entry = ask->entry;
	item->entry_known = w->worker->httpd->grouped && told;
	item->unanswered = !told;
	item->clock = ask->clock;
}

/*
 * A client that waits for 100 (Continue), or has a condition, is spared a body
 * in vain.  A small unconditional one is sooner sent than asked about.
 */
static enum outcome ask_early(struct write *w)
{
	const struct head *head = &w->conn->head;
	bool update = cond_is_update(&w->conn->request.cond);
	bool large = head->framing != FRAMING_LENGTH || head->length > LARGE_BYTES;

	if (!head->expect_continue && !update)
		w->step = WRITE_RECEIVE;
	else if (w->count > 0 && (!w->worker->httpd->grouped || update || large))
		return ask_about(w, buf_str(&w->items[0].path));
	return GO_ON;
}

/* -1: this disk, or what the homes answered if they were asked, is a reason to refuse. */
static int check_early(struct write *w)
{
	struct write_item *item = &w->items[0];
	struct registers known;
	struct record file;

	if (store_fits(w->worker->httpd->store, 0, &w->err) < 0)
		return -1;
	if (w->ask.began == 0)
		return 0;
	item_note_answer(w, item);
	w->unconfirmed = !w->ask.confirmed;
	if (judge_update(w, item, &w->err) < 0)
		return -1;
	w->unconfirmed = false;		/* the homes are asked again when the body is there */
	known = registers_known(w, item);
	file = file_there(&known);
	if (!w->worker->httpd->grouped && judge_parents_here(w, buf_str(&item->path), &w->err) < 0)
		return -1;
	return judge_condition(w, &file, &w->err) < 0 ? -1 : judge_kind(w, item, &known, &w->err);
}

static enum outcome judge_early(struct write *w)
{
	if (check_early(w) < 0)
		write_refuse(w);
	return GO_ON;
}

/*
 * receive: the body, into memory or a stage
 *
 * A body that fits one chunk stays in memory, and one job does the rest:
 * stage, sync, commit.  A larger one goes through a ring of chunks: the client
 * fills one after the other, and two lanes in the pool, each at its own pace,
 * write and hash those that are full.  A chunk that every lane is through with
 * is filled again; while there is none, the client waits.  No thread waits for
 * a client, ever, and no lane has a thread for longer than one round of the
 * ring: others are served in between.
 */

#define CHUNKS 4			/* of an upload; a power of two, so that counting them may overflow */
#define TURN_BYTES (CHUNKS * CHUNK_BYTES)	/* from one client, until others are served */

struct chunk {
	char *data;			/* owned */
	size_t len;			/* bytes of a full one */
	size_t cap;
};

struct lane {
	struct upload *upload;
	void (*take)(struct upload *, const struct chunk *);	/* in the pool */
	struct job job;
	bool runs;			/* its job is in the pool */
	atomic_uint taken;		/* chunks that it is through with */
};

struct upload {
	struct conn *conn;
	bool is_form;			/* multipart/form-data; else a raw body */
	struct multipart multipart;
	bool in_file;			/* the current part is a file: its content counts */
	void (*pushed)(struct conn *);	/* takes what another node pushed; or NULL */
	void (*whole)(struct conn *, struct str);	/* wants it whole, in memory; or NULL */
	int incoming;			/* owned: says that it comes (store.h), or -1 */
	struct chunk chunks[CHUNKS];
	size_t charged;			/* bytes of the budget that they take */
	bool starved;			/* there is no chunk to fill, until a lane is through with one */
	atomic_uint filled;		/* chunks that are full; the next one is being filled, */
	size_t filling;			/* with so many bytes */
	struct lane lanes[2];
	size_t lane_count;		/* 0: none of the body went to the disk; else all of it must */
	unsigned running;		/* lanes that run */
	struct task progress;		/* a lane came further; the write may, too, and the client */
	atomic_bool progressed;		/* that is posted */
	atomic_uint_least64_t written;	/* bytes in the stage of a raw body */
	bool gone;			/* the client left, or its body is no body */
	int status;			/* what to answer then; 0: nothing */
	const char *why;
	atomic_bool failed;		/* a lane did; err says why */
	struct err err;
};

static struct upload *upload_new(struct conn *c)
{
	struct upload *u = c->request.upload = mem_new(1, sizeof *u);

	u->conn = c;
	u->multipart = (struct multipart)MULTIPART_INIT;
	u->incoming = -1;
	return u;
}

static void chunks_free(struct upload *u)
{
	budget_give(&u->conn->worker->httpd->buffers, u->charged);
	u->charged = 0;
	for (size_t i = 0; i < CHUNKS; i++) {
		free(u->chunks[i].data);
		u->chunks[i] = (struct chunk){ .data = NULL };
	}
}

void upload_free(struct upload *u)
{
	if (u == NULL)
		return;
	multipart_clear(&u->multipart);
	if (u->incoming >= 0)
		close(u->incoming);
	chunks_free(u);
	free(u);
}

static struct write_item *raw_item(struct upload *u)
{
	return &u->conn->request.write->items[0];
}

/* The content type that is worth keeping of the one a client named, or "". */
static void upload_type(const struct mime *mime, struct str type, struct str path,
			char to[RECORD_TYPE_MAX + 1])
{
	to[0] = '\0';
	if (type.s == NULL || !fields_type_valid(type) || type.n > RECORD_TYPE_MAX ||
	    fields_type_is(type, STR("application/x-www-form-urlencoded")) ||
	    str_eq_nocase(type, mime_of(mime, path)))
		return;
	memcpy(to, type.s, type.n);
	to[type.n] = '\0';
}

/* a form: each of its files is an item of the write, which starts when all of it has arrived */

static int form_refused(const struct refusal *refusal, struct err *err)
{
	enum err_kind kind = refusal->status == 413 || refusal->status == 431 ? ERR_TOO_LARGE :
										ERR_INVALID;

	return err_set(err, kind, "read form: %s", refusal->why);
}

static int form_begin(struct upload *u, struct err *err)
{
	struct conn *c = u->conn;
	struct refusal refusal;

	u->is_form = true;
	c->request.write->form = answer_wants_page(c);
	if (multipart_start(&u->multipart, head_get(&c->head, FIELD_CONTENT_TYPE), &refusal) < 0)
		return form_refused(&refusal, err);
	return 0;
}

/* It goes to the request's path or, if that is a directory, below it under its own name. */
static int form_begin_file(struct upload *u, struct err *err)
{
	const struct httpd *h = u->conn->worker->httpd;
	const struct request *r = &u->conn->request;
	struct write_item *item;
	struct buf path = BUF_INIT;

	if (r->write->count == FILES_MAX)
		return err_set(err, ERR_TOO_LARGE, "read form: more than %d files", FILES_MAX);
	if (r->write->count > 0 && !r->slash)
		return err_set(err, ERR_INVALID,
			       "read form: several files want a directory, with a slash at its end");
	if (r->slash)
		path_join(&path, buf_str(&r->path), buf_str(&u->multipart.filename));
	else
		buf_addstr(&path, buf_str(&r->path));
	item = write_add(r->write, buf_str(&path));
	buf_clear(&path);
	if (path_check(buf_str(&item->path), err) < 0)
		return -1;
	if (!door_admits_file(u->conn, buf_str(&item->path)))
		return err_set(err, ERR_DENIED, "read form: you may not write %.*s", STR_ARG(buf_str(&u->multipart.filename)));
	upload_type(h->mime, buf_str(&u->multipart.type), buf_str(&item->path), item->type);
	return 0;
}

/* The file is no small one: it goes to the disk. */
static int form_begin_stage(struct write *w, struct write_item *item, struct err *err)
{
	struct httpd *h = w->worker->httpd;

	item->form_file = true;
	if (atomic_fetch_add(&h->form_files, 1) >= h->form_files_most) {
		errno = EMFILE;
		return err_sys(err, "read form");
	}
	if (stage_begin(h->store, &item->stage, err) < 0 ||
	    stage_add(item->stage, item->small.data, item->small.len, err) < 0)
		return -1;
	item_drop_small(w, item);
	return 0;
}

/* In memory as long as it is small and there is room, then to the disk. */
static int form_add_content(struct write *w, struct write_item *item, struct str piece, struct err *err)
{
	size_t wanted = item->small.len + piece.n;

	if (item->stage == NULL && wanted <= FORM_SMALL &&
	    (wanted <= item->charged || budget_take(&w->worker->httpd->buffers, wanted - item->charged))) {
		item->charged = wanted > item->charged ? wanted : item->charged;
		buf_addstr(&item->small, piece);
		return 0;
	}
	if (item->stage == NULL && form_begin_stage(w, item, err) < 0)
		return -1;
	return stage_add(item->stage, piece.s, piece.n, err);
}

/* More of the body.  Blocks. */
static int form_add(struct upload *u, struct str bytes, struct err *err)
{
	struct multipart *m = &u->multipart;
	struct write *w = u->conn->request.write;
	struct refusal refusal;
	struct str piece;

	for (;;) {
		switch (multipart_next(m, &bytes, &piece, &refusal)) {
		case MULTIPART_MORE:
			return 0;
		case MULTIPART_REFUSED:
			return form_refused(&refusal, err);
		case MULTIPART_PART:
			u->in_file = m->has_filename && m->filename.len > 0;
			if (u->in_file && form_begin_file(u, err) < 0)
				return -1;
			break;
		case MULTIPART_CONTENT:
			if (u->in_file && form_add_content(w, &w->items[w->count - 1], piece, err) < 0)
				return -1;
			break;
		case MULTIPART_PART_END:
			u->in_file = false;
			break;
		}
	}
}

static int form_finish(const struct upload *u, struct err *err)
{
	if (!u->multipart.done)
		return err_set(err, ERR_INVALID, "read form: it ends before its last boundary");
	if (u->conn->request.write->count == 0)
		return err_set(err, ERR_INVALID, "read form: there is no file in it");
	return 0;
}

/* lanes: full chunks to the disk */

static void write_grown(struct write *, uint64_t bytes);
static void lane_done(struct job *);

static void form_take(struct upload *u, const struct chunk *chunk)
{
	if (form_add(u, (struct str){ chunk->data, chunk->len }, &u->err) < 0)
		atomic_store(&u->failed, true);
}

static void chunk_write(struct upload *u, const struct chunk *chunk)
{
	struct stage *stage = raw_item(u)->stage;

	if (stage_write(stage, chunk->data, chunk->len, &u->err) < 0)
		atomic_store(&u->failed, true);
	atomic_store(&u->written, stage_size(stage));
}

static void chunk_hash(struct upload *u, const struct chunk *chunk)
{
	stage_hash(raw_item(u)->stage, chunk->data, chunk->len);
}

/* In the pool. */
static void lane_work(struct job *job)
{
	struct lane *lane = CONTAINER_OF(job, struct lane, job);
	struct upload *u = lane->upload;

	for (unsigned n = 0; n < CHUNKS && !atomic_load(&u->failed); n++) {
		unsigned next = atomic_load(&lane->taken);

		if (next == atomic_load(&u->filled))
			break;
		lane->take(u, &u->chunks[next % CHUNKS]);
		atomic_store(&lane->taken, next + 1);
		if (!atomic_exchange(&u->progressed, true))
			loop_post(job->home, &u->progress);
	}
}

/* It is behind the client: in turn with the pool's other jobs it goes on. */
static void lane_start(struct lane *lane)
{
	struct upload *u = lane->upload;
	struct worker *w = u->conn->worker;

	if (lane->runs || atomic_load(&u->failed) || atomic_load(&lane->taken) == atomic_load(&u->filled))
		return;
	lane->runs = true;
	u->running++;
	lane->job = (struct job){ .work = lane_work, .done = lane_done, .home = w->loop };
	pool_submit(w->httpd->pool, &lane->job);
}

static void lane_done(struct job *job)
{
	struct lane *lane = CONTAINER_OF(job, struct lane, job);
	struct upload *u = lane->upload;

	lane->runs = false;
	u->running--;
	lane_start(lane);
	if (u->running == 0)
		conn_resume(u->conn);
}

/* Runs before lane_done() of the lane that posted it. */
static void lanes_progressed(struct task *task)
{
	struct upload *u = CONTAINER_OF(task, struct upload, progress);

	atomic_store(&u->progressed, false);
	if (!u->is_form && u->pushed == NULL && !atomic_load(&u->failed))
		write_grown(u->conn->request.write, atomic_load(&u->written));
	conn_resume(u->conn);
}

static void lane_add(struct upload *u, void (*take)(struct upload *, const struct chunk *))
{
	u->lanes[u->lane_count++] = (struct lane){ .upload = u, .take = take };
}

/* The body is too large for one chunk. */
static int lanes_begin(struct upload *u)
{
	u->progress.run = lanes_progressed;
	if (u->is_form) {
		lane_add(u, form_take);
		return 0;
	}
	if (stage_begin(u->conn->worker->httpd->store, &raw_item(u)->stage, &u->err) < 0)
		return -1;
	lane_add(u, chunk_write);
	lane_add(u, chunk_hash);
	return 0;
}

static struct chunk *chunk_to_fill(struct upload *u)
{
	return &u->chunks[atomic_load(&u->filled) % CHUNKS];
}

/* It goes to the lanes. */
static void chunk_submit(struct upload *u)
{
	if (u->lane_count == 0 && lanes_begin(u) < 0) {
		atomic_store(&u->failed, true);
		return;
	}
	chunk_to_fill(u)->len = u->filling;
	u->filling = 0;
	atomic_fetch_add(&u->filled, 1);
	for (size_t i = 0; i < u->lane_count; i++)
		lane_start(&u->lanes[i]);
}

/* chunks from the client */

/* Full ones that some lane is not through with. */
static unsigned chunks_busy(const struct upload *u)
{
	unsigned busy = 0, behind;

	for (size_t i = 0; i < u->lane_count; i++) {
		behind = atomic_load(&u->filled) - atomic_load(&u->lanes[i].taken);
		busy = behind > busy ? behind : busy;
	}
	return busy;
}

/* From the chunk before those that are busy: lanes that keep up leave an upload with two buffers. */
static bool chunk_take_over(struct upload *u, struct chunk *chunk)
{
	unsigned back = chunks_busy(u) + 1;
	struct chunk *before = &u->chunks[(atomic_load(&u->filled) - back) % CHUNKS];

	if (back == CHUNKS || before->data == NULL)
		return false;
	*chunk = *before;
	*before = (struct chunk){ .data = NULL };
	return true;
}

static void upload_refuse(struct upload *u, int status, const char *why)
{
	u->gone = true;
	u->status = status;
	u->why = why;
}

/* How large the chunk is best to be; one that is there grows. */
static size_t chunk_size(const struct upload *u, const struct chunk *chunk)
{
	const struct head *head = &u->conn->head;
	size_t size = chunk->cap ? 4 * chunk->cap : FIRST_BYTES;

	/* What is told is believed where nobody else lacks it. */
	if (u->lane_count > 0)
		size = CHUNK_BYTES;
	else if (head->framing == FRAMING_LENGTH && head->length < CHUNK_BYTES &&
		 (head->length < size || budget_is_ample(&u->conn->worker->httpd->buffers)))
		size = (size_t)head->length + 1;
	else if (head->framing == FRAMING_LENGTH && budget_is_ample(&u->conn->worker->httpd->buffers))
		size = CHUNK_BYTES;
	return size > CHUNK_BYTES ? CHUNK_BYTES : size;
}

/* The first piece of a body that is not granted more. */
static bool chunk_begin_small(struct upload *u, size_t *size)
{
	struct budget *budget = &u->conn->worker->httpd->buffers;

	if (u->charged > 0)
		return false;
	if (*size > FIRST_BYTES)
		*size = FIRST_BYTES;
	if (budget_take_first(budget, *size))
		return true;
	upload_refuse(u, 503, "there is no memory for another body: come again");
	return false;
}

/* False: there is no memory for it. */
static bool chunk_grow(struct upload *u, struct chunk *chunk)
{
	struct budget *budget = &u->conn->worker->httpd->buffers;
	bool granted;
	size_t size;
	char *data;

	/* What is in it already must stay, in its place. */
	if (chunk->data == NULL && u->lane_count > 0 && chunk_take_over(u, chunk))
		return true;
	size = chunk_size(u, chunk);
	/* A message has to stay whole in memory, and is short. */
	granted = u->whole != NULL ? budget_take_first(budget, size - chunk->cap) :
				     budget_take(budget, size - chunk->cap);
	if (!granted && !chunk_begin_small(u, &size))
		return false;
	data = realloc(chunk->data, size);
	if (data == NULL) {		/* this process may not have so much as it was told */
		budget_give(budget, size - chunk->cap);
		if (u->charged == 0)
			upload_refuse(u, 503, "there is no memory for another body: come again");
		return false;
	}
	u->charged += size - chunk->cap;
	chunk->data = data;
	chunk->cap = size;
	return true;
}

static bool chunk_make_room(struct upload *u)
{
	if (chunk_grow(u, chunk_to_fill(u)))
		return true;
	if (u->gone)
		return false;
	if (u->whole != NULL) {		/* it has to stay */
		upload_refuse(u, 503, "there is no memory for this message: come again");
		return false;
	}
	if (u->filling > 0) {		/* to the disk, as far as it came */
		chunk_submit(u);
		if (!atomic_load(&u->failed) && chunks_busy(u) < CHUNKS && chunk_grow(u, chunk_to_fill(u)))
			return true;
	}
	u->starved = true;
	return false;
}

bool upload_welcome(const struct conn *c)
{
	const struct upload *u = c->request.upload;

	return u != NULL && !c->body.done && !u->gone && !u->starved && !atomic_load(&u->failed) &&
	       chunks_busy(u) < CHUNKS;
}

/* As far as bytes have come, and there is room. */
static void chunks_fill(struct upload *u)
{
	struct conn *c = u->conn;

	u->starved = false;
	for (size_t n, turn = 0; turn < TURN_BYTES && upload_welcome(c); turn += n) {
		struct chunk *chunk = chunk_to_fill(u);
		struct refusal refusal;
		int r;

		if (u->filling == chunk->cap && !chunk_make_room(u))
			break;
		chunk = chunk_to_fill(u);
		r = conn_receive_content(c, chunk->data + u->filling, chunk->cap - u->filling, &n, &refusal);
		u->filling += n;
		if (r < 0)
			upload_refuse(u, refusal.status, refusal.why);
		if (r == 0)
			break;
		if (u->filling == CHUNK_BYTES && !c->body.done)
			chunk_submit(u);
	}
}

/* the end of the body */

static void upload_answer_failure(struct upload *u)
{
	struct conn *c = u->conn;

	if (u->failed)
		answer_err(c, &u->err);
	else if (u->status == 503)
		floods_answer_busy(c, FLOOD_MEMORY, u->why);
	else if (u->status != 0)
		answer_error(c, u->status, "%s", u->why);
	else
		conn_abort(c);
}

/* Adds what the field says; -1: it is malformed. */
static int digests_parse(struct body_digests *digests, struct str field)
{
	int r256 = field.s ? fields_digest_parse(field, digests->sha256) : 0;
	int r512 = field.s ? fields_digest_parse_512(field, digests->sha512) : 0;

	digests->has_256 |= r256 > 0;
	digests->has_512 |= r512 > 0;
	return r256 < 0 || r512 < 0 ? -1 : 0;
}

static void upload_finish(struct upload *u)
{
	struct conn *c = u->conn;
	struct write *w = c->request.write;
	struct chunk *last = chunk_to_fill(u);

	if (u->whole != NULL) {
		u->whole(c, (struct str){ last->data, u->filling });
		return;
	}
	/* A trailer may carry the digests too. */
	if (digests_parse(&w->repr, body_trailer(&c->body, FIELD_REPR_DIGEST)) < 0 ||
	    digests_parse(&w->content, body_trailer(&c->body, FIELD_CONTENT_DIGEST)) < 0) {
		answer_error(c, 400, "a digest in the trailer is malformed");
		return;
	}
	if (!u->is_form && u->lane_count == 0) {
		struct buf *small = &raw_item(u)->small;

		*small = (struct buf){ .data = last->data, .len = u->filling, .cap = last->cap };
		raw_item(u)->charged = u->charged;
		u->charged = 0;
		*last = (struct chunk){ .data = NULL };
	} else if (u->filling > 0) {
		chunk_submit(u);
		return;
	}
	chunks_free(u);			/* what follows may take long */
	if (u->pushed != NULL)
		u->pushed(c);
	else if (u->is_form && form_finish(u, &u->err) < 0)
		answer_err(c, &u->err);
	else
		write_received(w);
}

bool upload_step(struct conn *c)
{
	struct upload *u = c->request.upload;

	chunks_fill(u);
	if (u->running > 0 || !(u->gone || atomic_load(&u->failed) || c->body.done))
		return false;
	c->has_body = !c->body.done;
	if (u->gone || atomic_load(&u->failed))
		upload_answer_failure(u);
	else
		upload_finish(u);
	return c->state != CONN_BODY;
}

void upload_stalled(struct conn *c)
{
	struct upload *u = c->request.upload;

	if (u->running == 0)
		upload_refuse(u, 408, "the body stalled");
}

/* A body whose length is told, and that the disk has no room for, is not asked for.  max: bytes; 0: any. */
static void upload_begin(struct conn *c, uint64_t max)
{
	struct err err;

	if (c->head.framing == FRAMING_LENGTH &&
	    store_fits(c->worker->httpd->store, c->head.length, &err) < 0)
		answer_err(c, &err);
	else
		conn_read_body(c, max);
}

static enum outcome receive(struct write *w)
{
	upload_begin(w->conn, w->worker->httpd->conf->limits.max_body);
	return WAIT;		/* for write_received(), when it is whole */
}

_Static_assert(WIRE_CONTENTS_BYTES < CHUNK_BYTES, "the longest whole body is one chunk");

void upload_whole(struct conn *c, uint64_t max, void (*whole)(struct conn *, struct str))
{
	upload_new(c)->whole = whole;
	if (c->head.framing == FRAMING_NONE)
		answer_error(c, 411, "say Content-Length, or use Transfer-Encoding: chunked");
	else
		conn_read_body(c, max);
}

/* ask: each path, and the directories above it */

/* What the next question is about: a path that is written, or a directory above it. */
static struct str question_path(const struct write *w)
{
	return w->parent.s != NULL ? w->parent : buf_str(&w->items[w->asking].path);
}

static enum outcome ask_homes(struct write *w)
{
	if (w->asking == w->count) {		/* all were asked, without a majority, and it has waited */
		if (loop_now(w->worker->loop) >= w->until) {
			w->step = WRITE_COMMIT;
			return GO_ON;
		}
		/* From the first: the answers so far are outdated. */
		w->asking = 0;
		w->unconfirmed = false;
	}
	return ask_about(w, question_path(w));
}

/* The directory above is not known to stand: it is to be asked about as well. */
static bool wants_parent(const struct write *w, struct str path)
{
	return w->worker->httpd->grouped && (w->kind == WRITE_FILE || w->kind == WRITE_MKDIR) &&
	       w->ask.certainty != CERTAINTY_UNCONFIRMED && !w->ask.parent_known &&
	       path_parent(path).n > 0;
}

/* The same directory was asked about just now. */
static bool is_beside_the_last(const struct write *w)
{
	return w->asking > 0 &&
	       str_eq(path_parent(buf_str(&w->items[w->asking].path)),
		      path_parent(buf_str(&w->items[w->asking - 1].path)));
}

/* On to a directory above the item, or to the next item. */
static void next_question(struct write *w)
{
	struct str path = question_path(w);
	bool known = w->parent.s != NULL ? record_is_live(&w->ask.entry) : is_beside_the_last(w);

	if (wants_parent(w, path) && !known) {
		w->parent = path_parent(path);
		return;
	}
	w->parent = (struct str)STR_INIT;
	w->asking++;
}

/* CERTAINTY_UNDECIDED is no less than confirmed here: a majority answered, and a write needs no more. */
static void note_unconfirmed(struct write *w)
{
	const struct ask *ask = &w->ask;

	if (ask->certainty != CERTAINTY_UNCONFIRMED ||
	    (w->unconfirmed && ask->answered >= w->peers_answered))
		return;
	w->unconfirmed = true;
	w->peers = ask->asked;
	w->peers_answered = ask->answered;
}

/*
 * No majority answered, and the client prefers to wait for one.  When it has
 * left, the version is chosen at once, so that it is not above later writes.
 */
static bool is_worth_waiting(const struct write *w)
{
	const struct prefer *prefer = &w->conn->request.prefer;
	bool failed = w->result < 0 || (!w->staging && w->stage_result < 0);

	return w->unconfirmed && !failed && !is_update(w) && prefer->has_wait &&
	       !prefer->respond_async && !conn_left(w->conn);
}

/* How long the client waits for the group. */
static uint64_t wait_ms(const struct write *w)
{
	const struct prefer *prefer = &w->conn->request.prefer;
	uint64_t size = 0;

	if (prefer->has_wait && !is_update(w))
		return 1000 * prefer->wait;
	for (size_t i = 0; i < w->count; i++)
		size += w->items[i].commit.record.size;
	return w->worker->httpd->conf->timeouts.store_ms + size / BYTES_PER_MS;
}

/*
 * The pause before homes of which no majority answered are asked again, when
 * the client waits for left_ms more.  It doubles with the tries, and leaves the
 * homes time to answer the last question; left_ms: it is too late for another.
 */
static uint64_t homes_pause_ms(unsigned tries, uint64_t left_ms)
{
	uint64_t pause = backoff_ms(HOMES_RETRY_MS, HOMES_RETRY_MAX_MS, tries);

	if (left_ms <= HOMES_LAST_MS)
		return left_ms;
	return pause < left_ms - HOMES_LAST_MS ? pause : left_ms - HOMES_LAST_MS;
}

static enum outcome pause_before_asking(struct write *w)
{
	uint64_t now = loop_now(w->worker->loop);

	if (w->until == 0)
		w->until = now + wait_ms(w);
	if (now >= w->until)
		return GO_ON;
	w->step = WRITE_ASK;
	timer_start(w->worker->loop, &w->timer, homes_pause_ms(w->tries++, w->until - now));
	return WAIT;
}

static enum outcome take_answer(struct write *w)
{
	note_unconfirmed(w);
	if (w->parent.s != NULL) {
		w->result = judge_parent(w, &w->err);
	} else {
		struct write_item *item = &w->items[w->asking];

		item_note_answer(w, item);
		w->result = judge_update(w, item, &w->err);
	}
	next_question(w);
	if (w->result == 0 && w->asking < w->count) {
		w->step = WRITE_ASK;
		return GO_ON;
	}
	return is_worth_waiting(w) ? pause_before_asking(w) : GO_ON;
}

/*
 * notices: what the log says once when it changes, and not with every write
 *
 * That writes are not confirmed any more, and that they are again; that the
 * disk is nearly full, and that it has room again.  What was said last is
 * known to the next process, too, and to those beside it that inetd starts.
 */

static void notices_became_unconfirmed(struct conn *c)
{
	struct httpd *h = c->worker->httpd;
	struct buf why = BUF_INIT;

	if (group_can_confirm(h->group, &why))
		buf_adds(&why, "the members are up, but did not answer in time");
	log_line(LOG_LEVEL_WARNING, "writes are not confirmed (202): %s", why.data);
	buf_clear(&why);
}

/* This path has a majority; another may have none, so the whole group is looked at. */
static void notices_seems_confirmed(struct conn *c, uint64_t now)
{
	struct httpd *h = c->worker->httpd;
	struct buf why = BUF_INIT;

	atomic_store(&h->kept->notices.last, now);
	if (group_can_confirm(h->group, &why) && atomic_exchange(&h->kept->notices.unconfirmed, false))
		log_line(LOG_LEVEL_INFO, "writes are confirmed again");
	buf_clear(&why);
}

/* A write is about to be answered, confirmed or with 202. */
static void notices_write(struct conn *c, bool confirmed)
{
	struct notices *notices = &c->worker->httpd->kept->notices;
	uint64_t now = clock_mono_ms(), last = atomic_load_explicit(&notices->last, memory_order_relaxed);
	const struct prefer *prefer = &c->request.prefer;

	if (c->worker->httpd->group == NULL || prefer->respond_async || prefer->has_wait)
		return;			/* how long was waited is the client's choice, and says nothing */
	if (!confirmed) {
		atomic_store(&notices->last, now);
		if (!atomic_exchange(&notices->unconfirmed, true))
			notices_became_unconfirmed(c);
	} else if (atomic_load_explicit(&notices->unconfirmed, memory_order_relaxed) &&
		   (now < last || now - last >= STEADY_MS)) {	/* or of another boot */
		notices_seems_confirmed(c, now);
	}
}

/* Something was written to the disk.  Blocks. */
static void notices_disk(struct httpd *h)
{
	uint64_t min_free = h->conf->limits.min_free, free_bytes;
	struct statvfs st;

	if (statvfs(h->conf->node.store, &st) < 0)
		return;
	free_bytes = (uint64_t)st.f_bavail * st.f_frsize;
	if (free_bytes / NEAR_FACTOR < min_free) {
		if (!atomic_exchange(&h->kept->notices.nearly_full, true))
			log_line(LOG_LEVEL_WARNING, "the disk of %s is nearly full: %" PRIu64 " bytes are free, "
				 "and below limits.min_free, %" PRIu64 ", writes are refused (507)",
				 h->conf->node.store, free_bytes, min_free);
	} else if (free_bytes / ROOM_FACTOR >= min_free && atomic_exchange(&h->kept->notices.nearly_full, false)) {
		log_line(LOG_LEVEL_INFO, "the disk of %s has room again: %" PRIu64 " bytes are free",
			 h->conf->node.store, free_bytes);
	}
}

/* stage, commit: this node's disk, in the pool */

static int check_digests(const struct body_digests *wanted, const struct write_item *item,
			 const char *field, struct err *err)
{
	uint8_t sha512[SHA512_BYTES];

	if (wanted->has_256 &&
	    memcmp(wanted->sha256, stage_sha256(item->stage), SHA256_BYTES) != 0)
		return err_set(err, ERR_INVALID, "%s: the content that arrived has another sha-256",
			       field);
	if (!wanted->has_512)
		return 0;
	/* Asked for rarely: read again, where the other is made while the body arrives. */
	if (digest_file_512(stage_fd(item->stage), sha512) < 0)
		return err_sys(err, "read staged content");
	if (memcmp(wanted->sha512, sha512, SHA512_BYTES) != 0)
		return err_set(err, ERR_INVALID, "%s: the content that arrived has another sha-512",
			       field);
	return 0;
}

/*
 * A body in memory is written with the commit: another errand to the pool
 * would cost more than it saves.
 */
static bool is_small(const struct write *w)
{
	return w->count == 1 && w->items[0].stage == NULL && w->items[0].copy_fd < 0;
}

/* It is committed together with others, and needs no file before. */
static bool is_for_the_log(const struct write *w)
{
	return w->worker->httpd->wal != NULL && w->kind == WRITE_FILE && is_small(w) &&
	       w->items[0].small.len <= WAL_BODY_MAX && !w->repr.has_512 && !w->content.has_512;
}

/* Its body is in its stage, on disk, and its digests are right.  Blocks. */
static int stage_item(struct write *w, struct write_item *item, struct err *err)
{
	if (item->stage == NULL && is_for_the_log(w))
		item->stage = stage_of_bytes(w->worker->httpd->store, buf_str(&item->small));
	else if (item->stage == NULL &&
	    (stage_begin(w->worker->httpd->store, &item->stage, err) < 0 ||
	     (item->copy_fd >= 0 ? stage_copy(item->stage, item->copy_fd, err) :
				   stage_add(item->stage, item->small.data, item->small.len, err)) < 0))
		return -1;
	if (stage_fd(item->stage) >= 0)
		item_drop_small(w, item);
	if (stage_sync(item->stage, err) < 0 ||
	    check_digests(&w->repr, item, "Repr-Digest", err) < 0 ||
	    check_digests(&w->content, item, "Content-Digest", err) < 0)
		return -1;
	return 0;
}

/* Of several files those that are small wait for their commits: each has a file only for that long. */
static bool is_staged_late(const struct write *w, const struct write_item *item)
{
	return w->count > 1 && item->stage == NULL && item->copy_fd < 0;
}

static void stage_items(struct write *w)
{
	w->staged = true;
	for (size_t i = 0; i < w->count && w->stage_result == 0; i++)
		if (!is_staged_late(w, &w->items[i]))
			w->stage_result = stage_item(w, &w->items[i], &w->stage_err);
}

static void stage_job(struct job *job)
{
	stage_items(CONTAINER_OF(job, struct write, job));
}

static void stage_done(struct job *job)
{
	struct write *w = CONTAINER_OF(job, struct write, job);

	w->staging = false;
	if (w->step == WRITE_COMMIT)
		write_resume(w);
}

static enum outcome stage(struct write *w)
{
	if (!w->worker->httpd->grouped || w->kind != WRITE_FILE || is_small(w))
		return GO_ON;
	w->staging = true;
	w->job = (struct job){ .work = stage_job, .done = stage_done, .home = w->worker->loop };
	pool_submit(w->worker->httpd->pool, &w->job);
	return GO_ON;
}

/* Under the path's lock, with what stands there. */
static int commit_condition(const struct commit *commit, const struct store_entry *now,
			    struct err *err)
{
	struct write_item *item = CONTAINER_OF((uintptr_t)commit, struct write_item, commit);
	const struct write *w = commit->data;
	struct registers known = registers_merge(item, registers_of(now));
	struct record file;

	/*
	 * A file that another request is deleting here just now is deleted once
	 * more: 404 would be wrong while other nodes may still see it.
	 */
	if (w->kind == WRITE_DELETE && record_is_live(&item->group_file) &&
	    !record_is_live(&known.file))
		known.file = item->group_file;
	file = file_there(&known);
	if (judge_condition(w, &file, err) < 0 || judge_alone(w, err) < 0)
		return -1;
	item->replaced = record_is_live(&file);
	if (w->kind == WRITE_MKDIR && record_is_live(&known.entry)) {
		item->existing = known.entry;
		return err_set(err, ERR_EXISTS, "the directory is there");
	}
	return judge_kind(w, item, &known, err);
}

/* Of the files of a form the answer has to say which one. */
static int name_item(const struct write *w, const struct write_item *item, struct err *err)
{
	struct buf target = BUF_INIT;
	struct err was = *err;

	if (w->count == 1)
		return -1;
	path_to_target(&target, buf_str(&item->path), false);
	err_set(err, was.kind, "%.*s: %s", STR_ARG(buf_str(&target)), err_reason(&was));
	buf_clear(&target);
	return -1;
}

static int commit_prepare(struct write *w, struct write_item *item, struct err *err)
{
	static const uint8_t flags[] = {
		[WRITE_FILE] = 0,
		[WRITE_DELETE] = RECORD_DELETED,
		[WRITE_MKDIR] = RECORD_DIRECTORY,
		[WRITE_RMDIR] = RECORD_DELETED | RECORD_DIRECTORY,
	};
	struct httpd *h = w->worker->httpd;
	struct commit *commit = &item->commit;

	(void)err;
	commit->path = buf_str(&item->path);
	commit->stage = item->stage;
	commit->flags = flags[w->kind] | (w->unconfirmed ? RECORD_BLIND : 0);
	commit->mtime = w->mtime;
	commit->type = str_of(item->type);
	commit->above = version_cmp(item->group_entry.version, item->group_file.version) > 0 ?
				item->group_entry.version : item->group_file.version;
	commit->clock = item->clock;
	commit->ungrouped = !h->grouped;
	commit->outbox = h->outbox;
	commit->wal = h->wal;
	if (version_is_none(commit->fixed))
		commit->condition = commit_condition;
	commit->data = w;
	if (h->group != NULL && item->clock == 0)
		commit->clock = group_clock(h->group);
	return 0;
}

static int commit_item(struct write *w, struct write_item *item, struct err *err)
{
	if (w->kind == WRITE_FILE && is_staged_late(w, item) && stage_item(w, item, err) < 0)
		return name_item(w, item, err);
	if (w->prepare(w, item, err) < 0)
		return -1;
	if (store_commit(w->worker->httpd->store, &item->commit, err) < 0)
		return name_item(w, item, err);
	if (w->count > 1)
		item_drop_stage(w, item);	/* who needs its content opens it again */
	return 0;
}

static void commit_job(struct job *job)
{
	struct write *w = CONTAINER_OF(job, struct write, job);

	if (w->kind == WRITE_FILE && !w->staged)
		stage_items(w);
	w->result = w->stage_result;
	w->err = w->stage_err;
	for (size_t i = 0; i < w->count && w->result == 0; i++)
		w->result = commit_item(w, &w->items[i], &w->err);
	notices_disk(w->worker->httpd);
}

static void commit_done(struct job *job)
{
	write_resume(CONTAINER_OF(job, struct write, job));
}

/* One that was begun, with its body; false: it is over already. */
static bool commit_begin(struct write *w)
{
	if (!w->staged)
		stage_items(w);
	w->result = w->stage_result;
	w->err = w->stage_err;
	if (w->result == 0)
		w->result = w->prepare(w, &w->items[0], &w->err);
	return w->result == 0;
}

/* Alone, as one that is not small: it has to wait for a path's lock, or makes a directory. */
static void commit_alone(struct write *w)
{
	w->job.work = commit_job;
	w->job.key = path_hash(buf_str(&w->items[0].path));
	pool_submit(w->worker->httpd->pool, &w->job);
}

/* Those of one file each, whose contents are small: together they wait for the disk once. */
void write_commit_all(struct job **jobs, size_t count)
{
	struct write *w = CONTAINER_OF(jobs[0], struct write, job);
	struct httpd *h = w->worker->httpd;
	struct commit *commits[STORE_COMMIT_MOST];
	size_t which[STORE_COMMIT_MOST], n = 0;
	int statuses[STORE_COMMIT_MOST];
	struct err errs[STORE_COMMIT_MOST];

	for (size_t i = 0; i < count; i++) {
		w = CONTAINER_OF(jobs[i], struct write, job);
		if (!commit_begin(w))
			continue;
		commits[n] = &w->items[0].commit;
		which[n++] = i;
	}
	store_commit_together(h->store, commits, n, statuses, errs);
	for (size_t k = 0; k < n; k++) {
		w = CONTAINER_OF(jobs[which[k]], struct write, job);
		w->result = statuses[k];
		if (statuses[k] < 0)
			w->err = errs[k];
		if (statuses[k] != STORE_COMMIT_ALONE)
			continue;
		jobs[which[k]] = NULL;
		commit_alone(w);
	}
	notices_disk(h);
}

static void commits_send(struct timer *timer)
{
	struct worker *worker = CONTAINER_OF(timer, struct worker, commit);

	batch_submit(worker->httpd->commits, &worker->commits);
}

/* With the others of this round of the loop, if it may be. */
static void commit_start(struct write *w, void (*work)(struct job *), void (*done)(struct job *))
{
	struct worker *worker = w->worker;

	if (!is_for_the_log(w)) {
		conn_start_job(w->conn, &w->job, work, done, path_hash(buf_str(&w->items[0].path)));
		return;
	}
	w->conn->state = CONN_BUSY;
	w->job = (struct job){ .done = done, .home = worker->loop };
	if (worker->commits.count == 0) {
		worker->commit.fire = commits_send;
		timer_start(worker->loop, &worker->commit, 0);
	}
	list_append(&worker->commits, &w->job.link);
}

static enum outcome commit(struct write *w)
{
	if (w->staging) {
		w->step = WRITE_COMMIT;		/* stage_done() comes */
		return WAIT;
	}
	if (w->result < 0) {
		write_refuse(w);
		return GO_ON;
	}
	w->prepare = commit_prepare;
	commit_start(w, commit_job, commit_done);
	return WAIT;
}

/*
 * replicate: to homes and keepers
 *
 * A version's content goes to the keepers (PUSH, through covey-syncd), its
 * record to the homes (STORE, through covey-versiond, which also makes the
 * directories above it).  A home that is a keeper learns of the version with
 * its content, so STORE comes second where this node and the keepers are homes
 * enough.
 *
 * Each question to another role has a deadline of its own, so it is over some
 * time.  What it did not reach is the outbox's: covey-syncd does the rest.
 */

static void outbox_poke(struct worker *);

static void outbox_poked(struct call *call, struct frame *frame)
{
	struct worker *worker = CONTAINER_OF(call, struct worker, drain);

	(void)frame;
	call_finish(call);
	if (!worker->drain_again)
		return;
	worker->drain_again = false;
	outbox_poke(worker);
}

/* covey-syncd is told that the outbox has something. */
static void outbox_poke(struct worker *worker)
{
	if (worker->sync == NULL)
		return;
	if (worker->drain.caller != NULL) {
		worker->drain_again = true;
		return;
	}
	worker->drain.answer = outbox_poked;
	call_start(worker->sync, &worker->drain, SYNC_DRAIN, (struct str)STR_INIT,
		   worker->httpd->conf->timeouts.store_ms);
}

static const struct record *item_record(const struct write *w, const struct write_item *item)
{
	return w->existed ? &item->existing : &item->commit.record;
}

static void finish_if_over(struct write *);

static void item_changed(struct write *w)
{
	if (w->conn == NULL)
		finish_if_over(w);
	else if (w->step == WRITE_JUDGE)
		write_resume(w);
}

/* The content of an item on its way to some keepers. */
struct push {
	struct sync_push to;		/* keepers; path, record and type are filled in when it is sent */
	uint64_t epoch;			/* of the layout whose keepers they are */
	uint64_t token;			/* covey-syncd's, of a body that grows; 0: none */
	uint64_t told;			/* bytes that covey-syncd knows of */
	struct call call;		/* BEGIN, then NAME; or PUSH */
	struct call more;
};

/* The version of an item on its way to its homes and keepers. */
struct replicate {
	struct write *write;
	struct write_item *item;
	const struct record *record;	/* NULL: not chosen yet, the body still arrives */
	bool majority, every_home;	/* has the record */
	bool pushing;			/* `push` is under way */
	bool grows;			/* its body was large enough to be pushed as it grows */
	bool passed_over;		/* a keeper could not be had */
	struct layout layout;		/* of now */
	/* homes */
	struct call store;
	struct timer store_later;	/* so long it waits for the push, or for the next try */
	uint64_t store_began;		/* ms, loop's clock; 0: it waits for the push */
	unsigned tries;			/* that reached no majority */
	uint64_t epoch;			/* of the layout whose majority it was; 0: none yet */
	unsigned homes, homes_answered;
	struct timer look;		/* for a newer layout */
	/* keepers */
	struct push push;
	uint64_t size;			/* bytes of a body that grows which are in its stage */
	uint64_t have[HOLDERS_MAX];	/* disks with the content, without this one; members or not */
	size_t have_count;
	uint64_t exhausted;		/* epoch of a layout of whose members no more could be had */
};

/* Of its content; -1: it has none, or none that is open. */
static int replicate_fd(const struct replicate *r)
{
	return r->item->stage != NULL ? stage_fd(r->item->stage) : r->item->copy_fd;
}

/* Of several files each is open only while it is pushed. */
static void replicate_open(struct replicate *r)
{
	struct store_entry entry = STORE_ENTRY_INIT;

	if (replicate_fd(r) >= 0 || r->record == NULL || !record_has_content(r->record) || r->write->count == 1)
		return;
	if (store_version(r->write->worker->httpd->store, buf_str(&r->item->path), r->record->version,
			  STORE_CONTENT, &entry, NULL) == 0) {
		r->item->copy_fd = entry.fd;
		entry.fd = -1;
	}
	store_entry_clear(&entry);
}

static void replicate_close(struct replicate *r)
{
	if (r->item->stage == NULL && r->item->copy_fd >= 0) {
		close(r->item->copy_fd);
		r->item->copy_fd = -1;
	}
}

static struct str replicate_path(const struct replicate *r)
{
	return buf_str(&r->item->path);
}

/* Somebody waits for its answer. */
static bool replicate_is_awaited(const struct replicate *r)
{
	return r->write->conn != NULL;
}

static uint64_t self_id(const struct replicate *r)
{
	return store_node(r->write->worker->httpd->store);
}

/* copies: the disks that have the content */

static bool is_among(const uint64_t *ids, size_t count, uint64_t id)
{
	for (size_t i = 0; i < count; i++)
		if (ids[i] == id)
			return true;
	return false;
}

static bool has_copy(const struct replicate *r, uint64_t id)
{
	return id == self_id(r) || is_among(r->have, r->have_count, id);
}

/* This disk and those of members: who left the layout meanwhile counts no more. */
static size_t copies_counted(const struct replicate *r)
{
	size_t count = 1;

	for (size_t i = 0; i < r->have_count; i++)
		count += layout_may_keep(&r->layout, r->have[i]);
	return count;
}

/* By the layout of now: disks that must have it before it is confirmed. */
static size_t copies_missing(const struct replicate *r)
{
	size_t needed = record_has_content(r->record) ?
				1 + layout_copies_beside(&r->layout, self_id(r)) : 0;
	size_t there = copies_counted(r);

	return needed > there ? needed - there : 0;
}

/* With one copy the node that made it is the keeper. */
static size_t keepers_missing(const struct replicate *r)
{
	struct layout_order order;
	size_t missing = 0, copies = layout_copies(&r->layout);

	if (!record_has_content(r->record) || r->layout.copies <= 1)
		return 0;
	layout_keepers(&r->layout, replicate_path(r), &order);
	for (size_t i = 0; i < copies && i < order.count; i++)
		missing += !has_copy(r, order.ids[i]);
	return missing;
}

/* what has been reached */

/* The homes answered by a layout that this process has not been told of yet. */
static bool is_behind(const struct replicate *r)
{
	return r->epoch > r->layout.epoch;
}

static bool is_storing(const struct replicate *r)
{
	return r->store.caller != NULL || r->store_later.loop != NULL;
}

enum replicate_state {
	REPLICATE_OPEN,
	REPLICATE_CONFIRMED,	/* a majority of homes has it, and enough disks */
	REPLICATE_HOPELESS,	/* no more will come of it soon */
};

static enum replicate_state replicate_state(const struct replicate *r)
{
	if (r->majority && copies_missing(r) == 0 && !is_behind(r))
		return REPLICATE_CONFIRMED;
	if ((!r->majority && !is_storing(r)) || (!r->pushing && copies_missing(r) > 0))
		return REPLICATE_HOPELESS;
	return REPLICATE_OPEN;
}

static bool replicate_is_over(const struct replicate *r)
{
	return !is_storing(r) && !r->pushing;
}

/* Every home and every keeper has it: nothing is left to the outbox. */
static bool replicate_is_complete(const struct replicate *r)
{
	return r->every_home && keepers_missing(r) == 0 && !is_behind(r);
}

static void replicate_changed(struct replicate *r);
static void store_at_homes(struct replicate *r);

/* keepers */

/*
 * To the keepers that have not got it, `wanted` of them.  The first are those
 * of the layout, then the other members.
 */
static bool push_to_keepers(struct replicate *r, size_t wanted)
{
	struct push *p = &r->push;
	struct layout_order order;

	if (r->write->worker->sync == NULL || r->pushing || wanted == 0)
		return false;
	replicate_open(r);
	if (replicate_fd(r) < 0)
		return false;
	*p = (struct push){ .epoch = r->layout.epoch, .call = CALL_INIT, .more = CALL_INIT };
	layout_keepers(&r->layout, replicate_path(r), &order);
	for (size_t i = 0; i < order.count && p->to.keeper_count < HOLDERS_MAX; i++)
		if (!has_copy(r, order.ids[i]))
			p->to.keepers[p->to.keeper_count++] = order.ids[i];
	p->to.wanted = (uint8_t)wanted;
	r->pushing = p->to.keeper_count > 0;
	if (!r->pushing)
		replicate_close(r);
	return r->pushing;
}

static uint64_t push_ms(const struct replicate *r)
{
	return r->record->size > LARGE_BYTES ? LARGE_MS : r->write->worker->httpd->conf->timeouts.push_ms;
}

static void push_send(struct replicate *r, enum sync_talk type, uint64_t limit_ms,
		      void (*answered)(struct call *, struct frame *))
{
	struct push *p = &r->push;
	struct buf body = BUF_INIT;

	p->to.path = replicate_path(r);
	if (r->record != NULL) {
		p->to.record = *r->record;
		p->to.type = str_of(r->item->type);
	}
	p->call.answer = answered;
	sync_push_pack(&body, &p->to);
	call_start_with(r->write->worker->sync, &p->call, (uint8_t)type, buf_str(&body), replicate_fd(r), limit_ms);
	buf_clear(&body);
}

/* Keepers that were not needed for the answer. */
static void push_rest(struct replicate *r);

static void push_note_have(struct replicate *r, const struct frame *frame)
{
	struct push *p = &r->push;
	struct sync_have have = { .count = 0 };
	size_t before = r->have_count;

	if (frame != NULL && sync_have_unpack(frame->body, &have, NULL) < 0)
		have.count = 0;
	for (size_t i = 0; i < have.count && r->have_count < HOLDERS_MAX; i++)
		if (!has_copy(r, have.nodes[i]))
			r->have[r->have_count++] = have.nodes[i];
	if (r->have_count - before < p->to.wanted)
		r->exhausted = p->epoch;
	r->passed_over |= have.count == 0;
	for (size_t i = 0; i < have.count && i < p->to.keeper_count; i++)
		r->passed_over |= !is_among(have.nodes, have.count, p->to.keepers[i]);
}

static void push_answered(struct call *call, struct frame *frame)
{
	struct push *p = CONTAINER_OF(call, struct push, call);
	struct replicate *r = CONTAINER_OF(p, struct replicate, push);
	bool have = frame != NULL && frame->type == SYNC_HAVE;

	call_finish(call);
	if (!have && p->token != 0) {
		p->token = 0;		/* covey-syncd lost it: it is pushed whole */
		push_send(r, SYNC_PUSH, push_ms(r), push_answered);
		return;
	}
	push_note_have(r, have ? frame : NULL);
	call_finish(&p->more);
	r->pushing = false;
	replicate_close(r);
	if (!replicate_is_awaited(r))
		push_rest(r);
	if (r->store_began == 0)
		store_at_homes(r);
	replicate_changed(r);
}

/* Its version is on this disk: the keepers may have it. */
static void push_name(struct replicate *r)
{
	struct push *p = &r->push;
	struct sync_name name = { .token = p->token, .record = *r->record,
				  .type = str_of(r->item->type) };
	struct buf body = BUF_INIT;

	if (p->token == 0) {
		push_send(r, SYNC_PUSH, push_ms(r), push_answered);
		return;
	}
	p->call.answer = push_answered;
	sync_name_pack(&body, &name);
	call_start(r->write->worker->sync, &p->call, SYNC_PUSH_NAME, buf_str(&body), push_ms(r));
	buf_clear(&body);
}

static void push_rest(struct replicate *r)
{
	if (!r->passed_over && push_to_keepers(r, keepers_missing(r)))
		push_name(r);
}

/* What the layout of now asks for, while somebody waits for it. */
static void push_more(struct replicate *r)
{
	if (r->exhausted != r->layout.epoch && push_to_keepers(r, copies_missing(r)))
		push_name(r);
}

/* a body that grows */

static void growth_tell(struct replicate *r);

static void growth_told(struct call *call, struct frame *frame)
{
	struct push *p = CONTAINER_OF(call, struct push, more);
	struct replicate *r = CONTAINER_OF(p, struct replicate, push);

	call_finish(call);
	if (r->record == NULL && (frame == NULL || frame->type != SYNC_DONE))
		p->token = 0;
	growth_tell(r);
}

/* One at a time: what comes meanwhile is told together. */
static void growth_tell(struct replicate *r)
{
	struct push *p = &r->push;
	struct buf body = BUF_INIT;

	if (!r->pushing || p->token == 0 || p->more.caller != NULL || p->told == r->size ||
	    r->record != NULL)
		return;
	p->told = r->size;
	p->more.answer = growth_told;
	sync_more_pack(&body, &(struct sync_more){ p->token, r->size });
	call_start(r->write->worker->sync, &p->more, SYNC_PUSH_MORE, buf_str(&body), GROWING_MS);
	buf_clear(&body);
}

static void growth_begun(struct call *call, struct frame *frame)
{
	struct push *p = CONTAINER_OF(call, struct push, call);
	struct replicate *r = CONTAINER_OF(p, struct replicate, push);

	if (frame != NULL && frame->type == SYNC_TOKEN)
		sync_token_unpack(frame->body, &p->token, NULL);
	call_finish(call);
	if (r->record != NULL)
		push_name(r);
	else
		growth_tell(r);
}

/* So many bytes of the body are in its stage by now. */
static void replicate_grown(struct replicate *r, uint64_t bytes)
{
	r->size = bytes;
	if (!r->grows && bytes >= LARGE_BYTES) {
		r->grows = true;
		group_layout(r->write->worker->httpd->group, &r->layout);
		if (push_to_keepers(r, layout_copies_beside(&r->layout, self_id(r))))
			push_send(r, SYNC_PUSH_BEGIN, GROWING_MS, growth_begun);
	}
	growth_tell(r);
}

static void push_end(struct replicate *r)
{
	struct push *p = &r->push;
	struct call drop = CALL_INIT;
	struct buf body = BUF_INIT;

	if (!r->pushing)
		return;
	call_cancel(&p->call);
	call_finish(&p->more);
	if (p->token == 0 || r->record != NULL)
		return;
	sync_token_pack(&body, p->token);
	call_start(r->write->worker->sync, &drop, SYNC_PUSH_DROP, buf_str(&body), 0);
	call_finish(&drop);	/* sent, or not: then it goes with covey-syncd */
	buf_clear(&body);
}

/* homes */

/* While somebody waits for a majority.  A STORE that failed at once would fail at once again. */
static void store_again_later(struct replicate *r)
{
	uint64_t now = loop_now(r->write->worker->loop);
	uint64_t left = r->write->until > now ? r->write->until - now : 0;
	uint64_t pause = homes_pause_ms(r->tries, left);

	if (r->majority || !replicate_is_awaited(r) || now < r->store_began + HOMES_RETRY_MS || pause == left)
		return;
	r->tries++;
	timer_start(r->write->worker->loop, &r->store_later, pause);
}

static void store_take(struct replicate *r, const struct store_answer *answer)
{
	if (answer->confirmed && !r->majority)
		r->epoch = answer->epoch;
	r->majority |= answer->confirmed;
	r->every_home |= answer->all;
	r->homes = answer->counts.homes;
	r->homes_answered = answer->counts.homes_answered;
}

static void store_answered(struct call *call, struct frame *frame)
{
	struct replicate *r = CONTAINER_OF(call, struct replicate, store);
	struct store_answer answer;

	if (!ask_store_answer(frame, &answer)) {
		call_finish(call);
	} else {
		store_take(r, &answer);
		if (answer.last) {
			call_finish(call);
			store_again_later(r);
		}
	}
	replicate_changed(r);
}

static void store_at_homes(struct replicate *r)
{
	struct store_ask question = { .path = replicate_path(r), .record = *r->record,
				      .type = str_of(r->item->type) };

	timer_stop(&r->store_later);
	r->store_began = loop_now(r->write->worker->loop);
	r->store.answer = store_answered;
	ask_store(r->write->worker, &r->store, &question, AFTER_MS);
}

static void store_due(struct timer *timer)
{
	store_at_homes(CONTAINER_OF(timer, struct replicate, store_later));
}

/* The homes by the layout of now; this node has the record. */
static void homes_begin(const struct replicate *r, struct quorum *quorum)
{
	quorum_begin(quorum);
	quorum_add(quorum, &r->layout, path_partition(replicate_path(r)));
	quorum_answered(quorum, self_id(r));
}

/*
 * A home that is given the content needs no pointer to it, which it would
 * have to put on disk and then to replace.  So STORE waits for the push when
 * this node and the keepers it pushes to are a majority of the homes.
 */
static bool push_reaches_majority(const struct replicate *r)
{
	const struct sync_push *to = &r->push.to;
	struct quorum quorum;

	if (!r->pushing || r->record->size > LARGE_BYTES)
		return false;
	homes_begin(r, &quorum);
	for (size_t i = 0; i < to->wanted && i < to->keeper_count; i++)
		quorum_answered(&quorum, to->keepers[i]);
	return quorum_reached(&quorum);
}

/* The homes there are, and this one of them, until more is told. */
static void homes_count(struct replicate *r)
{
	struct quorum quorum;
	uint32_t answered, homes;

	homes_begin(r, &quorum);
	quorum_tell(&quorum, &answered, &homes);
	r->homes_answered = answered;
	r->homes = homes;
}

/* the whole */

static void look_again(struct timer *timer)
{
	replicate_changed(CONTAINER_OF(timer, struct replicate, look));
}

/* The write may be over with it. */
static void replicate_changed(struct replicate *r)
{
	group_layout(r->write->worker->httpd->group, &r->layout);
	if (replicate_is_awaited(r)) {
		push_more(r);
		if (is_behind(r))
			timer_start(r->write->worker->loop, &r->look, LOOK_MS);
	}
	item_changed(r->write);
}

static struct replicate *item_replicate(struct write *w, struct write_item *item)
{
	struct replicate *r = item->replicate;

	if (r != NULL)
		return r;
	r = item->replicate = mem_new(1, sizeof *r);
	r->write = w;
	r->item = item;
	r->store = (struct call)CALL_INIT;
	r->store_later.fire = store_due;
	r->look.fire = look_again;
	return r;
}

/* Its version is on this disk. */
static void replicate_start(struct replicate *r)
{
	r->record = item_record(r->write, r->item);
	group_layout(r->write->worker->httpd->group, &r->layout);
	homes_count(r);
	if (r->pushing ? r->push.call.caller == NULL : push_to_keepers(r, copies_missing(r)))
		push_name(r);		/* else when the answer to BEGIN has come */
	if (push_reaches_majority(r))
		timer_start(r->write->worker->loop, &r->store_later, HOLD_MS);
	else
		store_at_homes(r);
}

/* A push without a version ends. */
static void replicate_free(struct replicate *r)
{
	if (r == NULL)
		return;
	call_finish(&r->store);
	push_end(r);
	timer_stop(&r->store_later);
	timer_stop(&r->look);
	free(r);
}

/* So many bytes of one raw body are in its stage. */
static void write_grown(struct write *w, uint64_t bytes)
{
	if (w->worker->httpd->group != NULL)
		replicate_grown(item_replicate(w, &w->items[0]), bytes);
}

static void replicate_next(struct write *w)
{
	while (w->started < w->count && w->open < AT_ONCE_MAX) {
		replicate_start(item_replicate(w, &w->items[w->started++]));
		w->open++;
	}
}

static enum outcome replicate(struct write *w)
{
	struct httpd *h = w->worker->httpd;
	uint64_t now = loop_now(w->worker->loop);

	w->existed = w->result < 0 && w->kind == WRITE_MKDIR && w->err.kind == ERR_EXISTS;
	if (w->result < 0 && !w->existed) {
		write_refuse(w);
		return GO_ON;
	}
	if (h->group == NULL || group_epoch(h->group) == 0) {
		/* Without a layout nothing is promised, even if covey-versiond was told of one already. */
		w->unconfirmed |= h->grouped;
		outbox_poke(w->worker);
		w->step = WRITE_ANSWER;
		return GO_ON;
	}
	if (w->until == 0)
		w->until = now + wait_ms(w);
	atomic_fetch_add(&h->replicating, 1);
	replicate_next(w);
	/* A version that was chosen without a majority's answer stays unconfirmed: nobody waits for it. */
	if (w->unconfirmed || (!is_update(w) && (w->conn->request.prefer.respond_async ||
						 w->until <= now))) {
		w->unconfirmed = true;
		w->step = WRITE_ANSWER;
		return GO_ON;
	}
	timer_start(w->worker->loop, &w->timer, w->until > now ? w->until - now : 0);
	return WAIT;
}

static enum outcome judge(struct write *w)
{
	size_t confirmed = 0;

	for (size_t i = 0; i < w->started; i++) {
		enum replicate_state state = replicate_state(w->items[i].replicate);

		confirmed += state == REPLICATE_CONFIRMED;
		w->unconfirmed |= state == REPLICATE_HOPELESS;
	}
	if (w->unconfirmed || confirmed == w->count)
		return GO_ON;
	if (loop_now(w->worker->loop) >= w->until) {
		w->unconfirmed = true;
		return GO_ON;
	}
	w->open = w->started - confirmed;
	replicate_next(w);
	w->step = WRITE_JUDGE;
	return WAIT;
}

/* answer */

static bool replaced_all(const struct write *w)
{
	for (size_t i = 0; i < w->count; i++)
		if (!w->items[i].replaced)
			return false;
	return true;
}

static int status_of(const struct write *w)
{
	if (w->unconfirmed)
		return 202;
	if (w->kind == WRITE_DELETE || w->kind == WRITE_RMDIR || w->existed || replaced_all(w))
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
static void answer_write_state(const struct write *w)
{
	struct conn *c = w->conn;
	const struct replicate *least = w->items[0].replicate;
	struct buf value = BUF_INIT;

	if (!w->unconfirmed || w->started == 0) {
		answer_version_state(c);
		return;
	}
	for (size_t i = 1; i < w->started; i++) {
		const struct replicate *r = w->items[i].replicate;

		if (r->homes_answered < least->homes_answered ||
		    (r->homes_answered == least->homes_answered && copies_counted(r) < copies_counted(least)))
			least = r;
	}
	answer_count(c, false);
	freshness_write_state(&value, least->homes_answered, least->homes,
			      w->started < w->count ? 1 : (unsigned)copies_counted(least));
	reply_field(&c->output.text, "Version-State", buf_str(&value));
	buf_clear(&value);
}

/* An update that was stored, but not in the group of one in which it was judged. */
static bool is_outcome_open(const struct write *w)
{
	if (!is_update(w))
		return false;
	for (size_t i = 0; i < w->started; i++)
		if (w->items[i].replicate->epoch != w->alone_epoch)
			return true;
	return w->unconfirmed;
}

static void answer_preference(const struct write *w, int status)
{
	struct prefer applied = w->conn->request.prefer;
	struct buf value = BUF_INIT;

	applied.respond_async &= status == 202;
	applied.has_wait &= !is_update(w);
	prefer_applied(&value, &applied);
	if (value.len > 0)
		reply_field(&w->conn->output.text, "Preference-Applied", buf_str(&value));
	buf_clear(&value);
}

static void answer_refusal(struct write *w)
{
	struct conn *c = w->conn;

	/* Some items may be committed, and the one that failed may have left its entry in the outbox. */
	if (w->job.work == commit_job)
		outbox_poke(w->worker);
	if (w->err.kind == ERR_ABSENT)
		answer_version_error(c, 404, str_of(err_reason(&w->err)));
	else
		answer_err(c, &w->err);
}

static void answer_stored(struct write *w)
{
	struct conn *c = w->conn;
	int status = status_of(w);
	char etag[ETAG_TEXT];

	notices_write(c, !w->unconfirmed);
	if (is_outcome_open(w)) {
		answer_error(c, 504, "the update is stored, and may or may not be what its condition wanted");
		return;
	}
	if (w->form) {
		answer_form(c);
		return;
	}
	answer_begin(c, status);
	if (w->count == 1)
		reply_field(&c->output.text, "ETag", answer_target(etag, item_record(w, &w->items[0])).etag);
	answer_write_state(w);
	answer_preference(w, status);
	if (status == 204)
		answer_end(c);
	else
		answer_end_text(c, (struct str)STR_INIT);
}

static enum outcome answer(struct write *w)
{
	struct ask *ask = &w->conn->request.ask;

	timer_stop(&w->timer);
	ask->confirmed = !w->unconfirmed;
	ask->asked = w->peers;
	ask->answered = w->peers_answered;
	if (w->result < 0 && !w->existed)
		answer_refusal(w);
	else
		answer_stored(w);
	return WAIT;		/* for the request's end */
}

/* a write's beginning and end */

static void write_free(struct write *w)
{
	struct worker *worker = w->worker;

	list_remove(&w->link);
	if (w->started > 0)
		atomic_fetch_sub(&worker->httpd->replicating, 1);
	for (size_t i = 0; i < w->count; i++) {
		struct write_item *item = &w->items[i];

		replicate_free(item->replicate);
		item_drop_stage(w, item);
		item_drop_small(w, item);
		buf_clear(&item->path);
		if (item->copy_fd >= 0)
			close(item->copy_fd);
	}
	coded_free(w->coded);
	free(w->items);
	free(w);
}

/* What homes and keepers have not got is left to the outbox. */
static void write_finish(struct write *w)
{
	bool rest = w->started < w->count;

	for (size_t i = 0; i < w->started; i++) {
		struct outbox_mark mark = w->items[i].commit.mark;

		if (replicate_is_complete(w->items[i].replicate))
			outbox_finish(w->worker->httpd->outbox, mark);
		else
			rest |= mark.segment != 0;
	}
	if (rest)
		outbox_poke(w->worker);
	write_free(w);
}

static void finish_if_over(struct write *w)
{
	for (size_t i = 0; i < w->started; i++)
		if (!replicate_is_over(w->items[i].replicate))
			return;
	write_finish(w);
}

static void rmdir_free(struct rmdir *);

static void write_end(struct conn *c)
{
	struct write *w = c->request.write;
	unsigned beside;

	ask_end(&w->ask);
	timer_stop(&w->timer);
	rmdir_free(w->rmdir);
	if (w->waits)
		atomic_fetch_sub(&w->worker->httpd->waiting, 1);
	w->waits = false;
	if (w->started == 0) {
		write_free(w);
		return;
	}
	w->conn = NULL;
	list_append(&w->worker->writes, &w->link);
	beside = atomic_load_explicit(&w->worker->httpd->replicating, memory_order_relaxed);
	if (beside > AFTER_MAX) {
		write_finish(w);
		return;
	}
	for (size_t i = 0; i < w->started; i++)
		push_rest(w->items[i].replicate);
	finish_if_over(w);
}

void write_free_all(struct worker *worker)
{
	LIST_EACH(struct write, w, &worker->writes, link)
		write_free(w);
}

/* an upload begins: PUT, POST with a body */

/* Why this request cannot be an upload, or NULL. */
static const char *upload_malformed(struct conn *c, int *status)
{
	struct str range = head_get(&c->head, FIELD_CONTENT_RANGE);
	struct str encoding = head_get(&c->head, FIELD_CONTENT_ENCODING);
	uint64_t size;

	*status = 400;
	if (range.s != NULL && (range_upload(range, &size) < 0 ||
				c->head.framing != FRAMING_LENGTH || size != c->head.length))
		return "Content-Range: parts of a file cannot be uploaded";
	if (encoding.n > 0 && !str_eq_nocase(encoding, STR("identity"))) {
		*status = 415;
		return "Content-Encoding: send the content as it is";
	}
	*status = 411;
	if (c->head.framing == FRAMING_NONE)
		return "say Content-Length, or use Transfer-Encoding: chunked";
	return NULL;
}

/* What the head says of a raw body.  -1: answered. */
static int raw_begin(struct conn *c, struct write *w)
{
	struct write_item *item = write_add(w, buf_str(&c->request.path));
	struct str mtime = head_get(&c->head, FIELD_X_OC_MTIME);
	struct buf scratch = BUF_INIT;
	uint64_t seconds = 0;
	int malformed_digest;

	upload_type(c->worker->httpd->mime, head_get(&c->head, FIELD_CONTENT_TYPE),
		    buf_str(&item->path), item->type);
	if (mtime.s != NULL && str_u64(mtime, UINT32_MAX, &seconds) == 0)
		w->mtime = (uint32_t)seconds;
	malformed_digest = digests_parse(&w->repr, head_list(&c->head, FIELD_REPR_DIGEST, &scratch));
	buf_reset(&scratch);
	malformed_digest |= digests_parse(&w->content,
					  head_list(&c->head, FIELD_CONTENT_DIGEST, &scratch));
	buf_clear(&scratch);
	if (malformed_digest < 0)
		answer_error(c, 400, "Repr-Digest or Content-Digest is malformed");
	return malformed_digest;
}

static bool is_form(const struct conn *c)
{
	return c->head.method == METHOD_POST &&
	       fields_type_is(head_get(&c->head, FIELD_CONTENT_TYPE), STR("multipart/form-data"));
}

static void upload_start(struct conn *c)
{
	int status;
	const char *why = upload_malformed(c, &status);
	bool form = is_form(c);
	struct upload *u;

	if (why != NULL) {
		answer_error(c, status, "%s", why);
		return;
	}
	if (!form && c->request.slash) {
		answer_error(c, 400, "POST to a directory wants multipart/form-data (curl -F file=@FILE)");
		return;
	}
	u = upload_new(c);
	write_new(c, WRITE_FILE);
	if (form && form_begin(u, &u->err) < 0) {
		answer_err(c, &u->err);
		return;
	}
	if (!form && raw_begin(c, c->request.write) < 0)
		return;
	write_run(c->request.write);
}

/* writes without a body */

static void start_simple(struct conn *c, enum write_kind kind)
{
	struct write *w;

	if (c->has_body) {
		answer_error(c, 400, "this request takes no body");
		return;
	}
	w = write_new(c, kind);
	write_add(w, buf_str(&c->request.path));
	write_received(w);
}

/*
 * rmdir: an empty directory is removed from a group
 *
 * rmdir_run() has these steps, one below the other:
 *
 *	1	the entry is live, as a reader is told
 *	2	nothing is in the directory, as a reader is told
 *	3	the gate, two ticks above all that is known of the name, is on this
 *		node's disk and at a majority of the homes of what is in the directory.
 *		One above may be an entry that was made late for something in it
 *		(storing.h): that has ended, too
 *	4	nothing is in it once more, as those tell who know of the gate: who
 *		stored a name there before it is seen now, and who does so later
 *		finds the gate, and makes the directory anew
 *	5	the entry ends, at the gate's version, as any write
 *
 * Where no majority answers before the last step nothing is removed.  After
 * a 409 of step 4, or a 503, the gate stays behind: it hides nothing, and
 * whoever stores a name in the directory next makes the entry anew, above it.
 */

enum rmdir_step {
	RMDIR_ASK,
	RMDIR_LIST,
	RMDIR_COMMIT_GATE,
	RMDIR_STORE_GATE,
	RMDIR_LIST_AGAIN,
	RMDIR_LIST_EVERY_HOME,
	RMDIR_END,
	RMDIR_OVER,
};

struct rmdir {
	struct write *write;
	enum rmdir_step step;		/* the next one */
	struct inventory_ask list;	/* of step 2, then of step 4, */
	struct inventory inventory;	/* a window of it, of many names the last one */
	struct buf after;		/* which begins behind this one */
	struct version told;		/* the greatest gate that was told of */
	struct buf gate;		/* path of the gate */
	struct commit commit;		/* of the gate */
	struct call call;		/* STORE of the gate */
	bool gate_stored;		/* at a majority */
};

static enum outcome entry_ask(struct rmdir *);
static enum outcome names_list(struct rmdir *);
static enum outcome gate_commit(struct rmdir *);
static enum outcome gate_store(struct rmdir *);
static enum outcome names_list_again(struct rmdir *);
static enum outcome names_list_everywhere(struct rmdir *);
static enum outcome entry_end(struct rmdir *);

static enum outcome (*const rmdir_steps[])(struct rmdir *) = {
	[RMDIR_ASK] = entry_ask,
	[RMDIR_LIST] = names_list,
	[RMDIR_COMMIT_GATE] = gate_commit,
	[RMDIR_STORE_GATE] = gate_store,
	[RMDIR_LIST_AGAIN] = names_list_again,
	[RMDIR_LIST_EVERY_HOME] = names_list_everywhere,
	[RMDIR_END] = entry_end,
};

/*
 * Each step looks at what the one before it came to.  One that answers waits,
 * too: for the request's end.
 */
static void rmdir_run(struct rmdir *r)
{
	while (r->step < RMDIR_OVER && rmdir_steps[r->step++](r) == GO_ON)
		;
}

static void rmdir_go_on(struct conn *c)
{
	rmdir_run(c->request.write->rmdir);
}

static void rmdir_refuse(struct conn *c, int status, const char *why)
{
	c->request.ask.confirmed = status != 503;
	answer_version_error(c, status, str_of(why));
}

static void rmdir_cannot_tell(struct conn *c)
{
	rmdir_refuse(c, 503, "too few homes of the directory answer: nothing was removed");
}

/* 1: the entry */

static enum outcome entry_ask(struct rmdir *r)
{
	struct conn *c = r->write->conn;

	return ask_start(&c->request.ask, c, buf_str(&c->request.path), NEWEST_READ, VERSION_NONE,
			 rmdir_go_on) ? GO_ON : WAIT;
}

/* 2, 4: what is in it */

static void names_listed(struct conn *);

static void names_list_window(struct rmdir *r)
{
	inventory_end(&r->inventory);
	r->list.after = buf_str(&r->after);
	inventory_start(&r->inventory, r->write->conn, &r->list, names_listed);
}

/* Until a name is found, or all windows have none. */
static void names_listed(struct conn *c)
{
	struct rmdir *r = c->request.write->rmdir;
	const struct inventory *inv = &r->inventory;

	r->told = version_later(r->told, inv->gate);
	if (!inv->confirmed || inv->count > 0 || inv->upto.len == 0) {
		rmdir_go_on(c);
		return;
	}
	buf_reset(&r->after);
	buf_addstr(&r->after, buf_str(&inv->upto));
	names_list_window(r);
}

static void names_list_begin(struct rmdir *r, struct version gate, bool every_home)
{
	r->list = (struct inventory_ask){ .path = buf_str(&r->write->conn->request.path), .gate = gate,
					  .every_home = every_home, .limit = INVENTORY_WINDOW };
	buf_reset(&r->after);
	names_list_window(r);
}

/* True: it was answered. */
static bool directory_is_in_use(struct rmdir *r)
{
	if (!r->inventory.confirmed)
		rmdir_cannot_tell(r->write->conn);
	else if (r->inventory.count > 0)
		rmdir_refuse(r->write->conn, 409, "the directory is not empty");
	else
		return false;
	return true;
}

static enum outcome names_list(struct rmdir *r)
{
	const struct ask *ask = &r->write->conn->request.ask;

	if (ask->certainty == CERTAINTY_UNCONFIRMED)
		rmdir_cannot_tell(r->write->conn);
	else if (!record_is_live(&ask->entry))
		rmdir_refuse(r->write->conn, 404, "no such directory");
	else
		names_list_begin(r, VERSION_NONE, false);
	return WAIT;
}

static enum outcome names_list_again(struct rmdir *r)
{
	if (r->gate_stored)
		names_list_begin(r, r->commit.record.version, false);
	else
		rmdir_cannot_tell(r->write->conn);
	return WAIT;
}

/* A name that was never confirmed is passed over only by what every home tells. */
static enum outcome names_list_everywhere(struct rmdir *r)
{
	if (r->inventory.confirmed && r->inventory.count == 0)
		return GO_ON;
	names_list_begin(r, r->commit.record.version, true);
	return WAIT;
}

/* 3: the gate */

static void gate_commit_job(struct job *job)
{
	struct write *w = CONTAINER_OF(job, struct write, job);

	w->result = store_commit(w->worker->httpd->store, &w->rmdir->commit, &w->err);
}

static void gate_committed(struct job *job)
{
	struct write *w = CONTAINER_OF(job, struct write, job);
	struct conn *c = w->conn;

	rmdir_run(w->rmdir);
	conn_resume(c);
}

static enum outcome gate_commit(struct rmdir *r)
{
	struct conn *c = r->write->conn;
	const struct ask *ask = &c->request.ask;

	if (directory_is_in_use(r))
		return WAIT;
	path_to_gate(&r->gate, buf_str(&c->request.path));
	r->commit = (struct commit)COMMIT_INIT;
	r->commit.path = buf_str(&r->gate);
	r->commit.flags = RECORD_DELETED;
	r->commit.above = version_later(version_later(ask->entry.version, ask->record.version),
					r->told);
	if (r->commit.above.time < UINT64_MAX)
		r->commit.above.time++;
	r->commit.clock = ask->clock != 0 ? ask->clock : group_clock(c->worker->httpd->group);
	conn_start_job(c, &r->write->job, gate_commit_job, gate_committed, path_hash(buf_str(&c->request.path)));
	return WAIT;
}

static void gate_answered(struct call *call, struct frame *frame)
{
	struct rmdir *r = CONTAINER_OF(call, struct rmdir, call);
	struct conn *c = r->write->conn;
	struct store_answer answer;

	r->gate_stored = ask_store_answer(frame, &answer) && answer.confirmed;
	call_finish(call);
	rmdir_run(r);
	conn_resume(c);
}

static enum outcome gate_store(struct rmdir *r)
{
	struct store_ask ask = { .path = buf_str(&r->gate), .record = r->commit.record };

	if (r->write->result < 0) {
		answer_err(r->write->conn, &r->write->err);
		return WAIT;
	}
	r->call.answer = gate_answered;
	ask_store(r->write->worker, &r->call, &ask, VERSIOND_SLACK_MS);
	return WAIT;
}

/* 5: the entry's end */

static enum outcome entry_end(struct rmdir *r)
{
	struct write *w = r->write;

	if (directory_is_in_use(r))
		return WAIT;
	write_add(w, buf_str(&w->conn->request.path))->commit.fixed = r->commit.record.version;
	w->step = WRITE_COMMIT;
	write_run(w);
	return WAIT;
}

static void rmdir_start(struct write *w)
{
	struct rmdir *r = w->rmdir = mem_new(1, sizeof *r);

	r->write = w;
	r->call = (struct call)CALL_INIT;
	rmdir_run(r);
}

static void rmdir_free(struct rmdir *r)
{
	if (r == NULL)
		return;
	inventory_end(&r->inventory);
	call_finish(&r->call);
	buf_clear(&r->after);
	buf_clear(&r->gate);
	free(r);
}

/* In a group of one it is one act, under the lock; a condition is judged as any write's. */
static void directory_remove(struct conn *c)
{
	struct write *w;
	struct err err;

	if (!c->worker->httpd->grouped || c->has_body) {
		start_simple(c, WRITE_RMDIR);
		return;
	}
	w = write_new(c, WRITE_RMDIR);
	if (judge_condition(w, &(struct record){ .flags = 0 }, &err) < 0 || judge_alone(w, &err) < 0)
		answer_err(c, &err);
	else
		rmdir_start(w);
}

static void directory_start(struct conn *c)
{
	if (c->request.path.len == 0)
		answer_error(c, 409, "the root directory is always there");
	else if (c->head.method == METHOD_PUT)
		start_simple(c, WRITE_MKDIR);
	else
		directory_remove(c);
}

/* restore: a new version with the content of an older one */

static const char restore_no_content[] = "this version is a deletion or a directory";
static const char restore_not_now[] = "this version's content cannot be had now";

/* As many bytes as the version has: a part of them would become a version of its own. */
static bool is_whole(const struct store_entry *entry)
{
	struct stat st;

	return fstat(entry->fd, &st) == 0 && (uint64_t)st.st_size == entry->record.size;
}

/* The content is open in request.entry: commit it anew. */
static void restore_commit(struct conn *c)
{
	struct request *r = &c->request;
	struct write_item *item;
	struct write *w;

	if (!is_whole(&r->entry)) {
		answer_error(c, 503, "%s", restore_not_now);
		return;
	}
	w = write_new(c, WRITE_FILE);
	item = write_add(w, buf_str(&r->path));
	w->mtime = r->entry.record.mtime;
	w->form = answer_wants_page(c);
	memcpy(item->type, r->entry.type, sizeof item->type);
	item->copy_fd = r->entry.fd;
	r->entry.fd = -1;
	write_received(w);
}

/* 1: it is open; 0: it has to be fetched, if it can be; -1: answered. */
static int restore_open(struct conn *c)
{
	struct request *r = &c->request;
	struct err err;

	if (store_version(c->worker->httpd->store, buf_str(&r->path), r->query.restore, STORE_CONTENT,
			  &r->entry, &err) < 0) {
		if (err.kind == ERR_ABSENT)
			return 0;
		answer_err(c, &err);
		return -1;
	}
	if (!record_has_content(&r->entry.record)) {
		answer_error(c, 404, "%s", restore_no_content);
		return -1;
	}
	return r->entry.fd >= 0;
}

static void restore_fetched(struct conn *c, int fd)
{
	struct request *r = &c->request;

	if (fd < 0) {
		answer_error(c, 503, "%s", restore_not_now);
		return;
	}
	store_entry_clear(&r->entry);
	r->entry.record = r->ask.record;
	memcpy(r->entry.type, r->ask.type, sizeof r->entry.type);
	r->entry.fd = fd;
	restore_commit(c);
}

/* What the peers know of a version that is not here. */
static void restore_fetch(struct conn *c)
{
	struct request *r = &c->request;

	if (version_cmp(r->ask.record.version, r->query.restore) != 0)
		answer_error(c, 404, "no such version");
	else if (!record_has_content(&r->ask.record))
		answer_error(c, 404, "%s", restore_no_content);
	else if (pull_start(c, &r->ask.record, str_of(r->ask.type), PULL_WHOLE, restore_fetched) < 0)
		answer_error(c, 503, "%s", restore_not_now);
}

static void restore_start(struct conn *c)
{
	struct request *r = &c->request;
	int here;

	if (c->has_body) {
		answer_error(c, 400, "?restore= takes no body");
		return;
	}
	if (r->slash) {
		answer_error(c, 400, "?restore= is for files");
		return;
	}
	here = restore_open(c);
	if (here > 0)
		restore_commit(c);
	else if (here == 0 && ask_start(&r->ask, c, buf_str(&r->path), NEWEST_ONE, r->query.restore,
				      restore_fetch))
		restore_fetch(c);
}

/*
 * push: a content that another node gives to this one, as a keeper
 *
 * Its version is told in the header, or in the trailer when it was chosen
 * meanwhile.  It is committed as it is; whatever does not fit leaves nothing
 * behind.
 */

static bool pushed_is_here(struct conn *c, const struct record *record)
{
	struct store_entry entry = STORE_ENTRY_INIT;
	bool here = store_version(c->worker->httpd->store, buf_str(&c->request.path),
				  record->version, STORE_RECORD, &entry, NULL) == 0 &&
		    entry.content;

	store_entry_clear(&entry);
	return here;
}

static void pushed_answer(struct conn *c, int status)
{
	answer_begin(c, status);
	answer_end_text(c, (struct str)STR_INIT);
}

static int pushed_parse(struct str field, struct record *ret, struct str *ret_type, struct err *err)
{
	if (record_parse(field, ret, ret_type, err) < 0)
		return -1;
	return record_has_content(ret) ? 0 : err_set(err, ERR_INVALID, "it has no content");
}

/* In the pool, its body in its stage. */
static int pushed_prepare(struct write *w, struct write_item *item, struct err *err)
{
	struct httpd *h = w->worker->httpd;
	const struct record *record = &item->existing;
	struct layout layout;

	if (stage_size(item->stage) != record->size ||
	    memcmp(stage_sha256(item->stage), record->sha256, SHA256_BYTES) != 0)
		return err_set(err, ERR_INVALID, "take %s: the body is not the record's content",
			       item->path.data);
	group_layout(h->group, &layout);
	item->commit = commit_of_record(buf_str(&item->path), record, str_of(item->type), item->stage,
					layout.keep_versions);
	item->commit.wal = h->wal;
	return 0;
}

static void pushed_committed(struct job *job)
{
	struct write *w = CONTAINER_OF(job, struct write, job);
	struct conn *c = w->conn;

	if (w->result < 0)
		answer_err(c, &w->err);
	else
		pushed_answer(c, w->items[0].commit.dropped ? 410 : 201);
	conn_resume(c);
}

/*
 * A push may come coded (coding.h), by a version that is here; then what came
 * is decoded, and is committed as if it had come as it is.
 */
struct coded {
	enum coding coding;
	struct store_entry by;		/* of CODING_DCZ: the dictionary, open, for it may be pruned meanwhile */
};

static void coded_free(struct coded *coded)
{
	if (coded != NULL)
		store_entry_clear(&coded->by);
	free(coded);
}

static int coded_take(void *data, const void *bytes, size_t n, struct err *err)
{
	return stage_add(data, bytes, n, err);
}

/* What came, from memory or from its stage, through the decoder. */
static int coded_feed(const struct write_item *item, struct decoder *decoder, struct stage *to, struct err *err)
{
	uint64_t size = item->stage != NULL ? stage_size(item->stage) : 0, at = 0;
	char bytes[FIRST_BYTES];
	ssize_t n;

	if (item->stage == NULL)
		return decoder_add(decoder, item->small.data, item->small.len, coded_take, to, err);
	for (; at < size; at += (uint64_t)n) {
		n = pread(stage_fd(item->stage), bytes, sizeof bytes, (off_t)at);
		if (n <= 0)
			return err_sys(err, "read staged content");
		if (decoder_add(decoder, bytes, (size_t)n, coded_take, to, err) < 0)
			return -1;
	}
	return 0;
}

/* The item's body is the content then. */
static int coded_decode(const struct write *w, struct write_item *item, struct err *err)
{
	const struct store_entry *by = &w->coded->by;
	struct dictionary dictionary = DICTIONARY_INIT;
	struct decoder *decoder = NULL;
	struct stage *to = NULL;
	int rc = 0;

	if (w->coded->coding == CODING_DCZ)
		rc = dictionary_read(&dictionary, by->fd, by->record.size, by->record.sha256, err);
	if (rc == 0)
		rc = stage_begin(w->worker->httpd->store, &to, err);
	if (rc == 0) {
		decoder = decoder_new(dictionary.bytes != NULL ? &dictionary : NULL, item->existing.size);
		rc = coded_feed(item, decoder, to, err);
	}
	if (rc == 0)
		rc = decoder_end(decoder, err);
	if (rc == 0)
		rc = stage_sync(to, err);
	decoder_free(decoder);
	dictionary_clear(&dictionary);
	if (rc < 0) {
		stage_free(to);
		/* what came is wrong, not what is stored here */
		err->kind = err->kind == ERR_CORRUPT ? ERR_INVALID : err->kind;
		return -1;
	}
	stage_free(item->stage);
	item_drop_small(w, item);
	item->stage = to;
	return 0;
}

/* In the pool. */
static void coded_commit_job(struct job *job)
{
	struct write *w = CONTAINER_OF(job, struct write, job);

	w->staged = true;
	if (coding_enter()) {
		w->stage_result = coded_decode(w, &w->items[0], &w->stage_err);
		coding_leave();
	} else {
		w->stage_result = err_set(&w->stage_err, ERR_AWAY, "take %s: too many are decoded",
					  w->items[0].path.data);
	}
	commit_job(job);
}

/* How a push comes: coded, in *ret, or as it is (NULL).  The status that refuses it; 0: it may come. */
static int coded_judge(struct conn *c, const struct record *record, struct coded **ret)
{
	struct str encoding = head_get(&c->head, FIELD_CONTENT_ENCODING);
	struct str by = head_get(&c->head, FIELD_COVEY_DICTIONARY);
	struct coded coded = { .coding = coding_of(encoding), .by = STORE_ENTRY_INIT };
	struct httpd *h = c->worker->httpd;
	struct version version;

	*ret = NULL;
	if (encoding.n == 0 && by.s == NULL)
		return 0;
	if (coded.coding == CODING_NONE || (coded.coding == CODING_DCZ) != (by.s != NULL) ||
	    h->conf->group.delta == CONF_DELTA_OFF || record->size > CODING_MOST)
		return 415;
	if (by.s != NULL && version_parse(by, &version, NULL) < 0)
		return 400;
	if (by.s != NULL &&
	    (store_version(h->store, buf_str(&c->request.path), version, STORE_CONTENT, &coded.by, NULL) < 0 ||
	     coded.by.fd < 0)) {
		store_entry_clear(&coded.by);
		return 422;
	}
	*ret = mem_new(1, sizeof **ret);
	**ret = coded;
	return 0;
}

/* The body is there, and with it the trailer. */
static void pushed_finish(struct conn *c)
{
	struct write *w = c->request.write;
	struct write_item *item = &w->items[0];
	struct str type, field = head_get(&c->head, FIELD_COVEY_PUSH);

	if (str_eq(field, STR(PEER_PUSH_LATER))) {
		if (peer_trailer_refused(c))
			return;
		field = body_trailer(&c->body, FIELD_COVEY_VERSION);
	}
	if (pushed_parse(field, &item->existing, &type, &w->err) < 0) {
		answer_error(c, 400, PEER_VERSION ": %s", w->err.text);
		return;
	}
	memcpy(item->type, type.s ? type.s : "", type.n);
	w->prepare = pushed_prepare;
	if (w->coded != NULL)
		conn_start_job(c, &w->job, coded_commit_job, pushed_committed, path_hash(buf_str(&item->path)));
	else
		commit_start(w, commit_job, pushed_committed);
}

/* known: what it is; NULL: that is told later, of one that is not coded. */
static void pushed_receive(struct conn *c, const struct record *known, struct coded *coded)
{
	struct upload *u = upload_new(c);

	u->pushed = pushed_finish;
	if (known != NULL && known->size > LARGE_BYTES)
		u->incoming = store_incoming_begin(c->worker->httpd->store, buf_str(&c->request.path),
						   known->version);
	write_add(write_new(c, WRITE_FILE), buf_str(&c->request.path));
	c->request.write->coded = coded;
	upload_begin(c, coded != NULL ? known->size : 0);	/* another node has accepted it */
}

/* It is not here yet. */
static void pushed_begin(struct conn *c, const struct record *record)
{
	struct coded *coded;
	struct err err;
	int status = coded_judge(c, record, &coded);

	if (status != 0) {
		answer_error(c, status, "this node takes that content as it is, or by a version that it has");
	} else if (coded != NULL && store_fits(c->worker->httpd->store, record->size, &err) < 0) {
		coded_free(coded);
		answer_err(c, &err);
	} else {
		pushed_receive(c, record, coded);
	}
}

/* Its signature is checked already.  Before the body: whether it is wanted at all. */
static void pushed_start(struct conn *c)
{
	struct str field = head_get(&c->head, FIELD_COVEY_PUSH), type;
	struct record record;
	struct err err;

	if (c->head.method != METHOD_PUT || c->request.slash || c->head.framing == FRAMING_NONE)
		answer_error(c, 400, "a push is a PUT of a file with its content");
	else if (store_fits(c->worker->httpd->store, 0, &err) < 0)
		answer_err(c, &err);
	else if (str_eq(field, STR(PEER_PUSH_LATER)) && head_get(&c->head, FIELD_CONTENT_ENCODING).s != NULL)
		answer_error(c, 415, "what is told later comes as it is");
	else if (str_eq(field, STR(PEER_PUSH_LATER)))
		pushed_receive(c, NULL, NULL);
	else if (pushed_parse(field, &record, &type, &err) < 0)
		answer_error(c, 400, PEER_PUSH ": %s", err.text);
	else if (pushed_is_here(c, &record))
		pushed_answer(c, 200);
	else
		pushed_begin(c, &record);
}

/* all of them */

static bool has_read_parameters(const struct query *q)
{
	return q->versions || q->deleted || q->has_after || q->limit > 0 ||
	       q->format != QUERY_FORMAT_NONE || !version_is_none(q->version);
}

void write_start(struct conn *c)
{
	const struct request *r = &c->request;
	bool restore = !version_is_none(r->query.restore);
	struct err err;

	/* Writes wait for the disk, and no loop may do that. */
	if (pool_start(c->worker->httpd->pool, &err) < 0)
		answer_err(c, &err);
	else if (has_read_parameters(&r->query) || (restore && c->head.method != METHOD_POST))
		answer_error(c, 400, "a write takes no parameters but POST ?restore=VERSION");
	else if (restore)
		restore_start(c);
	else if (head_get(&c->head, FIELD_COVEY_PUSH).s != NULL)
		pushed_start(c);
	else if (c->head.method == METHOD_DELETE && !r->slash)
		start_simple(c, WRITE_DELETE);
	else if (r->slash && c->head.method != METHOD_POST)
		directory_start(c);
	else
		upload_start(c);
}
