/* fields - parameters, media types, Accept, codings, digests, dictionaries, Link, cross-site requests */
#include "fields.h"

#include "chars.h"
#include "digest.h"

/* parameters */

struct str param_essence(struct str *rest)
{
	const char *semicolon = rest->n ? memchr(rest->s, ';', rest->n) : NULL;
	size_t n = semicolon ? (size_t)(semicolon - rest->s) : rest->n;
	struct str essence = str_trim((struct str){ rest->s, n });

	if (n > 0)	/* an absent field's slice points nowhere */
		*rest = (struct str){ rest->s + n, rest->n - n };
	return essence;
}

static size_t token_length(struct str text)
{
	size_t n = 0;

	while (n < text.n && char_is(text.s[n], CHAR_TOKEN))
		n++;
	return n;
}

/* Both quotes counted; 0 when it does not end. */
static size_t quoted_length(struct str text, enum param_quoting quoting)
{
	for (size_t i = 1; i < text.n; i++) {
		if (text.s[i] == '"')
			return i + 1;
		if (text.s[i] == '\\' && i + 1 < text.n &&
		    (quoting == PARAM_QUOTED || text.s[i + 1] == '"' || text.s[i + 1] == '\\'))
			i++;
	}
	return 0;
}

static struct str str_skip(struct str text, size_t n)
{
	return (struct str){ text.s + n, text.n - n };
}

int param_next(struct str *rest, enum param_quoting quoting, struct str *ret_name,
	       struct str *ret_value)
{
	struct str r = *rest, name, value;

	if (r.n > 0 && r.s[0] != ';')
		return -1;
	while (r.n > 0 && (r.s[0] == ';' || r.s[0] == ' ' || r.s[0] == '\t'))
		r = str_skip(r, 1);
	if (r.n == 0)
		return 0;
	name = (struct str){ r.s, token_length(r) };
	r = str_skip(r, name.n);
	if (name.n == 0 || r.n < 2 || r.s[0] != '=')
		return -1;
	r = str_skip(r, 1);
	value = (struct str){ r.s, r.s[0] == '"' ? quoted_length(r, quoting) : token_length(r) };
	if (value.n == 0)
		return -1;
	r = str_trim(str_skip(r, value.n));
	if (r.n > 0 && r.s[0] != ';')
		return -1;
	*ret_name = name;
	*ret_value = value;
	*rest = r;
	return 1;
}

/* media types and Accept */

static bool is_token(struct str text)
{
	return text.n > 0 && token_length(text) == text.n;
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

bool fields_accepts_coding(struct str field, struct str coding)
{
	struct str element;

	while (str_cut(&field, ',', &element)) {
		unsigned weight;
		struct str name = take_media_range(element, &weight);

		if (str_eq_nocase(name, coding))
			return weight > 0;
	}
	return false;
}

/* digests */

static bool key_byte(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
	       c == '.' || c == '*';
}

static bool item_byte(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '+' || c == '/' || c == '=' || c == '-' || c == '.';
}

/* "key=item" of a dictionary; parameters behind the item are dropped.  0 or -1. */
static int split_member(struct str member, struct str *ret_key, struct str *ret_item)
{
	struct str key;

	member = str_trim(member);
	if (!str_cut(&member, '=', &key) || key.n == 0 || member.s == NULL)
		return -1;
	for (size_t i = 0; i < key.n; i++)
		if (!key_byte(key.s[i]))
			return -1;
	str_cut(&member, ';', ret_item);
	*ret_item = str_trim(*ret_item);
	*ret_key = key;
	return ret_item->n > 0 ? 0 : -1;
}

/* A byte sequence, ":base64:". */
static bool is_bytes(struct str item)
{
	if (item.n < 2 || item.s[0] != ':' || item.s[item.n - 1] != ':')
		return false;
	for (size_t i = 1; i < item.n - 1; i++)
		if (!item_byte(item.s[i]))
			return false;
	return true;
}

/* The n bytes that name has in the field: 1, 0 when it is not there, -1 malformed. */
static int digest_parse(struct str field, struct str name, uint8_t *ret, size_t n)
{
	struct str member, key, item;
	uint8_t digest[64];
	int found = 0;

	while (str_cut(&field, ',', &member)) {
		if (split_member(member, &key, &item) < 0 || !is_bytes(item))
			return -1;
		if (!str_eq(key, name))
			continue;
		if (base64_decode((struct str){ item.s + 1, item.n - 2 }, digest, n) < 0)
			return -1;
		found = 1;
	}
	if (found)
		memcpy(ret, digest, n);
	return found;
}

int fields_digest_parse(struct str field, uint8_t ret[32])
{
	return digest_parse(field, STR("sha-256"), ret, 32);
}

int fields_digest_parse_512(struct str field, uint8_t ret[64])
{
	return digest_parse(field, STR("sha-512"), ret, 64);
}

void fields_digest(struct buf *buf, const uint8_t sha256[32])
{
	buf_adds(buf, "sha-256=:");
	base64_encode(buf, sha256, 32);
	buf_addc(buf, ':');
}

bool fields_wants_sha256(struct str field)
{
	struct str member, key, item;
	bool wanted = false;

	while (str_cut(&field, ',', &member)) {
		uint64_t preference;

		if (split_member(member, &key, &item) == 0 && str_eq(key, STR("sha-256")))
			wanted = str_u64(item, 10, &preference) == 0 && preference > 0;
	}
	return wanted;
}

/* dictionaries */

int fields_dictionary_parse(struct str field, uint8_t ret[32])
{
	struct str item;

	str_cut(&field, ';', &item);	/* its parameters mean nothing */
	item = str_trim(item);
	if (!is_bytes(item))
		return -1;
	return base64_decode((struct str){ item.s + 1, item.n - 2 }, ret, 32);
}

void fields_dictionary(struct buf *buf, const uint8_t sha256[32])
{
	buf_addc(buf, ':');
	base64_encode(buf, sha256, 32);
	buf_addc(buf, ':');
}

int fields_dictionary_use(struct buf *buf, struct str path)
{
	for (size_t i = 0; i < path.n; i++)
		if (!(path.s[i] >= 'a' && path.s[i] <= 'z') && !(path.s[i] >= 'A' && path.s[i] <= 'Z') &&
		    !(path.s[i] >= '0' && path.s[i] <= '9') && (path.s[i] == '\0' || !strchr("/%-._~", path.s[i])))
			return -1;
	buf_addf(buf, "match=\"%.*s\"", STR_ARG(path));
	return 0;
}

/* Link, and cross-site requests */

void fields_link(struct buf *buf, struct str target, const char *rel)
{
	buf_addc(buf, '<');
	buf_addstr(buf, target);
	buf_addf(buf, ">; rel=\"%s\"", rel);
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
