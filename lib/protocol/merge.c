/* merge - the indexes and histories of several nodes made one */
#include "merge.h"

#define LOWER_MAX 16		/* versions that were never confirmed, one below the other */

/* whose answers count */

bool merge_credits(const struct merge_rule *rule, const struct merge_answer *answer)
{
	return rule->epoch > 0 && answer->epoch == rule->epoch &&
	       quorum_has(&rule->homes, answer->node) &&
	       version_cmp(answer->gate, rule->gate) >= 0;
}

void merge_init(struct merge *merge, const struct merge_rule *rule,
		const struct merge_answer *answers, size_t count)
{
	struct quorum credited = rule->homes;

	if (count > MERGE_TEXTS_MAX)
		abort();	/* the callers' own bound */
	memset(merge, 0, sizeof *merge);
	merge->homes = rule->homes;
	merge->count = count;
	for (size_t i = 0; i < count; i++) {
		struct merge_source *source = &merge->sources[i];

		source->node = answers[i].node;
		source->rest = answers[i].text;
		if (answers[i].upto.n > 0 && (merge->upto.n == 0 || str_cmp(answers[i].upto, merge->upto) < 0))
			merge->upto = answers[i].upto;
		source->credited = merge_credits(rule, &answers[i]);
		if (source->credited)
			quorum_answered(&credited, source->node);
	}
	merge->confirmed = quorum_reached(&credited);
	merge->binding = !version_is_none(rule->gate) && !quorum_all(&credited);
}

void merge_clear(struct merge *merge)
{
	for (size_t i = 0; i < merge->count; i++)
		buf_clear(&merge->sources[i].name);
	buf_clear(&merge->last);
	merge->count = 0;
}

bool merge_confirmed(const struct merge *merge)
{
	return merge->confirmed;
}

struct str merge_upto(const struct merge *merge)
{
	return merge->upto;
}

/* lines */

static void spoil(struct merge *merge, struct merge_source *source)
{
	merge->spoiled++;
	merge->confirmed = merge->confirmed && !source->credited;
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

static bool is_entry(const struct listing_row *row)
{
	return row->type == LISTING_DIRECTORY || row->type == LISTING_ENDED;
}

/* The next row, which must follow the name given last; or, of that name, the file's its entry. */
static void read_row(struct merge *merge, struct merge_source *source, bool was_entry)
{
	struct str line;
	int order;

	if (!next_line(merge, source, &line))
		return;
	if (listing_text_parse_row(line, &source->name, &source->row, NULL) < 0) {
		spoil(merge, source);
		return;
	}
	order = merge->begun ? str_cmp(source->row.name, buf_str(&merge->last)) : 1;
	if (order < 0 || (order == 0 && (!was_entry || is_entry(&source->row))))
		spoil(merge, source);
	else
		source->ready = true;
}

/* The smallest name of the window that any source has next; false: none has any. */
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
	return found && (merge->upto.n == 0 || str_cmp(*ret, merge->upto) <= 0);
}

/* One register of one name: the newest that was told, and by which homes. */
struct told {
	struct record record;
	struct quorum quorum;
};

static void note_row(const struct merge *merge, struct told *told,
		     const struct merge_source *source)
{
	const struct listing_row *row = &source->row;
	int order = version_cmp(row->version, told->record.version);

	if (order > 0) {
		told->quorum = merge->homes;
		told->record = (struct record){ .version = row->version, .size = row->size,
						  .made = row->made, .mtime = row->mtime };
		memcpy(told->record.sha256, row->sha256, sizeof row->sha256);
		if (is_entry(row))
			told->record.flags |= RECORD_DIRECTORY;
		if (row->type == LISTING_DELETED || row->type == LISTING_ENDED)
			told->record.flags |= RECORD_DELETED;
	}
	if (order >= 0 && source->credited)
		quorum_answered(&told->quorum, source->node);
}

static bool is_confirmed(const struct merge *merge, const struct told *told)
{
	return merge->confirmed &&
	       (version_is_none(told->record.version) || quorum_reached(&told->quorum));
}

/* The file cannot stand there, whatever it is. */
static bool is_hidden(const struct told *file, const struct told *entry)
{
	return record_is_live(&entry->record) ||
	       version_cmp(file->record.version, entry->record.version) <= 0;
}

