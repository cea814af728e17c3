/* record - what is known about one version of a path */
#include "record.h"

#include "pack.h"

#include <inttypes.h>

#define FORM_CHILD 1		/* made and n follow */
#define FORM_AT 2

static const uint8_t zeros[SHA256_BYTES];

bool record_eq(const struct record *a, const struct record *b)
{
	return version_cmp(a->version, b->version) == 0 && a->flags == b->flags &&
	       a->size == b->size && memcmp(a->sha256, b->sha256, SHA256_BYTES) == 0 &&
	       a->mtime == b->mtime && a->made == b->made;
}

bool record_has_content(const struct record *r)
{
	return !version_is_none(r->version) && !(r->flags & (RECORD_DELETED | RECORD_DIRECTORY));
}

/* A record whose fields agree with each other. */
static int record_check(const struct record *r, struct err *err)
{
	if (version_is_none(r->version))
		return err_set(err, ERR_CORRUPT, "read record: no version");
	if (!record_has_content(r) &&
	    (r->size != 0 || memcmp(r->sha256, zeros, SHA256_BYTES) != 0))
		return err_set(err, ERR_CORRUPT, "read record: content where there can be none");
	if (r->made != 0 && r->version.n == 0)
		return err_set(err, ERR_CORRUPT, "read record: made at another time than its own");
	if (r->made != 0 && r->made == r->version.time)
		return err_set(err, ERR_CORRUPT, "read record: made when its base was");
	return 0;
}

size_t record_pack(uint8_t to[RECORD_BYTES_MAX], const struct record *r)
{
	bool child = r->version.n > 0;
	struct buf buf = BUF_INIT;
	size_t n;

	pack_u8(&buf, RECORD_FORMAT);
	pack_u8(&buf, r->flags);
	pack_u8(&buf, child ? FORM_CHILD : 0);
	pack_u8(&buf, 0);
	pack_u64(&buf, r->version.time);
	pack_u64(&buf, r->version.node);
	pack_u64(&buf, r->size);
	pack_bytes(&buf, r->sha256, SHA256_BYTES);
	pack_u32(&buf, r->mtime);
	if (child) {
		pack_u64(&buf, r->made);
		pack_u64(&buf, r->version.n);
	}
	n = buf.len;
	memcpy(to, buf.data, n);
	buf_clear(&buf);
	return n;
}

size_t record_length(struct str packed)
{
	size_t n = RECORD_BYTES;

	if (packed.n < RECORD_BYTES || packed.s[0] < 1 || packed.s[0] > RECORD_FORMAT)
		return 0;
	if (packed.s[0] == RECORD_FORMAT && packed.s[FORM_AT] == FORM_CHILD)
		n = RECORD_BYTES_MAX;
	return n <= packed.n ? n : 0;
}

/* Bytes 2 and 3: n, or the form and what must be 0. */
static void unpack_form(struct unpack *in, uint8_t format, struct record *r, bool *ret_child)
{
	*ret_child = false;
	if (format == 1) {
		r->version.n = unpack_u16(in);
		return;
	}
	switch (unpack_u8(in)) {
	case 0:
		break;
	case FORM_CHILD:
		*ret_child = true;
		break;
	default:
		in->failed = true;
	}
	if (unpack_u8(in) != 0)
		in->failed = true;
	r->version.n = 0;
}

static void unpack_child(struct unpack *in, struct record *r)
{
	r->made = unpack_u64(in);
	r->version.n = unpack_u64(in);
	if (r->version.n == 0 || r->version.n > VERSION_N_MAX)
		in->failed = true;
}

int record_unpack(const void *bytes, size_t n, struct record *ret, struct err *err)
{
	struct unpack in = unpack_of((struct str){ bytes, n });
	struct record r = { .made = 0 };
	uint8_t format = unpack_u8(&in);
	bool child;

	if (n > 0 && (format < 1 || format > RECORD_FORMAT))
		return err_set(err, ERR_UNSUPPORTED, "read record: format %u, not 1 to %u", format,
			       RECORD_FORMAT);
	r.flags = unpack_u8(&in);
	unpack_form(&in, format, &r, &child);
	r.version.time = unpack_u64(&in);
	r.version.node = unpack_u64(&in);
	r.size = unpack_u64(&in);
	unpack_bytes(&in, r.sha256, SHA256_BYTES);
	r.mtime = unpack_u32(&in);
	if (child)
		unpack_child(&in, &r);
	if (unpack_end(&in) < 0)
		return err_set(err, ERR_CORRUPT, "read record: not the bytes of one, in %zu", n);
	if (record_check(&r, err) < 0)
		return -1;
	*ret = r;
	return 0;
}

