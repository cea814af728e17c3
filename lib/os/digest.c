/* digest - SHA-256 in pieces, SHA-512 of files (FIPS 180-4, by libcrypto), and base64 for them */
#include "digest.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <unistd.h>

static EVP_MD *sha256;		/* looked up once: a look-up costs as much as hashing 1 KiB */
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void sha256_fetch(void)
{
	sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
}

/* libcrypto fails here only without memory or without SHA-256: neither can be gone on from. */
static void must_succeed(int ok)
{
	if (ok != 1)
		abort();
}

/* A struct digest is libcrypto's context under a name of our own. */
static EVP_MD_CTX *digest_context(struct digest *digest)
{
	return (EVP_MD_CTX *)(void *)digest;
}

struct digest *digest_new(void)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();

	pthread_once(&once, sha256_fetch);
	must_succeed(ctx != NULL && sha256 != NULL && EVP_DigestInit_ex2(ctx, sha256, NULL) == 1);
	return (struct digest *)(void *)ctx;
}

void digest_free(struct digest *digest)
{
	EVP_MD_CTX_free(digest_context(digest));
}

void digest_add(struct digest *digest, const void *bytes, size_t n)
{
	must_succeed(EVP_DigestUpdate(digest_context(digest), bytes, n));
}

void digest_end(struct digest *digest, uint8_t ret[32])
{
	must_succeed(EVP_DigestFinal_ex(digest_context(digest), ret, NULL));
}

void digest_of(const void *bytes, size_t n, uint8_t ret[32])
{
	pthread_once(&once, sha256_fetch);
	must_succeed(sha256 != NULL && EVP_Digest(bytes, n, ret, NULL, sha256, NULL) == 1);
}

int digest_file_512(int fd, uint8_t ret[64])
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	char bytes[65536];
	off_t offset = 0;
	ssize_t n;

	must_succeed(ctx != NULL && EVP_DigestInit_ex(ctx, EVP_sha512(), NULL) == 1);
	while ((n = pread(fd, bytes, sizeof bytes, offset)) > 0) {
		must_succeed(EVP_DigestUpdate(ctx, bytes, (size_t)n));
		offset += n;
	}
	if (n == 0)
		must_succeed(EVP_DigestFinal_ex(ctx, ret, NULL));
	EVP_MD_CTX_free(ctx);
	return n == 0 ? 0 : -1;
}

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_encode(struct buf *buf, const void *bytes, size_t n)
{
	const uint8_t *from = bytes;

	for (size_t i = 0; i < n; i += 3) {
		size_t have = n - i < 3 ? n - i : 3;
		uint32_t word = (uint32_t)from[i] << 16;

		if (have > 1)
			word |= (uint32_t)from[i + 1] << 8;
		if (have > 2)
			word |= from[i + 2];
		for (size_t k = 0; k < 4; k++)
			buf_addc(buf, k <= have ? alphabet[word >> (18 - 6 * k) & 63] : '=');
	}
}

/* The value of one digit, or -1. */
static int base64_digit(char c)
{
	const char *at = c != '\0' ? strchr(alphabet, c) : NULL;

	return at != NULL ? (int)(at - alphabet) : -1;
}

/* Decodes into to[0..2] the have bytes of one group of four; refuses what encoding never gives. */
static int base64_decode_group(const char *group, size_t have, uint8_t *to)
{
	uint32_t word = 0;

	for (size_t k = 0; k < 4; k++) {
		int digit = k <= have ? base64_digit(group[k]) : 0;

		if (digit < 0 || (k > have && group[k] != '='))
			return -1;
		word = word << 6 | (uint32_t)digit;
	}
	if ((word & (0xffffff >> (8 * have))) != 0)
		return -1;	/* bits beyond the last byte: another spelling of the same bytes */
	for (size_t k = 0; k < have; k++)
		to[k] = (uint8_t)(word >> (16 - 8 * k));
	return 0;
}

int base64_decode(struct str text, uint8_t *to, size_t n)
{
	uint8_t last[3] = { 0 };

	if (text.n != (n + 2) / 3 * 4)
		return -1;
	for (size_t pass = 0; pass < 2; pass++) {	/* first all is checked, then written */
		for (size_t i = 0; i < n; i += 3) {
			size_t have = n - i < 3 ? n - i : 3;

			if (base64_decode_group(text.s + i / 3 * 4, have, last) < 0)
				return -1;
			if (pass == 1)
				memcpy(to + i, last, have);
		}
	}
	return 0;
}
