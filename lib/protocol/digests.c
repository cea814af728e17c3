/* digests - what a partition's records come to, in few bytes */
#include "digests.h"

#include "pack.h"

#include <sodium.h>

#define HASH_BYTES 16			/* the least that BLAKE2b gives; the first 8 are used */

static uint64_t first_of(const uint8_t hash[HASH_BYTES])
{
	struct unpack in = unpack_of((struct str){ (const char *)hash, HASH_BYTES });

	return unpack_u64(&in);
}

/* Other bits than those that chose the partition, or few buckets would be used. */
unsigned digests_bucket(struct str path)
{
	return path_hash(path) % DIGESTS_BUCKETS;
}

void digests_add(struct digests *digests, struct str path, const struct record *record)
{
	uint8_t bytes[RECORD_BYTES_MAX + PATH_BYTES], hash[HASH_BYTES];
	size_t n = record_pack(bytes, record);

	memcpy(bytes + n, path.s != NULL ? path.s : "", path.n);
	crypto_generichash(hash, sizeof hash, bytes, n + path.n, NULL, 0);
	digests->buckets[digests_bucket(path)] += first_of(hash);
}

uint64_t digests_sum(const struct digests *digests)
{
	static const struct digests none;
	uint8_t bytes[sizeof digests->buckets], hash[HASH_BYTES];

	if (memcmp(digests, &none, sizeof none) == 0)
		return 0;
	for (size_t i = 0; i < DIGESTS_BUCKETS; i++)
		for (size_t k = 0; k < 8; k++)
			bytes[8 * i + k] = (uint8_t)(digests->buckets[i] >> (56 - 8 * k));
	crypto_generichash(hash, sizeof hash, bytes, sizeof bytes, NULL, 0);
	return first_of(hash);
}
