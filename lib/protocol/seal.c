/* seal - packets that only holders of the group's key can make or read */
#include "seal.h"

#include <endian.h>
#include <inttypes.h>
#include <sodium.h>

#define MAGIC "cvy"
#define HEAD 4				/* magic and version: the associated data */
#define TAG crypto_aead_xchacha20poly1305_ietf_ABYTES

_Static_assert(SEAL_KEY_BYTES == crypto_aead_xchacha20poly1305_ietf_KEYBYTES, "key");
_Static_assert(SEAL_NONCE_BYTES == crypto_aead_xchacha20poly1305_ietf_NPUBBYTES, "nonce");
_Static_assert(WIRE_PLAIN_BYTES == WIRE_BYTES - HEAD - SEAL_NONCE_BYTES - TAG, "overhead");

/* Another use of the key than sealing, so it says nothing about it. */
static uint64_t group_of(const uint8_t *key)
{
	static const uint8_t context[] = "covey group id";
	uint8_t hash[crypto_generichash_BYTES];
	uint64_t id;

	crypto_generichash(hash, sizeof hash, context, sizeof context - 1, key, SEAL_KEY_BYTES);
	memcpy(&id, hash, sizeof id);
	return be64toh(id);
}

int seal_keys_parse(struct str text, struct seal_keys *ret, struct err *err)
{
	struct seal_keys keys = SEAL_KEYS_INIT;
	struct str line;

	if (sodium_init() < 0)
		return err_set(err, ERR_SYSTEM, "start libsodium: it refused");
	while (str_cut(&text, '\n', &line)) {
		if (str_ends(line, STR("\r")))
			line.n--;
		line = str_trim(line);
		if (line.n == 0 || line.s[0] == '#')
			continue;
		if (keys.count == SEAL_KEYS)
			return err_set(err, ERR_INVALID, "read key file: more than %d keys", SEAL_KEYS);
		if (str_from_hex(line, keys.list[keys.count].bytes, SEAL_KEY_BYTES) < 0)
			return err_set(err, ERR_INVALID,
				       "read key file: a line that is not 64 hexadecimal digits");
		keys.list[keys.count].group = group_of(keys.list[keys.count].bytes);
		keys.count++;
	}
	if (keys.count == 0)
		return err_set(err, ERR_INVALID, "read key file: no key in it");
	*ret = keys;
	return 0;
}

const char *seal_key_name(char to[SEAL_KEY_NAME], const struct seal_keys *keys, size_t i)
{
	snprintf(to, SEAL_KEY_NAME, "%08" PRIx64, keys->list[i].group >> 32);
	return to;
}

/* The packet's length. */
static size_t close_to(const struct seal_keys *keys, uint8_t protocol,
		       const uint8_t nonce[SEAL_NONCE_BYTES], struct str plain, uint8_t *to)
{
	unsigned long long n;

	memcpy(to, MAGIC, HEAD - 1);
	to[HEAD - 1] = protocol;
	memcpy(to + HEAD, nonce, SEAL_NONCE_BYTES);
	crypto_aead_xchacha20poly1305_ietf_encrypt(to + HEAD + SEAL_NONCE_BYTES, &n,
						   (const uint8_t *)plain.s, plain.n, to, HEAD, NULL,
						   nonce, keys->list[0].bytes);
	return HEAD + SEAL_NONCE_BYTES + (size_t)n;
}

size_t seal_close(const struct seal_keys *keys, uint8_t protocol,
		  const uint8_t nonce[SEAL_NONCE_BYTES], struct str plain, uint8_t to[WIRE_BYTES])
{
	if (plain.n > WIRE_PLAIN_BYTES || keys->count == 0)
		abort();	/* the messages' bounds keep it below */
	return close_to(keys, protocol, nonce, plain, to);
}

void seal_message(const struct seal_keys *keys, struct str plain, struct buf *to)
{
	uint8_t nonce[SEAL_NONCE_BYTES];

	if (plain.n > SEAL_CONTENTS_PLAIN_BYTES || keys->count == 0)
		abort();
	randombytes_buf(nonce, sizeof nonce);
	buf_reserve(to, HEAD + SEAL_NONCE_BYTES + plain.n + TAG);
	to->len += close_to(keys, MEMBER_PROTOCOL, nonce, plain, (uint8_t *)to->data + to->len);
}

bool seal_is_sealed(struct str packet)
{
	return packet.n >= HEAD + SEAL_NONCE_BYTES + TAG && memcmp(packet.s, MAGIC, HEAD - 1) == 0;
}

/* The index of the key that opens it, or -1.  plain holds what the packet does without TAG. */
static int open_to(const struct seal_keys *keys, struct str packet, void *plain, size_t *ret_n)
{
	const uint8_t *bytes = (const uint8_t *)packet.s;

	if (!seal_is_sealed(packet))
		return -1;
	for (size_t i = 0; i < keys->count; i++) {
		unsigned long long n;

		if (crypto_aead_xchacha20poly1305_ietf_decrypt(
			    plain, &n, NULL, bytes + HEAD + SEAL_NONCE_BYTES,
			    packet.n - HEAD - SEAL_NONCE_BYTES, bytes, HEAD, bytes + HEAD,
			    keys->list[i].bytes) == 0) {
			*ret_n = (size_t)n;
			return (int)i;
		}
	}
	return -1;
}

int seal_open(const struct seal_keys *keys, struct str packet, struct sealed *ret)
{
	int key = packet.n <= WIRE_BYTES ? open_to(keys, packet, ret->plain, &ret->n) : -1;

	if (key < 0)
		return -1;
	ret->protocol = (uint8_t)packet.s[HEAD - 1];
	return 0;
}

int seal_open_long(const struct seal_keys *keys, struct str packet, uint8_t *ret_protocol, struct buf *ret)
{
	struct buf plain = BUF_INIT;
	int key = -1;

	if (packet.n <= WIRE_CONTENTS_BYTES)
		key = open_to(keys, packet, buf_reserve(&plain, packet.n), &plain.len);
	if (key < 0) {
		buf_clear(&plain);
		return -1;
	}
	*ret_protocol = (uint8_t)packet.s[HEAD - 1];
	buf_clear(ret);
	*ret = plain;
	return 0;
}
