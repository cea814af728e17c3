/* merge - the indexes and histories of several nodes made one */
#include "merge.h"

void merge_init(struct merge *merge, const struct str *texts, size_t count)
{
	if (count > MERGE_TEXTS_MAX)
		abort();	/* the callers' own bound */
	memset(merge, 0, sizeof *merge);
	for (size_t i = 0; i < count; i++)
		merge->sources[i].rest = texts[i];
	merge->count = count;
}

void merge_clear(struct merge *merge)
{
	for (size_t i = 0; i < merge->count; i++)
		buf_clear(&merge->sources[i].name);
	buf_clear(&merge->last);
	merge->count = 0;
}

static void spoil(struct merge *merge, struct merge_source *source)
{
	merge->spoiled++;
	source->rest = (struct str)STR_INIT;
	source->ready = false;
}

/* The next whole line; false at the end of the text. */
static bool next_line(struct merge *merge, struct merge_source *source, struct str *ret)
{
	const char *end;

	source->ready = false;
	if (source->rest.n == 0)
		return false;
	end = memchr(source->rest.s, '\n', source->rest.n);
	if (end == NULL) {
		spoil(merge, source);
		return false;
	}
	*ret = (struct str){ source->rest.s, (size_t)(end - source->rest.s) };
	source->rest.n -= ret->n + 1;
	source->rest.s = end + 1;
	return true;
}

/* indexes */

static void read_row(struct merge *merge, struct merge_source *source)
{
	struct str line;

	if (!next_line(merge, source, &line))
		return;
	if (listing_text_parse_row(line, &source->name, &source->row, NULL) < 0 ||
	    (merge->begun && str_cmp(source->row.name, buf_str(&merge->last)) <= 0))
		spoil(merge, source);
	else
		source->ready = true;
}

/* What the sources have of one name: the newest of each type, and whether a directory has no record. */
struct same_name {
	const struct listing_row *newest[LISTING_DELETED + 1];
	bool bare;
};

static void note_row(struct same_name *same, const struct listing_row *row)
{
	const struct listing_row **newest = &same->newest[row->type];

	same->bare = same->bare || version_is_none(row->version);
	if (*newest == NULL || version_cmp(row->version, (*newest)->version) > 0)
		*newest = row;
}

static const struct listing_row *newer(const struct listing_row *a, const struct listing_row *b)
{
	if (a == NULL || b == NULL)
		return a != NULL ? a : b;
	return version_cmp(b->version, a->version) > 0 ? b : a;
}

static const struct listing_row *choose(const struct same_name *same)
{
	const struct listing_row *directory = same->newest[LISTING_DIRECTORY];
	const struct listing_row *deleted = same->newest[LISTING_DELETED];

	if (directory != NULL && (same->bare || newer(directory, deleted) == directory))
		return directory;
	return newer(same->newest[LISTING_FILE], deleted);
}

/* The smallest name that any source has next; false: none has any. */
static bool smallest(const struct merge *merge, struct str *ret)
{
	bool found = false;

	for (size_t i = 0; i < merge->count; i++) {
		const struct merge_source *source = &merge->sources[i];

		if (source->ready && (!found || str_cmp(source->row.name, *ret) < 0)) {
			*ret = source->row.name;
			found = true;
		}
	}
	return found;
}

/* Past what was given last: the first lines, or those of its name. */
static void advance_rows(struct merge *merge)
{
	for (size_t i = 0; i < merge->count; i++) {
		struct merge_source *source = &merge->sources[i];

		if (!merge->begun ||
		    (source->ready && str_eq(source->row.name, buf_str(&merge->last))))
			read_row(merge, source);
	}
	merge->begun = true;
}

bool merge_listing(struct merge *merge, struct listing_row *ret)
{
	struct same_name same = { .bare = false };
	struct str name;

	advance_rows(merge);
	if (!smallest(merge, &name))
		return false;
	buf_reset(&merge->last);
	buf_addstr(&merge->last, name);
	for (size_t i = 0; i < merge->count; i++)
		if (merge->sources[i].ready && str_eq(merge->sources[i].row.name, name))
			note_row(&same, &merge->sources[i].row);
	*ret = *choose(&same);
	return true;
}

/* histories */

static void read_version(struct merge *merge, struct merge_source *source)
{
	struct str line;

	if (!next_line(merge, source, &line))
		return;
	if (listing_text_parse_version(line, &source->version, NULL) < 0 ||
	    (merge->begun &&
	     version_cmp(source->version.record.version, merge->last_version) >= 0))
		spoil(merge, source);
	else
		source->ready = true;
}

static void advance_versions(struct merge *merge)
{
	for (size_t i = 0; i < merge->count; i++) {
		struct merge_source *source = &merge->sources[i];

		if (!merge->begun || (source->ready && version_cmp(source->version.record.version,
								   merge->last_version) == 0))
			read_version(merge, source);
	}
	merge->begun = true;
}

bool merge_history(struct merge *merge, struct history_row *ret)
{
	const struct history_row *newest = NULL;
	bool here = false;

	advance_versions(merge);
	for (size_t i = 0; i < merge->count; i++) {
		const struct merge_source *source = &merge->sources[i];

		if (source->ready &&
		    (newest == NULL || version_cmp(source->version.record.version,
						   newest->record.version) > 0))
			newest = &source->version;
	}
	if (newest == NULL)
		return false;
	merge->last_version = newest->record.version;
	for (size_t i = 0; i < merge->count; i++) {
		const struct history_row *row = &merge->sources[i].version;

		here = here || (merge->sources[i].ready && row->here &&
				record_eq(&row->record, &newest->record));
	}
	*ret = *newest;
	ret->here = here;
	return true;
}
