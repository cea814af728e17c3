/* freshness - how new an answer must be, and how new it was */
#include "freshness.h"

#define AGE_MAX (UINT64_C(1) << 31)	/* RFC 9111, section 1.2.2 */

static uint64_t delta_seconds(struct str text)
{
	uint64_t value;

	if (text.n > 1 && text.s[0] == '"' && text.s[text.n - 1] == '"')
		text = (struct str){ text.s + 1, text.n - 2 };
	for (size_t i = 0; i < text.n; i++)
		if (text.s[i] < '0' || text.s[i] > '9')
			return 0;
	if (text.n == 0)
		return 0;
	return str_u64(text, AGE_MAX, &value) == 0 ? value : AGE_MAX;
}

struct freshness freshness_parse(struct str cache_control)
{
	struct freshness f = { .no_cache = false };
	struct str item, name;

	while (str_cut(&cache_control, ',', &item)) {
		item = str_trim(item);
		if (!str_cut(&item, '=', &name))
			continue;
		if (str_eq_nocase(name, STR("no-cache"))) {
			f.no_cache = true;
		} else if (str_eq_nocase(name, STR("only-if-cached"))) {
			f.only_if_cached = true;
		} else if (str_eq_nocase(name, STR("max-age"))) {
			uint64_t age = delta_seconds(item);

			f.max_age = f.has_max_age && f.max_age < age ? f.max_age : age;
			f.has_max_age = true;
		} else if (str_eq_nocase(name, STR("max-stale"))) {
			uint64_t stale = item.s == NULL ? UINT64_MAX : delta_seconds(item);

			f.max_stale = f.has_max_stale && f.max_stale < stale ? f.max_stale : stale;
			f.has_max_stale = true;
		}
	}
	return f;
}

bool freshness_allows(const struct freshness *f, uint64_t age_ms)
{
	uint64_t age = age_ms / 1000;

	if (f->no_cache || (!f->has_max_age && !f->has_max_stale))
		return false;
	if (f->has_max_age && age < f->max_age)
		return true;
	return f->has_max_stale && (f->max_stale == UINT64_MAX || age < f->max_age + f->max_stale);
}

/* A string of RFC 8941, section 3.3.3; what can not stand in one becomes '?'. */
static void add_string(struct buf *buf, struct str text)
{
	buf_addc(buf, '"');
	for (size_t i = 0; i < text.n; i++) {
		char c = text.s[i];

		if (c == '"' || c == '\\')
			buf_addc(buf, '\\');
		buf_addc(buf, (unsigned char)c < 0x20 || (unsigned char)c > 0x7e ? '?' : c);
	}
	buf_addc(buf, '"');
}

void freshness_cache_status(struct buf *buf, const struct cache_status *status)
{
	static const char *const sources[] = {
		[CACHE_HIT] = "; hit",
		[CACHE_FWD_MISS] = "; fwd=uri-miss",
		[CACHE_FWD_STALE] = "; fwd=stale",
	};

	add_string(buf, status->cache);
	buf_adds(buf, sources[status->source]);
	if (status->stored)
		buf_adds(buf, "; stored");
	if (status->detail.n > 0) {
		buf_adds(buf, "; detail=");
		add_string(buf, status->detail);
	}
}

void freshness_version_state(struct buf *buf, bool confirmed, unsigned answered, unsigned asked)
{
	if (confirmed)
		buf_adds(buf, "confirmed");
	else
		buf_addf(buf, "unconfirmed; peers=%u/%u", answered, asked);
}

void freshness_write_state(struct buf *buf, unsigned answered, unsigned homes, unsigned copies)
{
	buf_addf(buf, "unconfirmed; homes=%u/%u; copies=%u", answered, homes, copies);
}
