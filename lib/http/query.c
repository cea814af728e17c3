/* query - what a request asks for behind the '?' */
#include "query.h"

#include "pct.h"

enum { SEEN_VERSIONS = 1, SEEN_VERSION = 2, SEEN_RESTORE = 4, SEEN_FORMAT = 8, SEEN_AFTER = 16,
       SEEN_LIMIT = 32, SEEN_DELETED = 64 };

static int parse_flag(struct str value, const char *name, bool *ret, struct err *err)
{
	if (value.n > 0)
		return err_set(err, ERR_INVALID, "read query: %s takes no value", name);
	*ret = true;
	return 0;
}

const char *query_format_name(enum query_format format)
{
	static const char *const names[] = {
		[QUERY_FORMAT_HTML] = "html",
		[QUERY_FORMAT_JSON] = "json",
		[QUERY_FORMAT_TEXT] = "text",
	};

	return names[format];
}

static int parse_format(struct query *query, struct str value, struct err *err)
{
	for (enum query_format f = QUERY_FORMAT_HTML; f <= QUERY_FORMAT_TEXT; f++) {
		if (str_eq(value, str_of(query_format_name(f)))) {
			query->format = f;
			return 0;
		}
	}
	return err_set(err, ERR_INVALID, "read query: format is html, json or text");
}

static int parse_after(struct query *query, struct str value, struct err *err)
{
	bool directory = value.n > 1 && value.s[value.n - 1] == '/';

	value.n -= directory;
	if (value.n > 0 && (memchr(value.s, '\0', value.n) || memchr(value.s, '/', value.n)))
		return err_set(err, ERR_INVALID, "read query: after is not a name");
	buf_addstr(&query->after, value);
	query->has_after = true;
	query->after_directory = directory;
	return 0;
}

static int parse_limit(struct query *query, struct str value, struct err *err)
{
	if (str_u64(value, UINT32_MAX, &query->limit) < 0 || query->limit == 0)
		return err_set(err, ERR_INVALID, "read query: limit is not a number from 1 on");
	return 0;
}

static const struct parameter {
	const char *name;
	unsigned bit;
} parameters[] = {
	{ "versions", SEEN_VERSIONS },
	{ "version", SEEN_VERSION },
	{ "restore", SEEN_RESTORE },
	{ "format", SEEN_FORMAT },
	{ "after", SEEN_AFTER },
	{ "limit", SEEN_LIMIT },
	{ "deleted", SEEN_DELETED },
};

static const struct parameter *find(struct str name)
{
	for (size_t i = 0; i < sizeof(parameters) / sizeof(parameters[0]); i++)
		if (str_eq(name, str_of(parameters[i].name)))
			return &parameters[i];
	return NULL;
}

/* value.s is NULL when there was no '='. */
static int parse_value(struct query *query, const struct parameter *parameter, struct str value, struct err *err)
{
	switch (parameter->bit) {
	case SEEN_VERSIONS:
		return parse_flag(value, parameter->name, &query->versions, err);
	case SEEN_DELETED:
		return parse_flag(value, parameter->name, &query->deleted, err);
	case SEEN_VERSION:
		return version_parse(value, &query->version, err);
	case SEEN_RESTORE:
		return version_parse(value, &query->restore, err);
	case SEEN_FORMAT:
		return parse_format(query, value, err);
	case SEEN_AFTER:
		return parse_after(query, value, err);
	default:
		return parse_limit(query, value, err);
	}
}

/* "name=value", decoded in scratch. */
static int parse_pair(struct query *query, struct str pair, bool write, unsigned *seen,
		      struct buf *scratch, struct err *err)
{
	const struct parameter *parameter = NULL;
	struct str name;

	str_cut(&pair, '=', &name);
	buf_reset(scratch);
	if (pct_decode(scratch, name) == 0)
		parameter = find(buf_str(scratch));
	else if (write)
		return err_set(err, ERR_INVALID, "read query: bad percent-encoding");
	if (parameter == NULL && !write)
		return 0;
	if (parameter == NULL)
		return err_set(err, ERR_INVALID, "read query: unknown parameter \"%.*s\"",
			       name.n < 60 ? (int)name.n : 60, name.s);
	if (*seen & parameter->bit)
		return err_set(err, ERR_INVALID, "read query: %s comes twice", parameter->name);
	*seen |= parameter->bit;
	buf_reset(scratch);
	if (pct_decode(scratch, pair) < 0)
		return err_set(err, ERR_INVALID, "read query: bad percent-encoding");
	return parse_value(query, parameter, buf_str(scratch), err);
}

/* What goes with what, and what a value means beside the others. */
static int parse_whole(struct query *query, unsigned seen, struct err *err)
{
	unsigned what = seen & (SEEN_VERSIONS | SEEN_VERSION | SEEN_RESTORE);

	if (what & (what - 1))
		return err_set(err, ERR_INVALID,
			       "read query: versions, version and restore exclude each other");
	if (query->versions && query->after_directory)
		return err_set(err, ERR_INVALID, "read query: after is not a version");
	if (query->versions && query->has_after)
		return version_parse(buf_str(&query->after), &query->older, err);
	return 0;
}

static int parse_pairs(struct query *query, struct str text, bool write, struct err *err)
{
	struct buf scratch = BUF_INIT;
	struct str pair;
	unsigned seen = 0;
	int r = 0;

	while (r == 0 && str_cut(&text, '&', &pair))
		if (pair.n > 0)
			r = parse_pair(query, pair, write, &seen, &scratch, err);
	buf_clear(&scratch);
	return r < 0 ? -1 : parse_whole(query, seen, err);
}

int query_parse(struct query *ret, struct str text, bool write, struct err *err)
{
	struct query query = QUERY_INIT;

	if (parse_pairs(&query, text, write, err) < 0) {
		query_clear(&query);
		return -1;
	}
	*ret = query;
	return 0;
}

void query_clear(struct query *query)
{
	buf_clear(&query->after);
	*query = (struct query)QUERY_INIT;
}
