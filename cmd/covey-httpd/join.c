/* join - one index or history out of those of several nodes */
#include "join.h"

#include "mem.h"

/* Room doubles at each power of two. */
static void *grow(void *rows, size_t count, size_t size)
{
	if ((count & (count - 1)) == 0)
		rows = mem_resize(rows, count ? 2 * count : 1, size);
	return rows;
}

/* indexes */

static void add_row(struct join_rows *j, struct listing_row row)
{
	j->rows = grow(j->rows, j->count, sizeof *j->rows);
	j->rows[j->count++] = row;
}

void join_rows_add(struct join_rows *j, const struct listing *listing)
{
	for (size_t i = 0; i < listing->count; i++) {
		const struct list_entry *entry = &listing->entries[i];
		struct listing_row row = { .name = str_of(entry->name),
					   .size = entry->record.size,
					   .version = entry->record.version };

		if (entry->directory)
			row.type = LISTING_DIRECTORY;
		else
			row.type = record_is_live(&entry->record) ? LISTING_FILE : LISTING_DELETED;
		add_row(j, row);
	}
}

void join_rows_add_text(struct join_rows *j, struct str text)
{
	char *names = mem_new(text.n, 1);	/* decoded they are no longer */
	struct buf scratch = BUF_INIT;
	struct listing_row row;
	struct str line;
	size_t used = 0;

	j->names = mem_resize(j->names, j->name_count + 1, sizeof *j->names);
	j->names[j->name_count++] = names;
	while (str_cut(&text, '\n', &line)) {
		if (listing_text_parse_row(line, &scratch, &row, NULL) < 0)
			continue;
		memcpy(names + used, row.name.s, row.name.n);
		row.name.s = names + used;
		used += row.name.n;
		add_row(j, row);
	}
	buf_clear(&scratch);
}

/* By name; of one name a directory first, then the newest. */
static int compare_rows(const void *x, const void *y)
{
	const struct listing_row *a = x, *b = y;
	int order = str_cmp(a->name, b->name);

	if (order == 0)
		order = (b->type == LISTING_DIRECTORY) - (a->type == LISTING_DIRECTORY);
	return order != 0 ? order : version_cmp(b->version, a->version);
}

void join_rows_finish(struct join_rows *j, bool with_deleted)
{
	struct str last = STR_INIT;
	size_t kept = 0;

	if (j->count > 0)
		qsort(j->rows, j->count, sizeof *j->rows, compare_rows);
	for (size_t i = 0; i < j->count; i++) {
		if (last.s != NULL && str_eq(j->rows[i].name, last))
			continue;
		last = j->rows[i].name;
		if (with_deleted || j->rows[i].type != LISTING_DELETED)
			j->rows[kept++] = j->rows[i];
	}
	j->count = kept;
}

void join_rows_clear(struct join_rows *j)
{
	for (size_t i = 0; i < j->name_count; i++)
		free(j->names[i]);
	free(j->names);
	free(j->rows);
	*j = (struct join_rows)JOIN_ROWS_INIT;
}

/* histories */

static void add_version(struct join_versions *j, struct history_row row)
{
	j->rows = grow(j->rows, j->count, sizeof *j->rows);
	j->rows[j->count++] = row;
}

void join_versions_add(struct join_versions *j, const struct history *history)
{
	for (size_t i = 0; i < history->count; i++) {
		const struct history_entry *entry = &history->entries[i];

		add_version(j, (struct history_row){ .record = entry->record,
						     .type = str_of(entry->type),
						     .here = entry->content });
	}
}

void join_versions_add_text(struct join_versions *j, struct str text)
{
	struct history_row row;
	struct str line;

	while (str_cut(&text, '\n', &line)) {
		if (listing_text_parse_version(line, &row, NULL) < 0)
			continue;
		row.here = false;	/* there, not here */
		add_version(j, row);
	}
}

static int compare_versions(const void *x, const void *y)
{
	const struct history_row *a = x, *b = y;
	int order = version_cmp(b->record.version, a->record.version);

	return order != 0 ? order : b->here - a->here;
}

void join_versions_finish(struct join_versions *j)
{
	size_t kept = 0;

	if (j->count > 0)
		qsort(j->rows, j->count, sizeof *j->rows, compare_versions);
	for (size_t i = 0; i < j->count; i++)
		if (kept == 0 ||
		    version_cmp(j->rows[kept - 1].record.version, j->rows[i].record.version) != 0)
			j->rows[kept++] = j->rows[i];
	j->count = kept;
}

void join_versions_clear(struct join_versions *j)
{
	free(j->rows);
	*j = (struct join_versions)JOIN_VERSIONS_INIT;
}
