/*
 * surveys - the digests and records that SYNC tells of
 *
 * Digests are kept in memory, each good while its partition's change
 * counter stands still (survey.h): what nobody has written to costs
 * nothing to compare again.  A survey during which something was written
 * is told, too: it has all that was durable when it began.
 *
 * The rows of a partition are told in pages.  The first page of each
 * reader is of a survey that was made at the layout's present epoch and
 * after the question, if anything was written meanwhile; the pages behind
 * it may be of the same one.
 */
#include "versiond.h"

#include "exchange.h"
#include "mem.h"
#include "survey.h"

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

static void forget(struct surveys *s)
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
	forget(s);
	survey_directories_clear(&s->directories);
	free(s);
}

int surveys_begin(struct surveys *s, uint64_t epoch, uint32_t keep, struct err *err)
{
	if (keep != s->keep)
		forget(s);
	s->keep = keep;
	s->epoch = epoch;
	return store_finish_dead(s->store, err);
}

/* The partition's directories, as they are at least since the caller read its change counter. */
static int slice(struct surveys *s, unsigned partition, const struct survey_directory **ret,
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

static int add_path(void *data, const struct survey_path *path)
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
	if (slice(s, partition, &directories, &count, err) < 0)
		return -1;
	if (count > 0) {
		digests = mem_new(1, sizeof *digests);
		if (survey(s->store, directories, count, s->keep, add_path, digests, err) < 0) {
			free(digests);
			return -1;
		}
	}
	ret->sum = digests != NULL ? digests_sum(digests) : 0;
	ret->digests = digests;
	ret->filled = true;
	return 0;
}

int surveys_digests(struct surveys *s, unsigned partition, const struct digests **ret,
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

static void add_row(struct rows *rows, struct str path, const struct history_entry *entry)
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

static int add_rows(void *data, const struct survey_path *path)
{
	for (size_t i = 0; i < path->count; i++)
		add_row(data, path->path, &path->entries[i]);
	return 0;
}

static struct str path_of(const struct row *row)
{
	return (struct str){ row->path, row->path_bytes };
}

static int by_order(const void *a, const void *b)
{
	const struct row *x = a, *y = b;

	return exchange_order(path_of(x), x->record.version, path_of(y), y->record.version);
}

static int survey_rows(struct surveys *s, unsigned partition, struct rows *rows, struct err *err)
{
	const struct survey_directory *directories;
	size_t count;

	rows_clear(rows);
	rows->changes = store_changes(s->store, partition);
	if (slice(s, partition, &directories, &count, err) < 0)
		return -1;
	if (survey(s->store, directories, count, s->keep, add_rows, rows, err) < 0) {
		rows_clear(rows);
		return -1;
	}
	if (rows->count > 0)
		qsort(rows->list, rows->count, sizeof *rows->list, by_order);
	rows->partition = partition;
	rows->epoch = s->epoch;
	rows->filled = true;
	return 0;
}

static bool is_good(struct surveys *s, const struct rows *rows, const struct exchange_ask *ask)
{
	return rows->filled && rows->partition == ask->partition && rows->epoch == s->epoch &&
	       (!version_is_none(ask->version) ||
		rows->changes == store_changes(s->store, ask->partition));
}

/* One for this partition if there is one, or else the one that was not used for longest. */
static struct rows *page_for(struct surveys *s, unsigned partition)
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

static void pack_page(const struct rows *rows, const struct exchange_ask *ask, struct buf *buf)
{
	bool all = version_is_none(ask->version), more = false;

	exchange_begin_rows(buf, ask->partition);
	for (size_t i = 0; i < rows->count && !more; i++) {
		const struct row *row = &rows->list[i];
		struct exchange_row out = { .path = path_of(row), .record = row->record,
					    .type = str_of(row->type), .content = row->content };

		if (!exchange_wants(ask, digests_bucket(out.path)) ||
		    (!all && exchange_order(out.path, row->record.version, ask->after,
					    ask->version) <= 0))
			continue;
		more = !exchange_add_row(buf, &out);
	}
	exchange_end_rows(buf, more);
}

int surveys_rows(struct surveys *s, const struct exchange_ask *ask, struct buf *buf,
		 struct err *err)
{
	struct rows *rows = page_for(s, ask->partition);

	if (!is_good(s, rows, ask) && survey_rows(s, ask->partition, rows, err) < 0)
		return -1;
	rows->used = ++s->uses;
	pack_page(rows, ask, buf);
	return 0;
}
