/*
 * coding - what is coded comes out as it was, as the zstd program has it too, and nothing else comes out
 *
 * Argument: the seed.
 */
#include "coding.h"

#include "buf.h"
#include "chance.h"
#include "digest.h"
#include "mem.h"
#include "unit.h"

#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <zstd.h>

#define MIB (1u << 20)
#define HEAD_BYTES 40

/* A file in memory with these bytes. */
static int file_of(const void *bytes, size_t n)
{
	int fd = memfd_create("coding", MFD_CLOEXEC);

	if (fd < 0 || (n > 0 && write(fd, bytes, n) != (ssize_t)n))
		abort();
	return fd;
}

static char *noise(size_t n)
{
	char *bytes = mem_new(n + 1, 1);

	for (size_t i = 0; i < n; i += 8) {
		uint64_t word = draw();

		memcpy(bytes + i, &word, n - i < 8 ? n - i : 8);
	}
	return bytes;
}

/* One byte in so many is another, in runs of up to 1,024. */
static char *changed(const char *bytes, size_t n, size_t share)
{
	char *other = mem_copy(bytes, n);

	for (size_t left = n / share, run; left > 0; left -= run) {
		size_t at = below((unsigned)n);

		run = left < 1024 ? left : 1024;
		for (size_t i = at; i < at + run && i < n; i++)
			other[i] = (char)draw();
	}
	return other;
}

static struct dictionary dictionary_of(const char *bytes, size_t n)
{
	struct dictionary d = DICTIONARY_INIT;
	uint8_t sha256[CODING_SHA256];
	int fd = file_of(bytes, n);

	digest_of(bytes, n, sha256);
	CHECK(dictionary_read(&d, fd, n, sha256, NULL) == 0);
	CHECK(d.size == n && memcmp(d.bytes, bytes, n) == 0);
	close(fd);
	return d;
}

/* *ret gets the coded bytes; the error's kind. */
static enum err_kind encode(const struct dictionary *by, const char *content, size_t n, struct buf *ret)
{
	int from = file_of(content, n), to = file_of("", 0);
	struct err err = ERR_INIT;
	uint64_t size = 7;

	buf_reset(ret);
	if (coding_encode(by, from, n, to, &size, &err) == 0) {
		CHECK(pread(to, buf_reserve(ret, size), size, 0) == (ssize_t)size);
		ret->len = size;
	} else {
		CHECK(size == 7);
	}
	close(from);
	close(to);
	return err.kind;
}

struct taken {
	struct buf buf;
	size_t most;			/* at once */
};

static int take(void *data, const void *bytes, size_t n, struct err *err)
{
	struct taken *taken = data;

	(void)err;
	if (n > taken->most)
		taken->most = n;
	buf_add(&taken->buf, bytes, n);
	return 0;
}

/* In pieces of random lengths, for a content of so many bytes; the error's kind. */
static enum err_kind decode(const struct dictionary *by, struct str coded, uint64_t size, struct taken *ret)
{
	struct decoder *d = decoder_new(by, size);
	struct err err = ERR_INIT;
	int rc = 0;

	buf_reset(&ret->buf);
	ret->most = 0;
	while (coded.n > 0 && rc == 0) {
		size_t n = 1 + below(below(2) ? 100 : 200000);

		n = n < coded.n ? n : coded.n;
		rc = decoder_add(d, coded.s, n, take, ret, &err);
		coded.s += n;
		coded.n -= n;
	}
	if (rc == 0)
		rc = decoder_end(d, &err);
	decoder_free(d);
	CHECK((rc == 0) == (err.kind == ERR_NONE));
	CHECK(ret->buf.len <= size);
	return err.kind;
}

/* By `old`, or by nothing, there and back; returns the coded size. */
static size_t there_and_back(const char *old, size_t old_size, const char *content, size_t size)
{
	struct dictionary by = DICTIONARY_INIT;
	struct taken taken = { .buf = BUF_INIT };
	struct buf coded = BUF_INIT;
	size_t n;

	if (old != NULL)
		by = dictionary_of(old, old_size);
	CHECK(encode(old != NULL ? &by : NULL, content, size, &coded) == ERR_NONE);
	CHECK(decode(old != NULL ? &by : NULL, buf_str(&coded), size, &taken) == ERR_NONE);
	CHECK(taken.buf.len == size && memcmp(taken.buf.data, content, size) == 0);
	CHECK(taken.most <= 128u << 10);
	n = coded.len;
	dictionary_clear(&by);
	buf_clear(&taken.buf);
	buf_clear(&coded);
	return n;
}

