/*
 * surveys - what homes compare: SYNC of another home or of this node's syncd,
 * and NEWEST of a node that holds records it is no home of
 *
 * Answers are made in a pool of one thread, so that a long survey delays no
 * CHECK, and are of the epoch that was asked for: STALE if this node's layout
 * is newer, no answer if it is older.  The epoch is compared again before the
 * answer goes out, as a home does after a commit.  Members ask one thing at a
 * time, so the queue holds as many questions as a group has members; more are
 * refused, and are asked again.
 *
 * Digests stay in memory, each valid while its partition's change counter is
 * unchanged (survey.h): to compare an idle partition again costs nothing.
 * A survey is valid even if something is written meanwhile: it has all that
 * was durable when it began.
 *
 * The rows of a partition are told in pages.  A reader's first page is of a
 * survey at the present epoch, made after the question if anything was written
 * since the last one; its other pages may be of the same survey.
 */
#include "versiond.h"

#include "bulk.h"
#include "container.h"
#include "exchange.h"
#include "holdings.h"
#include "mem.h"
#include "survey.h"

#include <stdatomic.h>

#define SYNCS_MAX LAYOUT_MEMBERS_MAX	/* of others, at once */
#define PAGES 4				/* partitions whose rows are kept */

struct kept_digests {
	bool filled;
	uint64_t changes;		/* of the partition, before the survey */
	uint64_t sum;
	struct digests *digests;	/* owned; NULL: no records */
};

struct row {
	char *path;			/* owned */
	char *type;			/* owned */
	size_t path_bytes;
	struct record record;
	bool content;
};

struct rows {
	bool filled;
	unsigned partition;
	uint64_t changes, epoch;
	uint64_t used;			/* the least is the next to go */
	struct row *list;		/* in exchange_order(); owned */
	size_t count, room;
};

/* What is kept from one question to the next; for the survey pool's one thread. */
struct surveys {
	struct store *store;
	uint64_t epoch;
	uint32_t keep;
	bool listed;			/* directories are known */
	struct survey_directories directories;
	struct kept_digests partitions[PARTITIONS];
	struct digests own;		/* of what is empty */
	struct rows pages[PAGES];
	uint64_t uses;
};

struct surveys *surveys_new(struct store *store)
{
	struct surveys *s = mem_new(1, sizeof *s);

	s->store = store;
	return s;
}

static void rows_clear(struct rows *rows)
{
	for (size_t i = 0; i < rows->count; i++) {
		free(rows->list[i].path);
		free(rows->list[i].type);
	}
	free(rows->list);
	*rows = (struct rows){ .filled = false };
}

static void surveys_forget(struct surveys *s)
{
	for (size_t i = 0; i < PARTITIONS; i++) {
		free(s->partitions[i].digests);
		s->partitions[i] = (struct kept_digests){ .filled = false };
	}
	for (size_t i = 0; i < PAGES; i++)
		rows_clear(&s->pages[i]);
}

void surveys_free(struct surveys *s)
{
	if (s == NULL)
		return;
	surveys_forget(s);
	survey_directories_clear(&s->directories);
	free(s);
}

/* At the beginning of each job, for all that it asks. */
static int surveys_begin(struct surveys *s, uint64_t epoch, uint32_t keep, struct err *err)
{
	if (keep != s->keep)
		surveys_forget(s);
	s->keep = keep;
	s->epoch = epoch;
	return store_finish_dead(s->store, err);
}

/* The partition's directories, as they are at least since the caller read its change counter. */
static int surveys_slice(struct surveys *s, unsigned partition, const struct survey_directory **ret,
			 size_t *ret_count, struct err *err)
{
	if (!s->listed || s->directories.changes != store_directory_changes(s->store)) {
		struct survey_directories directories = SURVEY_DIRECTORIES_INIT;

		if (survey_directories(s->store, &directories, err) < 0)
			return -1;
		survey_directories_clear(&s->directories);
		s->directories = directories;
		s->listed = true;
	}
	*ret = survey_slice(&s->directories, partition, ret_count);
	return 0;
}

/* digests */

static int digests_add_path(void *data, const struct survey_path *path)
{
	struct digests *digests = data;

	for (size_t i = 0; i < path->count; i++)
		digests_add(digests, path->path, &path->entries[i].record);
	return 0;
}

