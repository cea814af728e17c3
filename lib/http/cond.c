/* cond - conditional requests */
#include "cond.h"

#include "httpdate.h"

enum tag_found { TAG_MALFORMED, TAG_ABSENT, TAG_PRESENT };

/* One entity-tag off the front of *list (section 8.8.3): 1, 0 at the end, -1 malformed. */
static int next_tag(struct str *list, bool *ret_weak, struct str *ret)
{
	size_t i = 0, begin;
	bool weak;

	while (i < list->n && (list->s[i] == ' ' || list->s[i] == '\t' || list->s[i] == ','))
		i++;
	if (i == list->n)
		return 0;
	weak = list->n - i > 2 && memcmp(list->s + i, "W/", 2) == 0;
	begin = i += weak ? 2 : 0;
	if (list->s[i++] != '"')
		return -1;
	while (i < list->n && (unsigned char)list->s[i] > 0x20 && list->s[i] != '"')
		i++;
	if (i == list->n || list->s[i++] != '"')
		return -1;
	*ret = (struct str){ list->s + begin, i - begin };
	*ret_weak = weak;
	list->s += i;
	list->n -= i;
	*list = str_trim(*list);
	return list->n == 0 || list->s[0] == ',' ? 1 : -1;
}

/*
 * What stands there.  A read is answered in the coding that it asks for, and what
 * another one's tag names is no answer to it (section 8.8.3.3); a write depends on
 * the version, in whatever coding that was had.
 */
static bool is_tag_of(struct str tag, const struct cond_target *target, bool reads)
{
	struct str begin = { target->etag.s, target->etag.n - 1 };	/* without its last quote */

	if (str_eq(tag, target->etag) || (target->coded.n > 0 && str_eq(tag, target->coded)))
		return true;
	return !reads && tag.n > target->etag.n && str_starts(tag, begin) && tag.s[begin.n] == ';';
}

static enum tag_found find_tag(struct str list, const struct cond_target *target, bool reads, bool strong)
{
	enum tag_found found = TAG_ABSENT;
	struct str tag;
	bool weak, any = false;
	int r;

	while ((r = next_tag(&list, &weak, &tag)) > 0) {
		any = true;
		if (is_tag_of(tag, target, reads) && !(weak && strong))
			found = TAG_PRESENT;
	}
	return r < 0 || !any ? TAG_MALFORMED : found;
}

/* Whether the list holds what stands there; "*" is anything that does. */
static enum tag_found list_matches(const struct buf *list, const struct cond_target *target,
				   bool reads, bool strong)
{
	enum tag_found found;

	if (str_eq(buf_str(list), STR("*")))
		return target->exists ? TAG_PRESENT : TAG_ABSENT;
	found = find_tag(buf_str(list), target, reads, strong);
	return found == TAG_PRESENT && !target->exists ? TAG_ABSENT : found;
}

static bool take_list(struct buf *to, const struct head *head, enum field field)
{
	struct buf scratch = BUF_INIT;
	struct str list = head_list(head, field, &scratch);

	if (list.s != NULL)
		buf_addstr(to, list);
	buf_clear(&scratch);
	return list.s != NULL;
}

/* A list without elements; those that are empty do not count (RFC 9110, section 5.6.1.2). */
static bool is_empty_list(const struct buf *list)
{
	for (size_t i = 0; i < list->len; i++)
		if (list->data[i] != ' ' && list->data[i] != '\t' && list->data[i] != ',')
			return false;
	return true;
}

static uint64_t take_date(const struct head *head, enum field field, uint64_t now)
{
	uint64_t date = COND_NO_DATE;

	httpdate_parse(head_get(head, field), now, &date);
	return date;
}

void cond_take(struct cond *cond, const struct head *head, uint64_t now)
{
	cond->reads = head->method == METHOD_GET || head->method == METHOD_HEAD;
	cond->has_match = take_list(&cond->match, head, FIELD_IF_MATCH);
	cond->has_none_match = take_list(&cond->none_match, head, FIELD_IF_NONE_MATCH) &&
			       !is_empty_list(&cond->none_match);
	cond->has_range = take_list(&cond->if_range, head, FIELD_IF_RANGE);
	cond->now = now;
	cond->modified_since = take_date(head, FIELD_IF_MODIFIED_SINCE, now);
	cond->unmodified_since = take_date(head, FIELD_IF_UNMODIFIED_SINCE, now);
}

void cond_clear(struct cond *cond)
{
	buf_clear(&cond->match);
	buf_clear(&cond->none_match);
	buf_clear(&cond->if_range);
	*cond = (struct cond)COND_INIT;
}

/* If-Match, else If-Unmodified-Since. */
static enum cond_verdict check_first(const struct cond *cond, const struct cond_target *target)
{
	if (cond->has_match) {
		switch (list_matches(&cond->match, target, cond->reads, true)) {
		case TAG_MALFORMED:
			return COND_MALFORMED;
		case TAG_ABSENT:
			return COND_FAILED;
		case TAG_PRESENT:
			return COND_GO;
		}
	}
	if (cond->unmodified_since != COND_NO_DATE && target->exists &&
	    (target->modified > cond->unmodified_since || target->modified > cond->now))
		return COND_FAILED;
	return COND_GO;
}

/* If-None-Match, else If-Modified-Since. */
static enum cond_verdict check_second(const struct cond *cond, const struct cond_target *target)
{
	if (cond->has_none_match) {
		switch (list_matches(&cond->none_match, target, cond->reads, false)) {
		case TAG_MALFORMED:
			return COND_MALFORMED;
		case TAG_ABSENT:
			return COND_GO;
		case TAG_PRESENT:
			return cond->reads ? COND_NOT_MODIFIED : COND_FAILED;
		}
	}
	if (cond->reads && cond->modified_since != COND_NO_DATE && target->exists &&
	    target->modified <= cond->modified_since && cond->modified_since <= cond->now)
		return COND_NOT_MODIFIED;
	return COND_GO;
}

enum cond_verdict cond_check(const struct cond *cond, const struct cond_target *target)
{
	enum cond_verdict first = check_first(cond, target);
	enum cond_verdict second = check_second(cond, target);

	if (first == COND_MALFORMED || second == COND_MALFORMED)
		return COND_MALFORMED;
	return first == COND_GO ? second : first;
}

struct str cond_named(const struct cond *cond, const struct cond_target *target)
{
	struct str list = buf_str(&cond->none_match), named = target->etag, tag;
	bool weak;

	while (cond->has_none_match && next_tag(&list, &weak, &tag) > 0) {
		if (str_eq(tag, target->etag))
			return tag;
		if (is_tag_of(tag, target, cond->reads))
			named = tag;
	}
	return named;
}

bool cond_range(const struct cond *cond, const struct cond_target *target)
{
	if (!cond->has_range)
		return true;
	return target->exists && str_eq(buf_str(&cond->if_range), target->etag);
}