/* One in a hundred bytes of 50 MiB changed is less than two in a hundred. */
static void little_changed(void)
{
	size_t size = 50 * MIB;
	char *old = noise(size), *content = changed(old, size, 100);

	CHECK(there_and_back(old, size, content, size) < size / 50);
	/* moved within the file, its end as well */
	memmove(content + 1000001, old, size - 1000001);
	CHECK(there_and_back(old, size, content, size) < size / 25);
	free(content);
	content = noise(size + size / 4);
	memcpy(content, old, size);
	CHECK(there_and_back(old, size, content, size + size / 8) < size / 4);
	free(old);
	free(content);
}

/* Of any sizes: those of the limits, and some others. */
static void any_size(void)
{
	const size_t sizes[] = { CODING_LEAST, CODING_LEAST + 1, 100000, 128u << 10, (128u << 10) + 1, MIB,
				 8 * MIB, 8 * MIB + 1, 9 * MIB };

	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		size_t size = sizes[i] + (i > 3 ? below(1000) : 0);
		char *old = noise(size), *content = changed(old, size, 1000);

		CHECK(there_and_back(old, size, content, size) < size / 4);
		memset(content, 'x', size / 3);
		CHECK(there_and_back(NULL, 0, content, size) < size - size / 4);
		free(old);
		free(content);
	}
}

/* What is not worth it, and what is too small, too large, or too large for its dictionary. */
static void not_coded(void)
{
	char *old = noise(9 * MIB), *content = noise(9 * MIB);
	struct dictionary by = dictionary_of(old, 100);
	struct buf coded = BUF_INIT;

	CHECK(encode(NULL, content, 9 * MIB, &coded) == ERR_TOO_LARGE);
	CHECK(encode(&by, content, 5 * MIB, &coded) == ERR_TOO_LARGE);
	CHECK(encode(NULL, content, CODING_LEAST, &coded) == ERR_TOO_LARGE);
	memset(content, 0, 9 * MIB);
	CHECK(encode(NULL, content, CODING_LEAST - 1, &coded) == ERR_TOO_LARGE);
	CHECK(encode(&by, content, 9 * MIB, &coded) == ERR_TOO_LARGE);
	CHECK(encode(&by, content, 8 * MIB, &coded) == ERR_NONE);
	CHECK(encode(NULL, content, 9 * MIB, &coded) == ERR_NONE);
	dictionary_clear(&by);
	buf_clear(&coded);
	free(old);
	free(content);
}

/* A dictionary, or a content, that is not what it was. */
static void changed_meanwhile(void)
{
	char *old = noise(100000);
	struct dictionary by = DICTIONARY_INIT;
	int fd = file_of(old, 100000), to = file_of("", 0);
	uint8_t sha256[CODING_SHA256];
	struct err err = ERR_INIT;
	uint64_t size;

	digest_of(old, 100000, sha256);
	CHECK(dictionary_read(&by, fd, 100001, sha256, &err) < 0 && err.kind == ERR_CORRUPT);
	CHECK(dictionary_read(&by, fd, 0, sha256, &err) < 0 && err.kind == ERR_TOO_LARGE);
	CHECK(dictionary_read(&by, fd, CODING_MOST + 1, sha256, &err) < 0 && err.kind == ERR_TOO_LARGE);
	sha256[0] ^= 1;
	CHECK(dictionary_read(&by, fd, 100000, sha256, &err) < 0 && err.kind == ERR_CORRUPT);
	CHECK(by.bytes == NULL);
	by = dictionary_of(old, 100000);
	CHECK(coding_encode(&by, fd, 100001, to, &size, &err) < 0 && err.kind == ERR_CORRUPT);
	dictionary_clear(&by);
	close(fd);
	close(to);
	free(old);
}