static int survey_digests(struct surveys *s, unsigned partition, struct kept_digests *ret,
			  struct err *err)
{
	const struct survey_directory *directories;
	struct digests *digests = NULL;
	size_t count;

	ret->changes = store_changes(s->store, partition);
	if (surveys_slice(s, partition, &directories, &count, err) < 0)
		return -1;
	if (count > 0) {
		digests = mem_new(1, sizeof *digests);
		if (survey(s->store, directories, count, s->keep, digests_add_path, digests, err) < 0) {
			free(digests);
			return -1;
		}
	}
	ret->sum = digests != NULL ? digests_sum(digests) : 0;
	ret->digests = digests;
	ret->filled = true;
	return 0;
}

/* Good until the next call. */
static int surveys_digests(struct surveys *s, unsigned partition, const struct digests **ret,
			   uint64_t *ret_sum, struct err *err)
{
	struct kept_digests *kept = &s->partitions[partition];
	struct kept_digests fresh = { .filled = false };

	if (!kept->filled || kept->changes != store_changes(s->store, partition)) {
		if (survey_digests(s, partition, &fresh, err) < 0)
			return -1;
		free(kept->digests);
		*kept = fresh;
	}
	*ret = kept->digests != NULL ? kept->digests : &s->own;
	*ret_sum = kept->sum;
	return 0;
}

/* rows */

static void rows_add(struct rows *rows, struct str path, const struct history_entry *entry)
{
	const char *type = entry->type != NULL ? entry->type : "";

	if (rows->count == rows->room) {
		rows->room = rows->room > 0 ? 2 * rows->room : 64;
		rows->list = mem_resize(rows->list, rows->room, sizeof *rows->list);
	}
	rows->list[rows->count++] = (struct row){ .path = mem_copy(path.s, path.n),
						  .path_bytes = path.n,
						  .type = mem_copy(type, strlen(type)),
						  .record = entry->record,
						  .content = entry->content };
}

static int rows_add_path(void *data, const struct survey_path *path)
{
	for (size_t i = 0; i < path->count; i++)
		rows_add(data, path->path, &path->entries[i]);
	return 0;
}

static struct str row_path(const struct row *row)
{
	return (struct str){ row->path, row->path_bytes };
}

static int rows_order(const void *a, const void *b)
{
	const struct row *x = a, *y = b;

	return exchange_order(row_path(x), x->record.version, row_path(y), y->record.version);
}

static int survey_rows(struct surveys *s, unsigned partition, struct rows *rows, struct err *err)
{
	const struct survey_directory *directories;
	size_t count;

	rows_clear(rows);
	rows->changes = store_changes(s->store, partition);
	if (surveys_slice(s, partition, &directories, &count, err) < 0)
		return -1;
	if (survey(s->store, directories, count, s->keep, rows_add_path, rows, err) < 0) {
		rows_clear(rows);
		return -1;
	}
	if (rows->count > 0)
		qsort(rows->list, rows->count, sizeof *rows->list, rows_order);
	rows->partition = partition;
	rows->epoch = s->epoch;
	rows->filled = true;
	return 0;
}

static bool rows_are_good(struct surveys *s, const struct rows *rows, const struct exchange_ask *ask)
{
	return rows->filled && rows->partition == ask->partition && rows->epoch == s->epoch &&
	       (!version_is_none(ask->version) ||
		rows->changes == store_changes(s->store, ask->partition));
}

/* One for this partition if there is one, or else the one that was not used for longest. */
static struct rows *rows_for(struct surveys *s, unsigned partition)
{
	struct rows *best = &s->pages[0];

	for (size_t i = 0; i < PAGES; i++) {
		struct rows *rows = &s->pages[i];

		if (rows->filled && rows->partition == partition)
			return rows;
		if (rows->used < best->used)
			best = rows;
	}
	return best;
}