bool merge_listing(struct merge *merge, struct merge_name *ret)
{
	struct told file = { .record = { .flags = 0 } }, entry = file;
	struct str name;

	for (size_t i = 0; !merge->begun && i < merge->count; i++)
		read_row(merge, &merge->sources[i], false);
	merge->begun = true;
	if (!smallest(merge, &name))
		return false;
	buf_reset(&merge->last);
	buf_addstr(&merge->last, name);
	for (size_t i = 0; i < merge->count; i++) {
		struct merge_source *source = &merge->sources[i];

		while (source->ready && str_eq(source->row.name, buf_str(&merge->last))) {
			bool of_entry = is_entry(&source->row);

			note_row(merge, of_entry ? &entry : &file, source);
			read_row(merge, source, of_entry);
		}
	}
	*ret = (struct merge_name){ .name = buf_str(&merge->last),
				    .row = { .file = file.record, .entry = entry.record,
					     .binding = merge->binding } };
	ret->row.confirmed = is_confirmed(merge, &entry) &&
			   (is_hidden(&file, &entry) || is_confirmed(merge, &file));
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

bool merge_history(struct merge *merge, struct merge_version *ret)
{
	const struct history_row *newest = NULL;
	struct quorum told = merge->homes;
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
		const struct merge_source *source = &merge->sources[i];

		if (!source->ready ||
		    version_cmp(source->version.record.version, merge->last_version) != 0)
			continue;
		here = here || (source->version.here &&
				record_eq(&source->version.record, &newest->record));
		if (source->credited)
			quorum_answered(&told, source->node);
	}
	*ret = (struct merge_version){ .type = newest->type,
				       .here = here,
				       .row = { .version = true, .file = newest->record } };
	ret->row.confirmed = merge->confirmed && quorum_reached(&told);
	return true;
}

/* what the lists did not confirm */

/* Of a joint layout only the set is told that is furthest from its majority. */
static bool every_home_answered(const struct merge_rule *rule, const struct newest_answer *answer)
{
	return answer->epoch == rule->epoch && rule->homes.set_count == 1 &&
	       answer->counts.homes > 0 && answer->counts.homes_answered == answer->counts.homes;
}

/* The newest up to this version; none: the newest there is, as nothing is above. */
static struct version just_above(struct version version)
{
	if (version.n < VERSION_N_MAX)
		version.n++;
	else if (version.node < UINT64_MAX)
		version = (struct version){ .time = version.time, .node = version.node + 1 };
	else if (version.time < UINT64_MAX)
		version = (struct version){ .time = version.time + 1 };
	else
		version = VERSION_NONE;
	return version;
}

void merge_question(const struct merge_row *row, struct newest_ask *ret)
{
	ret->version = row->below;
	if (row->version && !(row->file.flags & RECORD_DIRECTORY))
		ret->version = just_above(row->file.version);
	ret->purpose = version_is_none(ret->version) ? NEWEST_READ : NEWEST_BELOW;
}

static bool has_told(const struct merge_row *row, const struct newest_answer *answer)
{
	return answer->certainty != CERTAINTY_UNDECIDED &&
	       version_cmp(answer->record.version, row->file.version) >= 0 &&
	       version_cmp(answer->entry.version, row->entry.version) >= 0;
}

/*
 * Homes that know of the gate told of the name, and the reader asked others:
 * these may be told of the name yet, answer the writer that they know of no
 * gate, and so acknowledge it.
 */
static bool passed_over(struct merge_row *row)
{
	row->confirmed = record_name_kind(&row->file, &row->entry) != NAME_ABSENT;
	return row->confirmed;
}

/* What a reader was told of the name is what stands there. */
static bool answered_name(struct merge_row *row, const struct merge_rule *rule,
			  const struct newest_answer *answer)
{
	if (row->binding && !has_told(row, answer))
		return passed_over(row);
	if (answer->certainty == CERTAINTY_UNDECIDED) {
		row->below = answer->record.version;
		return every_home_answered(rule, answer) && row->lower++ < LOWER_MAX;
	}
	row->file = answer->record;
	row->entry = answer->entry;
	row->confirmed = true;
	return true;
}

/* Of an entry that is not the newest only the newest is of interest. */
static bool answered_version(struct merge_row *row, const struct merge_rule *rule,
			     const struct newest_answer *answer)
{
	bool directory = row->file.flags & RECORD_DIRECTORY;
	const struct record *told = directory ? &answer->entry : &answer->record;
	bool found = version_cmp(told->version, row->file.version) >= 0;
	bool open = answer->certainty == CERTAINTY_UNDECIDED && !directory;

	if (found && open && !every_home_answered(rule, answer))
		return false;
	row->gone = !found || open;
	row->confirmed = true;
	return true;
}

bool merge_answered(struct merge_row *row, const struct merge_rule *rule,
		    const struct newest_answer *answer)
{
	if (answer->certainty == CERTAINTY_UNCONFIRMED)
		return false;
	return row->version ? answered_version(row, rule, answer) :
			      answered_name(row, rule, answer);
}
