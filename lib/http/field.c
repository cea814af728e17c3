/* field - the names of header fields, their lines, and lists of tokens */
#include "head.h"

#include "chars.h"

struct known {
	uint8_t n;		/* bytes of the name */
	uint8_t field;		/* enum field */
	const char *lower;
	const char *name;
};

/* By length, so that a look-up compares with the few names of its length; the ends stop it. */
static const struct known known[] = {
	{ 0, FIELD_COUNT, "", "" },
	{ 4, FIELD_HOST, "host", "Host" },
	{ 5, FIELD_RANGE, "range", "Range" },
	{ 6, FIELD_ACCEPT, "accept", "Accept" },
	{ 6, FIELD_EXPECT, "expect", "Expect" },
	{ 6, FIELD_ORIGIN, "origin", "Origin" },
	{ 6, FIELD_PREFER, "prefer", "Prefer" },
	{ 8, FIELD_IF_MATCH, "if-match", "If-Match" },
	{ 8, FIELD_IF_RANGE, "if-range", "If-Range" },
	{ 10, FIELD_CONNECTION, "connection", "Connection" },
	{ 10, FIELD_USER_AGENT, "user-agent", "User-Agent" },
	{ 10, FIELD_COVEY_PUSH, "covey-push", "Covey-Push" },
	{ 10, FIELD_X_OC_MTIME, "x-oc-mtime", "X-OC-Mtime" },
	{ 11, FIELD_REPR_DIGEST, "repr-digest", "Repr-Digest" },
	{ 11, FIELD_COVEY_EPOCH, "covey-epoch", "Covey-Epoch" },
	{ 12, FIELD_CONTENT_TYPE, "content-type", "Content-Type" },
	{ 13, FIELD_CACHE_CONTROL, "cache-control", "Cache-Control" },
	{ 13, FIELD_IF_NONE_MATCH, "if-none-match", "If-None-Match" },
	{ 13, FIELD_AUTHORIZATION, "authorization", "Authorization" },
	{ 13, FIELD_CONTENT_RANGE, "content-range", "Content-Range" },
	{ 13, FIELD_COVEY_VERSION, "covey-version", "Covey-Version" },
	{ 14, FIELD_CONTENT_LENGTH, "content-length", "Content-Length" },
	{ 14, FIELD_CONTENT_DIGEST, "content-digest", "Content-Digest" },
	{ 14, FIELD_SEC_FETCH_SITE, "sec-fetch-site", "Sec-Fetch-Site" },
	{ 15, FIELD_COVEY_SIGNATURE, "covey-signature", "Covey-Signature" },
	{ 16, FIELD_WANT_REPR_DIGEST, "want-repr-digest", "Want-Repr-Digest" },
	{ 16, FIELD_CONTENT_ENCODING, "content-encoding", "Content-Encoding" },
	{ 17, FIELD_IF_MODIFIED_SINCE, "if-modified-since", "If-Modified-Since" },
	{ 17, FIELD_TRANSFER_ENCODING, "transfer-encoding", "Transfer-Encoding" },
	{ 19, FIELD_IF_UNMODIFIED_SINCE, "if-unmodified-since", "If-Unmodified-Since" },
	{ 19, FIELD_CONTENT_DISPOSITION, "content-disposition", "Content-Disposition" },
	{ 0, FIELD_COUNT, "", "" },
};

#define LONGEST 19

/* The first entry of each length; 0 where there is none. */
static const uint8_t first_of_length[LONGEST + 1] = {
	[4] = 1, [5] = 2, [6] = 3, [8] = 7, [10] = 9, [11] = 13, [12] = 15, [13] = 16,
	[14] = 21, [15] = 24, [16] = 25, [17] = 27, [19] = 29,
};

/* The known names are letters and '-', which setting bit 5 maps one to one among token bytes. */
static bool same_name(const char *name, const char *lower, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if ((name[i] | 0x20) != lower[i])
			return false;
	return true;
}

enum field field_of(struct str name)
{
	const struct known *k;

	if (name.n == 0 || name.n > LONGEST)
		return FIELD_COUNT;
	for (k = &known[first_of_length[name.n]]; k->n == name.n; k++)
		if (same_name(name.s, k->lower, name.n))
			return (enum field)k->field;
	return FIELD_COUNT;
}

const char *field_name(enum field field)
{
	for (size_t i = 1; known[i].n != 0; i++)
		if (known[i].field == field)
			return known[i].name;
	return "";
}

/* Eight bytes at a time: none of them below 0x20, none 0x7f. */
static bool all_visible(uint64_t word)
{
	const uint64_t ones = UINT64_C(0x0101010101010101), high = ones << 7;
	uint64_t deleted = word ^ (ones * 0x7f);
	uint64_t below = (word - ones * 0x20) & ~word & high;
	uint64_t zero = (deleted - ones) & ~deleted & high;

	return (below | zero) == 0;
}

static bool valid_value(struct str value)
{
	size_t i = 0;

	for (; i + 8 <= value.n; i += 8) {
		uint64_t word;

		memcpy(&word, value.s + i, 8);
		if (all_visible(word))
			continue;
		for (size_t j = i; j < i + 8; j++)
			if (!char_is(value.s[j], CHAR_VALUE))
				return false;
	}
	for (; i < value.n; i++)
		if (!char_is(value.s[i], CHAR_VALUE))
			return false;
	return true;
}

const char *field_parse(struct str line, struct head_field *ret)
{
	struct str value;
	size_t n = 0;

	while (n < line.n && char_is(line.s[n], CHAR_TOKEN))
		n++;
	if (n == 0 && line.n > 0 && (line.s[0] == ' ' || line.s[0] == '\t'))
		return "a field line is folded";
	if (n == line.n || line.s[n] != ':')
		return "a field line is malformed before its colon";
	if (n == 0)
		return "a field has no name";
	value = str_trim((struct str){ line.s + n + 1, line.n - n - 1 });
	if (!valid_value(value))
		return "a field value has a control character";
	ret->name = (struct str){ line.s, n };
	ret->value = value;
	return NULL;
}

bool field_has_token(struct str list, struct str token)
{
	struct str item;

	while (str_cut(&list, ',', &item))
		if (str_eq_nocase(str_trim(item), token))
			return true;
	return false;
}