static void rows_pack(const struct rows *rows, const struct exchange_ask *ask, struct buf *buf)
{
	bool all = version_is_none(ask->version), more = false;

	exchange_begin_rows(buf, ask->partition);
	for (size_t i = 0; i < rows->count && !more; i++) {
		const struct row *row = &rows->list[i];
		struct exchange_row out = { .path = row_path(row), .record = row->record,
					    .type = str_of(row->type), .content = row->content };

		if (!exchange_wants(ask, digests_bucket(out.path)) ||
		    (!all && exchange_order(out.path, row->record.version, ask->after,
					    ask->version) <= 0))
			continue;
		more = !exchange_add_row(buf, &out);
	}
	exchange_end_rows(buf, more);
}

/* Append EXCHANGE_RECORDS_ARE. */
static int surveys_rows(struct surveys *s, const struct exchange_ask *ask, struct buf *buf,
			struct err *err)
{
	struct rows *rows = rows_for(s, ask->partition);

	if (!rows_are_good(s, rows, ask) && survey_rows(s, ask->partition, rows, err) < 0)
		return -1;
	rows->used = ++s->uses;
	rows_pack(rows, ask, buf);
	return 0;
}

/* questions */

struct sync {
	struct job job;
	struct versiond *versiond;
	struct serve_request *request;	/* NULL: its asker is gone, */
	atomic_bool abandoned;		/* which the survey pool's thread may see too */
	uint64_t epoch;
	uint32_t keep;
	struct bulk ask;		/* without its body, which is: */
	struct buf body;
	struct buf answer;		/* the body of the answer */
	bool failed;
	struct err err;
};

/* on the survey pool's thread */

static int digests_are(struct surveys *s, const struct exchange *ask, struct buf *answer,
		       struct err *err)
{
	struct exchange_digest *list = mem_new(ask->count + 1, sizeof *list);
	const struct digests *digests;
	int rc = 0;

	for (size_t i = 0; i < ask->count && rc == 0; i++) {
		list[i].partition = exchange_partition(ask, i);
		rc = surveys_digests(s, list[i].partition, &digests, &list[i].digest, err);
	}
	if (rc == 0)
		exchange_pack_digests_are(answer, list, ask->count);
	free(list);
	return rc;
}

static int buckets_are(struct surveys *s, const struct exchange *ask, struct buf *answer,
		       struct err *err)
{
	const struct digests *digests;
	uint64_t sum;

	if (surveys_digests(s, ask->partition, &digests, &sum, err) < 0)
		return -1;
	exchange_pack_buckets_are(answer, ask->partition, digests);
	return 0;
}

/* What is durable here; of a path where a person's file stands nothing can be told. */
static int newest_here(void *data, struct str path, struct record *ret,
		       char type[RECORD_TYPE_MAX + 1])
{
	struct store_entry entry = STORE_ENTRY_INIT;
	struct versiond *v = data;
	int rc = store_newest(v->service->store, path, STORE_RECORD, &entry, NULL);

	if (rc == 0 && entry.foreign)
		rc = -1;
	if (rc == 0) {
		*ret = entry.record;
		memcpy(type, entry.type, sizeof entry.type);
	}
	store_entry_clear(&entry);
	return rc;
}

static int newest_are(struct sync *q, struct err *err)
{
	if (holdings_answer(buf_str(&q->body), newest_here, q->versiond,
			    &q->answer) == 0)
		return 0;
	return err_set(err, ERR_INVALID, "read NEWEST: malformed");
}

static int sync_answer(struct sync *q, struct err *err)
{
	struct surveys *s = q->versiond->surveys;
	struct exchange ask;

	if (q->ask.type == BULK_NEWEST)
		return newest_are(q, err);
	if (exchange_unpack(buf_str(&q->body), &ask) < 0)
		return err_set(err, ERR_INVALID, "read SYNC: malformed");
	if (surveys_begin(s, q->epoch, q->keep, err) < 0)
		return -1;
	if (ask.kind == EXCHANGE_DIGESTS)
		return digests_are(s, &ask, &q->answer, err);
	if (ask.kind == EXCHANGE_BUCKETS)
		return buckets_are(s, &ask, &q->answer, err);
	if (ask.kind == EXCHANGE_RECORDS)
		return surveys_rows(s, &ask.ask, &q->answer, err);
	return err_set(err, ERR_INVALID, "read SYNC: an answer, not a question");
}

static void sync_work(struct job *job)
{
	struct sync *q = CONTAINER_OF(job, struct sync, job);

	if (!atomic_load(&q->abandoned))
		q->failed = sync_answer(q, &q->err) < 0;
}

