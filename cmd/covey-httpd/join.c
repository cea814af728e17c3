/* join - one index or history out of this node's and the gathered ones */
#include "join.h"

#include "mem.h"
#include "merge.h"

/* Room doubles at each power of two. */
static void *grow(void *array, size_t count, size_t size)
{
	if ((count & (count - 1)) == 0)
		array = mem_resize(array, count ? 2 * count : 1, size);
	return array;
}

/* What is to be merged: this node's text, then the peers'. */
struct texts {
	struct buf bufs[MERGE_TEXTS_MAX];
	struct str strs[MERGE_TEXTS_MAX];
	size_t count;
};

static void read_parts(struct texts *t, const struct gather *gather)
{
	t->count = 1;
	for (size_t i = 0; i < gather->count && t->count < MERGE_TEXTS_MAX; i++)
		if (gather_read(gather->parts[i], &t->bufs[t->count]) == 0)
			t->count++;
	for (size_t i = 0; i < t->count; i++)
		t->strs[i] = buf_str(&t->bufs[i]);
}

static void texts_clear(struct texts *t)
{
	for (size_t i = 0; i < MERGE_TEXTS_MAX; i++)
		buf_clear(&t->bufs[i]);
}

/* indexes */

static struct listing_row row_of(const struct list_entry *entry)
{
	struct listing_row row = { .name = str_of(entry->name), .version = entry->record.version,
				   .made = entry->record.made };

	if (entry->directory)
		row.type = LISTING_DIRECTORY;
	else if (!record_is_live(&entry->record))
		row.type = LISTING_DELETED;
	else
		row.type = LISTING_FILE;
	if (row.type == LISTING_FILE)
		row.size = entry->record.size;
	return row;
}

static void add_row(struct join_rows *j, const struct listing_row *row)
{
	j->rows = grow(j->rows, j->count, sizeof *j->rows);
	j->names = grow(j->names, j->count, sizeof *j->names);
	j->names[j->count] = mem_copy(row->name.s, row->name.n);
	j->rows[j->count] = *row;
	j->rows[j->count].name.s = j->names[j->count];
	j->count++;
}

void join_local(struct join_rows *j, const struct listing *listing)
{
	for (size_t i = 0; i < listing->count; i++) {
		struct listing_row row = row_of(&listing->entries[i]);

		add_row(j, &row);
	}
	j->more = listing->more;
}

void join_listing(struct join_rows *j, const struct listing *listing, const struct gather *gather,
		  const struct join_page *page)
{
	struct texts texts = { .count = 0 };
	struct listing_row row;
	struct merge merge;

	for (size_t i = 0; i < listing->count; i++) {
		row = row_of(&listing->entries[i]);
		listing_text_row(&texts.bufs[0], &row);
	}
	read_parts(&texts, gather);
	merge_init(&merge, texts.strs, texts.count);
	while (!j->more && merge_listing(&merge, &row)) {
		if ((row.type == LISTING_DELETED && !page->deleted) ||
		    (page->after.s != NULL && str_cmp(row.name, page->after) <= 0))
			continue;
		if (page->limit > 0 && j->count == page->limit)
			j->more = true;
		else
			add_row(j, &row);
	}
	merge_clear(&merge);
	texts_clear(&texts);
}

void join_rows_clear(struct join_rows *j)
{
	for (size_t i = 0; i < j->count; i++)
		free(j->names[i]);
	free(j->names);
	free(j->rows);
	*j = (struct join_rows)JOIN_ROWS_INIT;
}

/* histories */

static void add_version(struct join_versions *j, const struct history_row *row)
{
	j->rows = grow(j->rows, j->count, sizeof *j->rows);
	j->types = grow(j->types, j->count, sizeof *j->types);
	j->types[j->count] = mem_copy(row->type.s ? row->type.s : "", row->type.n);
	j->rows[j->count] = *row;
	j->rows[j->count].type.s = j->types[j->count];
	j->count++;
}

void join_history(struct join_versions *j, const struct history *history,
		  const struct gather *gather)
{
	struct texts texts = { .count = 0 };
	struct history_row row;
	struct merge merge;

	for (size_t i = 0; i < history->count; i++) {
		const struct history_entry *entry = &history->entries[i];

		row = (struct history_row){ .record = entry->record,
					    .type = str_of(entry->type),
					    .here = entry->content };
		listing_text_version(&texts.bufs[0], &row);
	}
	read_parts(&texts, gather);
	merge_init(&merge, texts.strs, texts.count);
	while (merge_history(&merge, &row))
		add_version(j, &row);
	merge_clear(&merge);
	texts_clear(&texts);
}

void join_versions_clear(struct join_versions *j)
{
	for (size_t i = 0; i < j->count; i++)
		free(j->types[i]);
	free(j->types);
	free(j->rows);
	*j = (struct join_versions)JOIN_VERSIONS_INIT;
}