/* Another dictionary, another size, fewer bytes, more, or wrong ones. */
static void not_decoded(void)
{
	size_t size = 300000;
	char *old = noise(size), *content = changed(old, size, 100), *other = noise(size);
	struct dictionary by = dictionary_of(old, size), wrong = dictionary_of(other, size);
	struct taken taken = { .buf = BUF_INIT };
	struct buf coded = BUF_INIT, bad = BUF_INIT;
	struct decoder *d;
	struct err err = ERR_INIT;

	CHECK(encode(&by, content, size, &coded) == ERR_NONE);
	CHECK(decode(&wrong, buf_str(&coded), size, &taken) == ERR_CORRUPT && taken.buf.len == 0);
	CHECK(decode(NULL, buf_str(&coded), size, &taken) == ERR_CORRUPT);
	CHECK(decode(&by, buf_str(&coded), size - 1, &taken) == ERR_CORRUPT);
	CHECK(decode(&by, buf_str(&coded), size + 1, &taken) == ERR_CORRUPT);
	CHECK(decode(&by, (struct str){ coded.data, coded.len - 1 }, size, &taken) == ERR_CORRUPT);
	CHECK(decode(&by, (struct str){ coded.data, HEAD_BYTES }, size, &taken) == ERR_CORRUPT);
	CHECK(decode(&by, (struct str)STR_INIT, size, &taken) == ERR_CORRUPT);
	CHECK(decode(&by, (struct str){ coded.data + HEAD_BYTES, coded.len - HEAD_BYTES }, size, &taken) == ERR_CORRUPT);
	buf_addstr(&bad, buf_str(&coded));
	buf_addc(&bad, '\0');
	CHECK(decode(&by, buf_str(&bad), size, &taken) == ERR_CORRUPT);
	buf_reset(&bad);
	buf_addstr(&bad, buf_str(&coded));
	bad.data[HEAD_BYTES - 1] ^= 1;
	d = decoder_new(&by, size);
	CHECK(decoder_add(d, bad.data, bad.len, take, &taken, &err) < 0);
	CHECK(strstr(err.text, "another dictionary") != NULL);
	decoder_free(d);
	for (int i = 0; i < 200; i++) {		/* whatever comes out is no more than it should be: decode() checks */
		buf_reset(&bad);
		buf_addstr(&bad, buf_str(&coded));
		bad.data[HEAD_BYTES + below((unsigned)coded.len - HEAD_BYTES)] ^= (char)(1u << below(8));
		decode(&by, buf_str(&bad), size, &taken);
	}
	dictionary_clear(&by);
	dictionary_clear(&wrong);
	buf_clear(&coded);
	buf_clear(&bad);
	buf_clear(&taken.buf);
	free(old);
	free(content);
	free(other);
}

/* Much out of little: only as much as was to come; and windows are as the RFCs have them. */
static void bombs(void)
{
	size_t n = 64 * MIB, room = ZSTD_compressBound(n);
	char *zeros = mem_new(n, 1), *bomb = mem_new(room, 1);
	struct taken taken = { .buf = BUF_INIT };
	ZSTD_CCtx *z = ZSTD_createCCtx();
	size_t size = ZSTD_compress2(z, bomb, room, zeros, n);

	CHECK(!ZSTD_isError(size) && size < 10000);
	CHECK(decode(NULL, (struct str){ bomb, size }, 100000, &taken) == ERR_CORRUPT && taken.buf.len <= 100000);
	ZSTD_CCtx_setParameter(z, ZSTD_c_windowLog, 24);
	ZSTD_CCtx_setParameter(z, ZSTD_c_contentSizeFlag, 0);
	size = ZSTD_compress2(z, bomb, room, zeros, n);
	CHECK(!ZSTD_isError(size));
	CHECK(decode(NULL, (struct str){ bomb, size }, n, &taken) == ERR_CORRUPT && taken.buf.len == 0);
	ZSTD_CCtx_setParameter(z, ZSTD_c_windowLog, 23);
	size = ZSTD_compress2(z, bomb, room, zeros, n);
	CHECK(decode(NULL, (struct str){ bomb, size }, n, &taken) == ERR_NONE && taken.buf.len == n);
	ZSTD_freeCCtx(z);
	buf_clear(&taken.buf);
	free(zeros);
	free(bomb);
}