/* on the loop's thread */

static void reply_bulk(struct versiond *v, struct serve_request *request, const struct bulk *ask,
		       enum bulk_type type, struct str body)
{
	struct bulk bulk = bulk_answer(ask);
	struct buf message = BUF_INIT;

	bulk.group = v->home.group;
	bulk.lineage = v->home.layout.lineage;
	bulk.epoch = v->home.layout.epoch;
	bulk.type = type;
	bulk.body = body;
	bulk_pack(&message, &bulk);
	local_reply(v, request, VERSION_TALK_SYNCED, buf_str(&message));
	buf_clear(&message);
}

static void sync_finish(struct sync *q)
{
	struct versiond *v = q->versiond;
	struct serve_request *request = q->request;

	if (request == NULL)
		return;
	if (q->epoch != v->home.layout.epoch)
		reply_bulk(v, request, &q->ask, BULK_STALE, STR(""));
	else if (q->failed)
		local_fail(v, request, &q->err);
	else
		reply_bulk(v, request, &q->ask,
			   q->ask.type == BULK_NEWEST ? BULK_NEWEST_ARE : BULK_SYNCED,
			   buf_str(&q->answer));
}

static void sync_done(struct job *job)
{
	struct sync *q = CONTAINER_OF(job, struct sync, job);
	struct versiond *v = q->versiond;

	sync_finish(q);
	buf_clear(&q->body);
	buf_clear(&q->answer);
	free(q);
	v->syncs--;
	versiond_returned(v);
}

static void sync_gone(struct serve_request *request)
{
	struct sync *q = request->data;

	q->request = NULL;
	atomic_store(&q->abandoned, true);
}

static void sync_begin(struct versiond *v, struct serve_request *request, const struct bulk *ask)
{
	struct sync *q = mem_new(1, sizeof *q);

	q->versiond = v;
	q->request = request;
	q->epoch = v->home.layout.epoch;
	q->keep = v->home.layout.keep_versions;
	buf_addstr(&q->body, ask->body);
	q->ask = *ask;
	q->ask.body = (struct str)STR_INIT;
	request->data = q;
	request->gone = sync_gone;
	q->job.work = sync_work;
	q->job.done = sync_done;
	v->syncs++;
	versiond_submit(v, v->survey_pool, &q->job);
}

/* Whether this node may answer: 1 yes, 0 with STALE, -1 not at all. */
static int sync_judge(struct versiond *v, const struct bulk *ask, struct err *err)
{
	const struct member *sender = v->view == NULL ? NULL :
				      members_find(&view_client_view(v->view)->members, ask->sender);

	if (ask->type != BULK_SYNC && ask->type != BULK_NEWEST)
		return err_set(err, ERR_INVALID, "read SYNC: another kind of message");
	if (v->home.layout.epoch != 0 && ask->lineage != v->home.layout.lineage)
		return err_set(err, ERR_DENIED, "answer SYNC: it is of another group");
	if (ask->epoch < v->home.layout.epoch)
		return 0;
	if (ask->epoch > v->home.layout.epoch) {
		if (sender != NULL && sender->id != v->self.id)
			group_behind(v, ask->epoch, sender->id, &sender->discovery);
		return err_set(err, ERR_AWAY, "answer SYNC: this node's layout is older");
	}
	if (v->home.silent && ask->sender != v->self.id)
		return err_set(err, ERR_AWAY, "answer SYNC: this node has forgotten something");
	if (v->syncs >= SYNCS_MAX && ask->sender != v->self.id)
		return err_set(err, ERR_AWAY, "answer SYNC: too many wait for an answer");
	return 1;
}

int surveys_ask(struct versiond *v, struct serve_request *request, struct str body,
		struct err *err)
{
	struct bulk ask;
	int verdict;

	if (bulk_unpack(body, v->self.id, &ask) < 0)
		return err_set(err, ERR_INVALID, "read SYNC: malformed");
	verdict = sync_judge(v, &ask, err);
	if (verdict < 0)
		return -1;
	if (verdict > 0)
		sync_begin(v, request, &ask);
	else
		reply_bulk(v, request, &ask, BULK_STALE, STR(""));
	return 0;
}