int record_check_type(struct str type, struct err *err)
{
	if (type.n > RECORD_TYPE_MAX)
		return err_set(err, ERR_TOO_LARGE, "read content type: over %d bytes",
			       RECORD_TYPE_MAX);
	for (size_t i = 0; i < type.n; i++)
		if (type.s[i] < ' ' || type.s[i] > '~')
			return err_set(err, ERR_INVALID, "read content type: not printable ASCII");
	if (!str_eq(str_trim(type), type))
		return err_set(err, ERR_INVALID, "read content type: spaces around it");
	return 0;
}

/* Flags in text: "-", or of each bit that is set its character, in this order. */
static const char flag_letters[] = "xdbep567";

static void flags_format(struct buf *buf, uint8_t flags)
{
	if (flags == 0)
		buf_addc(buf, '-');
	for (unsigned bit = 0; bit < 8; bit++)
		if (flags >> bit & 1)
			buf_addc(buf, flag_letters[bit]);
}

static int flags_parse(struct str text, uint8_t *ret)
{
	uint8_t flags = 0;
	size_t at = 0;

	for (unsigned bit = 0; bit < 8; bit++)
		if (at < text.n && text.s[at] == flag_letters[bit]) {
			flags |= (uint8_t)(1u << bit);
			at++;
		}
	if (flags == 0 ? !str_eq(text, STR("-")) : at != text.n)
		return -1;
	*ret = flags;
	return 0;
}

void record_format(struct buf *buf, const struct record *r, struct str type)
{
	char version[VERSION_TEXT], sha256[2 * SHA256_BYTES + 1] = "-";

	if (record_has_content(r))
		str_to_hex(sha256, r->sha256, SHA256_BYTES);
	buf_addf(buf, "%s ", version_format(version, r->version));
	flags_format(buf, r->flags);
	buf_addf(buf, " %" PRIu64 " %s %" PRIu32, r->size, sha256, r->mtime);
	if (r->made != 0)
		buf_addf(buf, "@%" PRIu64, r->made);
	if (type.n > 0) {
		buf_addc(buf, ' ');
		buf_addstr(buf, type);
	}
}

/* Decimal digits without leading zeros, so that number and text map one to one. */
static int parse_number(struct str text, uint64_t max, uint64_t *ret)
{
	return text.n > 1 && text.s[0] == '0' ? -1 : str_u64(text, max, ret);
}

/* The digest in lower case, or "-" where there is no content. */
static int parse_sha256(struct str text, struct record *r)
{
	if (!record_has_content(r)) {
		memset(r->sha256, 0, SHA256_BYTES);
		return str_eq(text, STR("-")) ? 0 : -1;
	}
	for (size_t i = 0; i < text.n; i++)
		if (text.s[i] >= 'A' && text.s[i] <= 'F')
			return -1;
	return str_from_hex(text, r->sha256, SHA256_BYTES);
}

/* "MTIME" or "MTIME@MADE" */
static int parse_times(struct str text, struct record *r)
{
	struct str part = STR_INIT;
	uint64_t mtime;

	r->made = 0;
	if (!str_cut(&text, '@', &part) || parse_number(part, UINT32_MAX, &mtime) < 0)
		return -1;
	r->mtime = (uint32_t)mtime;
	if (text.s == NULL)
		return 0;
	return parse_number(text, UINT64_MAX, &r->made) < 0 || r->made == 0 ? -1 : 0;
}

int record_parse(struct str text, struct record *ret, struct str *ret_type, struct err *err)
{
	struct str rest = text, field[5];
	struct record r;

	for (size_t i = 0; i < 5; i++)
		if (!str_cut(&rest, ' ', &field[i]))
			return err_set(err, ERR_INVALID, "read record: %zu fields, not 5", i);
	if (version_parse(field[0], &r.version, err) < 0)
		return err_context(err, "read record");
	if (flags_parse(field[1], &r.flags) < 0 || parse_number(field[2], UINT64_MAX, &r.size) < 0 ||
	    parse_sha256(field[3], &r) < 0 || parse_times(field[4], &r) < 0)
		return err_set(err, ERR_INVALID, "read record: malformed");
	if (record_check(&r, err) < 0)
		return -1;
	if (rest.s != NULL && rest.n == 0)
		return err_set(err, ERR_INVALID, "read record: an empty content type");
	if (record_check_type(rest, err) < 0)
		return -1;
	*ret = r;
	*ret_type = rest;
	return 0;
}
