/* seal - packets that only holders of the group's key can make or read */
#include "seal.h"

#include <endian.h>
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

size_t seal_close(const struct seal_keys *keys, uint8_t protocol,
		  const uint8_t nonce[SEAL_NONCE_BYTES], struct str plain, uint8_t to[WIRE_BYTES])
{
	unsigned long long n;

	if (plain.n > WIRE_PLAIN_BYTES || keys->count == 0)
		abort();	/* the messages' bounds keep it below */
	memcpy(to, MAGIC, HEAD - 1);
	to[HEAD - 1] = protocol;
	memcpy(to + HEAD, nonce, SEAL_NONCE_BYTES);
	crypto_aead_xchacha20poly1305_ietf_encrypt(to + HEAD + SEAL_NONCE_BYTES, &n,
						   (const uint8_t *)plain.s, plain.n, to, HEAD, NULL,
						   nonce, keys->list[0].bytes);
	return HEAD + SEAL_NONCE_BYTES + (size_t)n;
}

int seal_open(const struct seal_keys *keys, struct str packet, struct sealed *ret)
{
	const uint8_t *bytes = (const uint8_t *)packet.s;

	if (packet.n < HEAD + SEAL_NONCE_BYTES + TAG || packet.n > WIRE_BYTES ||
	    memcmp(bytes, MAGIC, HEAD - 1) != 0)
		return -1;
	for (size_t i = 0; i < keys->count; i++) {
		unsigned long long n;

		if (crypto_aead_xchacha20poly1305_ietf_decrypt(
			    (uint8_t *)ret->plain, &n, NULL, bytes + HEAD + SEAL_NONCE_BYTES,
			    packet.n - HEAD - SEAL_NONCE_BYTES, bytes, HEAD, bytes + HEAD,
			    keys->list[i].bytes) == 0) {
			ret->protocol = bytes[HEAD - 1];
			ret->group = keys->list[i].group;
			ret->n = (size_t)n;
			return 0;
		}
	}
	return -1;
}
