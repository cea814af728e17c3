/* range - parts of a representation */
#include "range.h"

#define CLOSE 80	/* bytes; a smaller gap is cheaper to send than a part's header */

enum wish { WISH_MALFORMED, WISH_IMPOSSIBLE, WISH_GRANTED, WISH_WHOLE };

/* "5-" "5-9" "-5" against a representation of that size (section 14.1.2). */
static enum wish parse_one(struct str spec, uint64_t size, struct range *ret)
{
	uint64_t first, last = UINT64_MAX, suffix;
	struct str left;

	if (!str_cut(&spec, '-', &left) || spec.s == NULL)
		return WISH_MALFORMED;
	if (left.n == 0) {
		if (str_u64(spec, UINT64_MAX, &suffix) < 0)
			return WISH_MALFORMED;
		if (suffix == 0)
			return WISH_IMPOSSIBLE;
		if (size == 0)
			return WISH_WHOLE;	/* satisfied, by no byte: a 206 cannot say so */
		suffix = suffix < size ? suffix : size;
		*ret = (struct range){ .from = size - suffix, .length = suffix };
		return WISH_GRANTED;
	}
	if (str_u64(left, UINT64_MAX, &first) < 0 ||
	    (spec.n > 0 && str_u64(spec, UINT64_MAX, &last) < 0) || last < first)
		return WISH_MALFORMED;
	if (first >= size)
		return WISH_IMPOSSIBLE;
	last = last < size ? last : size - 1;
	*ret = (struct range){ .from = first, .length = last - first + 1 };
	return WISH_GRANTED;
}

static bool touch(const struct range *a, const struct range *b)
{
	const struct range *low = a->from <= b->from ? a : b;
	const struct range *high = low == a ? b : a;

	return high->from < low->from + low->length ||
	       high->from - (low->from + low->length) < CLOSE;
}

static bool any_touch(const struct ranges *ranges)
{
	for (size_t i = 0; i < ranges->count; i++)
		for (size_t j = i + 1; j < ranges->count; j++)
			if (touch(&ranges->range[i], &ranges->range[j]))
				return true;
	return false;
}

static void sort(struct ranges *ranges)
{
	for (size_t i = 1; i < ranges->count; i++) {
		struct range range = ranges->range[i];
		size_t j = i;

		for (; j > 0 && ranges->range[j - 1].from > range.from; j--)
			ranges->range[j] = ranges->range[j - 1];
		ranges->range[j] = range;
	}
}

static void merge(struct ranges *ranges)
{
	size_t kept = 0;

	sort(ranges);
	for (size_t i = 1; i < ranges->count; i++) {
		struct range *last = &ranges->range[kept];
		const struct range *next = &ranges->range[i];
		uint64_t end = next->from + next->length;

		if (!touch(last, next))
			ranges->range[++kept] = *next;
		else if (end > last->from + last->length)
			last->length = end - last->from;
	}
	ranges->count = kept + 1;
}

enum range_verdict range_parse(struct str field, uint64_t size, struct ranges *ret)
{
	struct ranges ranges = { .count = 0 };
	struct str spec;
	bool any = false;

	if (field.n < 6 || !str_eq_nocase((struct str){ field.s, 6 }, STR("bytes=")))
		return RANGE_WHOLE;
	field = (struct str){ field.s + 6, field.n - 6 };
	while (str_cut(&field, ',', &spec)) {
		struct range range;
		enum wish wish;

		spec = str_trim(spec);
		if (spec.n == 0)
			continue;	/* RFC 9110, section 5.6.1.2: empty elements do not count */
		any = true;
		wish = parse_one(spec, size, &range);
		if (wish == WISH_MALFORMED || wish == WISH_WHOLE)
			return RANGE_WHOLE;
		if (wish == WISH_IMPOSSIBLE)
			continue;
		if (ranges.count == RANGES_MAX)
			return RANGE_WHOLE;
		ranges.range[ranges.count++] = range;
	}
	if (!any)
		return RANGE_WHOLE;
	if (ranges.count == 0)
		return RANGE_UNSATISFIABLE;
	if (ranges.count > 1 && any_touch(&ranges))
		merge(&ranges);
	*ret = ranges;
	return RANGE_PARTIAL;
}

void range_content(struct buf *buf, const struct range *range, uint64_t size)
{
	buf_addf(buf, "bytes %llu-%llu/%llu", (unsigned long long)range->from,
		 (unsigned long long)(range->from + range->length - 1), (unsigned long long)size);
}

void range_content_none(struct buf *buf, uint64_t size)
{
	buf_addf(buf, "bytes */%llu", (unsigned long long)size);
}

void range_part(struct buf *buf, const struct range *range, uint64_t size, struct str type,
		struct str boundary)
{
	buf_addf(buf, "\r\n--%.*s\r\nContent-Type: %.*s\r\nContent-Range: ", STR_ARG(boundary),
		 STR_ARG(type));
	range_content(buf, range, size);
	buf_adds(buf, "\r\n\r\n");
}

void range_end(struct buf *buf, struct str boundary)
{
	buf_addf(buf, "\r\n--%.*s--\r\n", STR_ARG(boundary));
}

uint64_t range_length(const struct ranges *ranges, uint64_t size, struct str type,
		      struct str boundary)
{
	struct buf text = BUF_INIT;
	uint64_t length = 0;

	for (size_t i = 0; i < ranges->count; i++) {
		range_part(&text, &ranges->range[i], size, type, boundary);
		length += ranges->range[i].length;
	}
	range_end(&text, boundary);
	length += text.len;
	buf_clear(&text);
	return length;
}

int range_upload(struct str field, uint64_t *ret_size)
{
	struct str first, last;
	uint64_t end, size;

	if (field.n < 6 || !str_eq_nocase((struct str){ field.s, 6 }, STR("bytes ")))
		return -1;
	field = str_trim((struct str){ field.s + 6, field.n - 6 });
	if (!str_cut(&field, '-', &first) || !str_eq(first, STR("0")) ||
	    !str_cut(&field, '/', &last) || str_u64(last, INT64_MAX, &end) < 0 ||
	    str_u64(field, INT64_MAX, &size) < 0 || size != end + 1)
		return -1;
	*ret_size = size;
	return 0;
}
