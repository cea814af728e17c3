/* fields - Accept, Link, media types and their parameters, cross-site requests */
#include "fields.h"

#include "chars.h"
#include "param.h"

void fields_link(struct buf *buf, struct str target, const char *rel)
{
	buf_addc(buf, '<');
	buf_addstr(buf, target);
	buf_addf(buf, ">; rel=\"%s\"", rel);
}

static const struct {
	struct str essence;
	const char *type;
} medias[MEDIA_COUNT] = {
	[MEDIA_HTML] = { { "text/html", 9 }, "text/html; charset=utf-8" },
	[MEDIA_JSON] = { { "application/json", 16 }, "application/json" },
	[MEDIA_TEXT] = { { "text/plain", 10 }, "text/plain; charset=utf-8" },
};

const char *fields_media_type(enum media media)
{
	return medias[media].type;
}

static void unquote(struct buf *to, struct str value)
{
	if (value.n < 2 || value.s[0] != '"') {
		buf_addstr(to, value);
		return;
	}
	for (size_t i = 1; i < value.n - 1; i++) {
		if (value.s[i] == '\\')
			i++;
		buf_addc(to, value.s[i]);
	}
}

int fields_param(struct str value, struct str name, struct buf *ret)
{
	struct str found, text;
	int r;

	param_essence(&value);
	while ((r = param_next(&value, PARAM_QUOTED, &found, &text)) > 0) {
		if (!str_eq_nocase(found, name))
			continue;
		unquote(ret, text);
		return 1;
	}
	return r;
}

static bool is_token(struct str text)
{
	for (size_t i = 0; i < text.n; i++)
		if (!char_is(text.s[i], CHAR_TOKEN))
			return false;
	return text.n > 0;
}

bool fields_type_valid(struct str type)
{
	struct str name, value, essence, major;
	int r;

	if (type.n > 255)
		return false;
	for (size_t i = 0; i < type.n; i++)
		if (type.s[i] < ' ' || type.s[i] > '~')
			return false;
	essence = param_essence(&type);
	if (!str_cut(&essence, '/', &major) || !is_token(major) || !is_token(essence))
		return false;
	while ((r = param_next(&type, PARAM_QUOTED, &name, &value)) > 0)
		;
	return r == 0;
}

bool fields_type_is(struct str type, struct str essence)
{
	return str_eq_nocase(param_essence(&type), essence);
}

/* A qvalue in thousandths: "0.5" is 500; what can not be read is 0 (section 12.4.2). */
static unsigned quality(struct str text)
{
	unsigned q = 0, unit = 1000;

	if (text.n == 0 || text.n > 5 || (text.n > 1 && text.s[1] != '.'))
		return 0;
	for (size_t i = 0; i < text.n; i++) {
		if (i == 1)
			continue;
		if (text.s[i] < '0' || text.s[i] > '9')
			return 0;
		q += (unsigned)(text.s[i] - '0') * unit;
		unit /= 10;
	}
	return q <= 1000 ? q : 0;
}

/* One element of Accept: its range, and its weight. */
static struct str take_media_range(struct str element, unsigned *ret_weight)
{
	struct str essence = param_essence(&element), name, value;

	*ret_weight = 1000;
	while (param_next(&element, PARAM_QUOTED, &name, &value) > 0)
		if (str_eq_nocase(name, STR("q")))
			*ret_weight = quality(value);
	return essence;
}

/* The weight that Accept gives a type: the most specific range that matches counts. */
static unsigned weight_of(struct str accept, struct str essence)
{
	size_t slash = (size_t)((const char *)memchr(essence.s, '/', essence.n) - essence.s) + 1;
	int best_precision = 0;
	unsigned best = 0;
	struct str element;

	while (str_cut(&accept, ',', &element)) {
		unsigned weight;
		struct str range = take_media_range(element, &weight);
		int precision = str_eq_nocase(range, essence) ? 3 :
				range.n == slash + 1 && range.s[slash] == '*' &&
				str_eq_nocase((struct str){ range.s, slash },
					      (struct str){ essence.s, slash }) ? 2 :
				str_eq(range, STR("*/*")) ? 1 : 0;

		if (precision > best_precision) {
			best_precision = precision;
			best = weight;
		}
	}
	return best;
}

enum media fields_accept(struct str accept, const enum media *offers, size_t count)
{
	enum media best = offers[0];
	unsigned best_weight = 0;

	if (accept.s == NULL || str_eq(accept, STR("*/*")))
		return best;
	for (size_t i = 0; i < count; i++) {
		unsigned weight = weight_of(accept, medias[offers[i]].essence);

		if (weight > best_weight) {
			best_weight = weight;
			best = offers[i];
		}
	}
	return best;
}

bool fields_accepts_problem(struct str accept)
{
	struct str element;

	while (str_cut(&accept, ',', &element)) {
		unsigned weight;
		struct str range = take_media_range(element, &weight);

		if (weight > 0 && (str_eq_nocase(range, STR("application/problem+json")) ||
				   str_eq_nocase(range, STR("application/json"))))
			return true;
	}
	return false;
}

bool fields_cross_site(const struct head *head)
{
	struct str site = head_get(head, FIELD_SEC_FETCH_SITE);
	struct str origin = head_get(head, FIELD_ORIGIN);

	if (site.s != NULL)
		return !str_eq(site, STR("same-origin")) && !str_eq(site, STR("none"));
	if (origin.s == NULL)
		return false;	/* no browser */
	if (str_starts(origin, STR("http://")))
		origin = (struct str){ origin.s + 7, origin.n - 7 };
	else if (str_starts(origin, STR("https://")))
		origin = (struct str){ origin.s + 8, origin.n - 8 };
	else
		return true;
	return !str_eq_nocase(origin, head->host);
}
