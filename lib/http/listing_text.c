/* listing_text - indexes and histories as lines of text */
#include "listing_text.h"

#include "path.h"
#include "pct.h"

#define COLUMNS_OF_ALL 5
#define COLUMNS 7		/* of a file */

static const char *const type_names[] = {
	[LISTING_FILE] = "file",
	[LISTING_DIRECTORY] = "directory",
	[LISTING_DELETED] = "deleted",
	[LISTING_ENDED] = "ended",
};

const char *listing_type_name(enum listing_type type)
{
	return type_names[type];
}

/* The time in a version's text, 20261122T110724.123456001Z, with the punctuation of RFC 3339. */
void listing_text_time(struct buf *buf, uint64_t ns)
{
	char text[VERSION_TEXT];
	const char *t = version_format(text, (struct version){ .time = ns });

	buf_addf(buf, "%.4s-%.2s-%.2sT%.2s:%.2s:%.13s", t, t + 4, t + 6, t + 9, t + 11, t + 13);
}

void listing_text_row(struct buf *buf, const struct listing_row *row)
{
	char version[VERSION_TEXT], sha256[2 * SHA256_BYTES + 1];

	pct_encode_component(buf, row->name);
	buf_addf(buf, "%s\t%s\t%llu\t", listing_row_is_directory(row) ? "/" : "",
		 type_names[row->type], (unsigned long long)row->size);
	if (version_is_none(row->version)) {
		buf_adds(buf, "-\t-\n");
		return;
	}
	buf_addf(buf, "%s\t", version_format(version, row->version));
	listing_text_time(buf, listing_row_made(row));
	if (row->type == LISTING_FILE) {
		str_to_hex(sha256, row->sha256, SHA256_BYTES);
		buf_addf(buf, "\t%s\t%lu", sha256, (unsigned long)row->mtime);
	}
	buf_addc(buf, '\n');
}

struct listing_row listing_row_of(struct str name, const struct record *record, enum listing_type type)
{
	struct listing_row row = { .name = name,
				   .type = type,
				   .version = record->version,
				   .made = record->made };

	if (type == LISTING_FILE) {
		row.size = record->size;
		memcpy(row.sha256, record->sha256, sizeof row.sha256);
		row.mtime = record->mtime;
	}
	return row;
}

struct listing_row listing_row_of_standing(struct str name, const struct record *file, const struct record *entry)
{
	static const enum listing_type types[] = {
		[NAME_ABSENT] = LISTING_DELETED,
		[NAME_FILE] = LISTING_FILE,
		[NAME_DIRECTORY] = LISTING_DIRECTORY,
	};

	return listing_row_of(name, record_current(file, entry), types[record_name_kind(file, entry)]);
}

size_t listing_rows_of_gone(struct str name, const struct record *file, const struct record *entry,
			    struct listing_row to[2])
{
	enum name_kind stands = record_name_kind(file, entry);
	size_t n = 0;

	if (stands != NAME_DIRECTORY && !version_is_none(entry->version))
		to[n++] = listing_row_of(name, entry, LISTING_ENDED);
	if (stands != NAME_FILE && !version_is_none(file->version))
		to[n++] = listing_row_of(name, file, LISTING_DELETED);
	return n;
}

void listing_text_registers(struct buf *buf, struct str name, const struct record *file,
			    const struct record *entry)
{
	struct listing_row row;

	if (!version_is_none(entry->version)) {
		row = listing_row_of(name, entry, record_is_live(entry) ? LISTING_DIRECTORY : LISTING_ENDED);
		listing_text_row(buf, &row);
	}
	if (!version_is_none(file->version)) {
		row = listing_row_of(name, file, record_is_live(file) ? LISTING_FILE : LISTING_DELETED);
		listing_text_row(buf, &row);
	}
}

void listing_text_version(struct buf *buf, const struct history_row *row)
{
	record_format(buf, &row->record, row->type);
	buf_adds(buf, row->here ? "\there" : "\taway");
	buf_adds(buf, row->conflict ? "\tconflict\n" : "\n");
}

void listing_text_conflicts(struct history_row *rows, size_t count)
{
	for (size_t begin = 0, end; begin < count; begin = end) {
		bool several = false;

		for (end = begin; end < count && rows[end].record.flags & RECORD_BLIND; end++)
			several |= rows[end].record.version.node != rows[begin].record.version.node;
		for (size_t i = begin; i < end; i++)
			rows[i].conflict = several;
		if (end == begin)
			rows[end++].conflict = false;
	}
}

static int malformed(struct err *err, const char *what)
{
	return err_set(err, ERR_INVALID, "read listing: %s", what);
}

/* One component of a path, spelled in the one way that pct_encode_component() has. */
static int parse_name(struct str text, struct buf *scratch, struct err *err)
{
	struct buf again = BUF_INIT;
	struct str name;
	bool same;

	if (pct_decode(scratch, text) < 0)
		return malformed(err, "bad percent-encoding");
	name = buf_str(scratch);
	if (name.n == 0 || name.n > PATH_COMPONENT_BYTES || str_eq(name, STR(".")) ||
	    str_eq(name, STR("..")) || memchr(name.s, '/', name.n) || memchr(name.s, '\0', name.n))
		return malformed(err, "no name");
	pct_encode_component(&again, name);
	same = str_eq(buf_str(&again), text);
	buf_clear(&again);
	return same ? 0 : malformed(err, "name encoded in another way");
}

