/* fields_digest - Repr-Digest, Content-Digest and what is wanted of them (RFC 9530, RFC 8941) */
#include "fields.h"

#include "digest.h"

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
static int parse(struct str field, struct str name, uint8_t *ret, size_t n)
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
	return parse(field, STR("sha-256"), ret, 32);
}

int fields_digest_parse_512(struct str field, uint8_t ret[64])
{
	return parse(field, STR("sha-512"), ret, 64);
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