/* The exit status of `zstd` with a dictionary and what is coded by it, and what it printed. */
static int zstd(int old, int coded, int printed)
{
	char patch_from[60], from[40];
	pid_t child;
	int status;

	child = fork();
	if (child == 0) {
		dup2(printed, STDOUT_FILENO);
		dup2(old, old + 100);		/* without close-on-exec */
		dup2(coded, coded + 100);
		snprintf(patch_from, sizeof patch_from, "--patch-from=/proc/self/fd/%d", old + 100);
		snprintf(from, sizeof from, "/proc/self/fd/%d", coded + 100);
		execlp("zstd", "zstd", "-q", "-d", "-c", "-f", patch_from, from, NULL);
		_exit(127);
	}
	return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* `zstd -d --patch-from=old` has the same. */
static void zstd_program(void)
{
	size_t size = 9 * MIB;
	char *old = noise(size), *content = changed(old, size, 100), *got = mem_new(size + 1, 1);
	struct dictionary by = dictionary_of(old, size);
	int old_fd = file_of(old, size), coded_fd, printed = file_of("", 0);
	struct buf coded = BUF_INIT;

	CHECK(encode(&by, content, size, &coded) == ERR_NONE);
	coded_fd = file_of(coded.data, coded.len);
	CHECK(zstd(old_fd, coded_fd, printed) == 0);
	CHECK(pread(printed, got, size + 1, 0) == (ssize_t)size && memcmp(got, content, size) == 0);
	close(old_fd);
	close(coded_fd);
	close(printed);
	dictionary_clear(&by);
	buf_clear(&coded);
	free(old);
	free(content);
	free(got);
}

/* All bytes of a content, and then not the end of its frame, which is a block of its own here. */
static void without_end(void)
{
	char *content = noise(1000), *coded = mem_new(2000, 1);
	ZSTD_inBuffer in = { content, 1000, 0 }, none = { content, 0, 0 };
	ZSTD_outBuffer out = { coded, 2000, 0 };
	struct taken taken = { .buf = BUF_INIT };
	ZSTD_CCtx *z = ZSTD_createCCtx();

	CHECK(ZSTD_compressStream2(z, &out, &in, ZSTD_e_flush) == 0);
	CHECK(ZSTD_compressStream2(z, &out, &none, ZSTD_e_end) == 0);
	CHECK(decode(NULL, (struct str){ coded, out.pos }, 1000, &taken) == ERR_NONE);
	CHECK(decode(NULL, (struct str){ coded, out.pos - 1 }, 1000, &taken) == ERR_CORRUPT && taken.buf.len == 1000);
	ZSTD_freeCCtx(z);
	buf_clear(&taken.buf);
	free(content);
	free(coded);
}

static void patience(void)
{
	CHECK(coding_patience_ms(CODING_LEAST - 1) == 0 && coding_patience_ms(CODING_MOST + 1) == 0);
	CHECK(coding_patience_ms(CODING_LEAST) > 0);
	CHECK(coding_patience_ms(CODING_MOST) > coding_patience_ms(CODING_LEAST) + 1000);
}

static void names(void)
{
	CHECK(coding_of(STR("dcz")) == CODING_DCZ && coding_of(STR("DCZ")) == CODING_DCZ);
	CHECK(coding_of(STR("zstd")) == CODING_ZSTD && coding_of(STR("gzip")) == CODING_NONE);
	CHECK(coding_of((struct str)STR_INIT) == CODING_NONE);
	CHECK(strcmp(coding_name(CODING_DCZ), "dcz") == 0 && strcmp(coding_name(CODING_ZSTD), "zstd") == 0);
	for (int i = 0; i < CODING_AT_ONCE; i++)
		CHECK(coding_enter());
	CHECK(!coding_enter());
	coding_leave();
	CHECK(coding_enter() && !coding_enter());
	for (int i = 0; i < CODING_AT_ONCE; i++)
		coding_leave();
}

int main(int argc, char **argv)
{
	uint64_t count = 0;

	if (!chance_begin(argc, argv, (uint64_t)time(NULL), &count))
		return 2;
	names();
	patience();
	any_size();
	not_coded();
	changed_meanwhile();
	not_decoded();
	bombs();
	without_end();
	zstd_program();
	little_changed();
	return UNIT_RESULT();
}