static int parse_type(struct str text, enum listing_type *ret)
{
	for (int i = LISTING_FILE; i <= LISTING_ENDED; i++)
		if (str_eq(text, str_of(type_names[i]))) {
			*ret = (enum listing_type)i;
			return 0;
		}
	return -1;
}

static int parse_size(struct str text, uint64_t *ret)
{
	return text.n > 1 && text.s[0] == '0' ? -1 : str_u64(text, INT64_MAX, ret);
}

/* What listing_text_time() writes, read as the time in a version's text. */
static int parse_time(struct str text, uint64_t *ret)
{
	struct version version;
	struct buf id = BUF_INIT, again = BUF_INIT;
	int status;

	for (size_t i = 0; i < text.n; i++)
		if (text.s[i] != '-' && text.s[i] != ':')
			buf_addc(&id, text.s[i]);
	buf_adds(&id, "-0000000000000000-0");
	status = version_parse(buf_str(&id), &version, NULL);
	if (status == 0)
		listing_text_time(&again, version.time);
	if (status == 0 && !str_eq(buf_str(&again), text))
		status = -1;
	if (status == 0)
		*ret = version.time;
	buf_clear(&id);
	buf_clear(&again);
	return status;
}

static int parse_version(struct str version, struct str time, struct listing_row *ret,
			 struct err *err)
{
	uint64_t made = 0;

	if (str_eq(version, STR("-")) && str_eq(time, STR("-")))
		return 0;
	if (version_parse(version, &ret->version, err) < 0)
		return err_context(err, "read listing");
	if (parse_time(time, &made) < 0)
		return malformed(err, "no time");
	if (made != ret->version.time && ret->version.n == 0)
		return malformed(err, "another time than the version's");
	ret->made = made != ret->version.time ? made : 0;
	return 0;
}

/* The columns that a file alone has; sha256 is spelled in lower case. */
static int parse_content(struct str sha256, struct str mtime, struct listing_row *ret)
{
	char again[2 * SHA256_BYTES + 1];

	if (str_from_hex(sha256, ret->sha256, SHA256_BYTES) < 0)
		return -1;
	str_to_hex(again, ret->sha256, SHA256_BYTES);
	if (!str_eq(str_of(again), sha256) || (mtime.n > 1 && mtime.s[0] == '0'))
		return -1;
	return str_u32(mtime, &ret->mtime);
}

int listing_text_parse_row(struct str line, struct buf *scratch, struct listing_row *ret,
			   struct err *err)
{
	struct str column[COLUMNS] = { STR_INIT }, extra;
	struct listing_row row = { .name = STR_INIT };
	size_t count = 0;
	bool slash;

	while (count < COLUMNS && str_cut(&line, '\t', &column[count]))
		count++;
	if (count < COLUMNS_OF_ALL)
		return malformed(err, "too few columns");
	if (str_cut(&line, '\t', &extra))
		return malformed(err, "too many columns");
	slash = str_ends(column[0], STR("/"));
	column[0].n -= slash;
	buf_reset(scratch);
	if (parse_name(column[0], scratch, err) < 0)
		return -1;
	if (parse_type(column[1], &row.type) < 0 || slash != listing_row_is_directory(&row))
		return malformed(err, "no such type");
	if (parse_size(column[2], &row.size) < 0 || (row.size > 0 && row.type != LISTING_FILE))
		return malformed(err, "no such size");
	if (parse_version(column[3], column[4], &row, err) < 0)
		return -1;
	if (version_is_none(row.version) && row.type != LISTING_DIRECTORY)
		return malformed(err, "a file without a version");
	if (count != (row.type == LISTING_FILE ? COLUMNS : COLUMNS_OF_ALL))
		return malformed(err, "another number of columns than its type has");
	if (row.type == LISTING_FILE && parse_content(column[5], column[6], &row) < 0)
		return malformed(err, "no sha256 and time of a file");
	row.name = buf_str(scratch);
	*ret = row;
	return 0;
}

int listing_text_parse_version(struct str line, struct history_row *ret, struct err *err)
{
	struct history_row row = { .here = false };
	struct str record, content;

	if (!str_cut(&line, '\t', &record))
		return malformed(err, "empty line");
	if (!str_cut(&line, '\t', &content))
		return malformed(err, "too few columns");
	row.here = str_eq(content, STR("here"));
	if (!row.here && !str_eq(content, STR("away")))
		return malformed(err, "neither here nor away");
	row.conflict = line.s != NULL;
	if (row.conflict && !str_eq(line, STR("conflict")))
		return malformed(err, "a column that is not known");
	if (record_parse(record, &row.record, &row.type, err) < 0)
		return err_context(err, "read listing");
	*ret = row;
	return 0;
}
