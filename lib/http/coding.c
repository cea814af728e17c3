/*
 * coding - a content in fewer bytes, by libzstd
 *
 * The length of a content is known before, and told in its frame: so the
 * frame's window is the content itself, and each of its bytes may refer to any of
 * the dictionary.  A window that is a power of two would end the dictionary where
 * that many bytes are coded.
 */
#include "coding.h"

#include "digest.h"
#include "fs.h"
#include "mem.h"

#include <errno.h>
#include <stdatomic.h>
#include <unistd.h>
#include <zstd.h>

#define PIECE_BYTES (128u << 10)
#define LEVEL 3
#define ZSTD_WINDOW_LOG 23		/* 8 MiB: RFC 9659, section 3 */
#define SAVED_SHARE 8			/* one in so many bytes has to be saved, */
#define EARLY_SHARE 4			/* also of the first ones, when one in so many is coded */

#define PATIENCE_MS 200
#define PATIENCE_MIB_MS 40

/* RFC 9842, section 5: a skippable frame's head; the sha256 is in it. */
static const uint8_t dcz_magic[8] = { 0x5e, 0x2a, 0x4d, 0x18, 0x20, 0x00, 0x00, 0x00 };
#define DCZ_HEAD_BYTES (sizeof dcz_magic + CODING_SHA256)

enum coding coding_of(struct str name)
{
	if (str_eq_nocase(name, STR(CODING_DCZ_NAME)))
		return CODING_DCZ;
	return str_eq_nocase(name, STR(CODING_ZSTD_NAME)) ? CODING_ZSTD : CODING_NONE;
}

const char *coding_name(enum coding coding)
{
	return coding == CODING_DCZ ? CODING_DCZ_NAME : CODING_ZSTD_NAME;
}

uint64_t coding_patience_ms(uint64_t size)
{
	return coding_is_for(size) ? PATIENCE_MS + (size >> 20) * PATIENCE_MIB_MS : 0;
}

static atomic_uint coders;

bool coding_enter(void)
{
	if (atomic_fetch_add(&coders, 1) < CODING_AT_ONCE)
		return true;
	atomic_fetch_sub(&coders, 1);
	return false;
}

void coding_leave(void)
{
	atomic_fetch_sub(&coders, 1);
}

/* The least that has room for so many bytes, from 1 KiB on. */
static int window_log(uint64_t bytes)
{
	int log = 10;

	while (UINT64_C(1) << log < bytes)
		log++;
	return log;
}

/* Bytes that a window may have, by the RFCs. */
static uint64_t window_most(const struct dictionary *dictionary)
{
	uint64_t least = UINT64_C(1) << ZSTD_WINDOW_LOG;
	uint64_t most = dictionary != NULL ? dictionary->size + dictionary->size / 4 : 0;

	return most > least ? most : least;
}

/* No frame of ours has a larger one than its content needs: what a decoder may be made to allocate. */
static int window_needed(const struct dictionary *dictionary, uint64_t size)
{
	uint64_t most = window_most(dictionary), least = UINT64_C(1) << ZSTD_WINDOW_LOG;

	return window_log(size < least ? least : size < most ? size : most);
}

/* dictionaries */

/* The next bytes of a file at the offset: n, or fewer at its end; -1. */
static ssize_t read_at(int fd, void *to, size_t n, uint64_t offset)
{
	size_t got = 0;

	while (got < n) {
		ssize_t r = pread(fd, (char *)to + got, n - got, (off_t)(offset + got));

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -1;
		if (r == 0)
			break;
		got += (size_t)r;
	}
	return (ssize_t)got;
}

int dictionary_read(struct dictionary *d, int fd, uint64_t size, const uint8_t sha256[CODING_SHA256],
		    struct err *err)
{
	struct dictionary read = DICTIONARY_INIT;
	ssize_t got;

	if (size == 0 || size > CODING_MOST)
		return err_set(err, ERR_TOO_LARGE, "read dictionary: it has %llu bytes", (unsigned long long)size);
	read.size = (size_t)size;
	read.bytes = mem_resize(NULL, read.size, 1);
	got = read_at(fd, read.bytes, read.size, 0);
	if (got < 0)
		err_sys(err, "read dictionary");
	else
		digest_of(read.bytes, (size_t)got, read.sha256);
	if (got >= 0 && ((size_t)got < read.size || memcmp(read.sha256, sha256, CODING_SHA256) != 0))
		got = err_set(err, ERR_CORRUPT, "read dictionary: it is not what it was");
	if (got < 0) {
		dictionary_clear(&read);
		return -1;
	}
	*d = read;
	return 0;
}

void dictionary_clear(struct dictionary *d)
{
	free(d->bytes);
	*d = (struct dictionary)DICTIONARY_INIT;
}

/* encoding */

struct encoding {
	ZSTD_CCtx *zstd;
	int to;
	uint64_t size;			/* of the content */
	uint64_t read, written;		/* bytes */
	char in[PIECE_BYTES], out[PIECE_BYTES];
};

static int encoding_failed(size_t code, struct err *err)
{
	return err_set(err, ERR_SYSTEM, "encode content: %s", ZSTD_getErrorName(code));
}

static int encoding_set(struct encoding *e, const struct dictionary *dictionary, struct err *err)
{
	int log = window_log(e->size);
	size_t code;

	if (dictionary == NULL && log > ZSTD_WINDOW_LOG)
		log = ZSTD_WINDOW_LOG;
	code = ZSTD_CCtx_setParameter(e->zstd, ZSTD_c_compressionLevel, LEVEL);
	if (!ZSTD_isError(code))
		code = ZSTD_CCtx_setParameter(e->zstd, ZSTD_c_windowLog, log);
	if (!ZSTD_isError(code) && dictionary != NULL)
		code = ZSTD_CCtx_setParameter(e->zstd, ZSTD_c_enableLongDistanceMatching, 1);
	if (!ZSTD_isError(code))
		code = ZSTD_CCtx_setPledgedSrcSize(e->zstd, e->size);
	if (!ZSTD_isError(code) && dictionary != NULL)
		code = ZSTD_CCtx_refPrefix(e->zstd, dictionary->bytes, dictionary->size);
	return ZSTD_isError(code) ? encoding_failed(code, err) : 0;
}

/* What does not save an eighth costs both sides more than it gives them. */
static int encoding_judge(const struct encoding *e, struct err *err)
{
	uint64_t of = e->read < e->size / EARLY_SHARE ? e->size : e->read;

	if (e->written <= of - of / SAVED_SHARE)
		return 0;
	return err_set(err, ERR_TOO_LARGE, "encode content: it becomes hardly smaller");
}

static int encoding_write(struct encoding *e, const void *bytes, size_t n, struct err *err)
{
	if (fs_write(e->to, bytes, n, e->written) < 0)
		return err_sys(err, "write coded content");
	e->written += n;
	return encoding_judge(e, err);
}

/* The next piece; the frame ends with the last. */
static int encoding_add(struct encoding *e, size_t n, struct err *err)
{
	ZSTD_EndDirective what = e->read + n == e->size ? ZSTD_e_end : ZSTD_e_continue;
	ZSTD_inBuffer in = { e->in, n, 0 };
	size_t left;

	do {
		ZSTD_outBuffer out = { e->out, sizeof e->out, 0 };

		left = ZSTD_compressStream2(e->zstd, &out, &in, what);
		if (ZSTD_isError(left))
			return encoding_failed(left, err);
		if (out.pos > 0 && encoding_write(e, out.dst, out.pos, err) < 0)
			return -1;
	} while (what == ZSTD_e_end ? left > 0 : in.pos < in.size);
	e->read += n;
	return encoding_judge(e, err);
}

static int encoding_run(struct encoding *e, const struct dictionary *dictionary, int from, struct err *err)
{
	if (encoding_set(e, dictionary, err) < 0)
		return -1;
	if (dictionary != NULL && (encoding_write(e, dcz_magic, sizeof dcz_magic, err) < 0 ||
				   encoding_write(e, dictionary->sha256, CODING_SHA256, err) < 0))
		return -1;
	while (e->read < e->size) {
		uint64_t left = e->size - e->read;
		size_t n = left < sizeof e->in ? (size_t)left : sizeof e->in;
		ssize_t got = read_at(from, e->in, n, e->read);

		if (got < 0)
			return err_sys(err, "read content");
		if ((size_t)got < n)
			return err_set(err, ERR_CORRUPT, "encode content: it is shorter than its record says");
		if (encoding_add(e, n, err) < 0)
			return -1;
	}
	return 0;
}

int coding_encode(const struct dictionary *dictionary, int from, uint64_t size, int to, uint64_t *ret_size,
		  struct err *err)
{
	struct encoding *e;
	int rc;

	if (size < CODING_LEAST || size > CODING_MOST || (dictionary != NULL && size > window_most(dictionary)))
		return err_set(err, ERR_TOO_LARGE, "encode content: %llu bytes are not coded",
			       (unsigned long long)size);
	e = mem_new(1, sizeof *e);
	e->to = to;
	e->size = size;
	e->zstd = ZSTD_createCCtx();
	if (e->zstd == NULL)
		abort();	/* memory, as in mem.h */
	rc = encoding_run(e, dictionary, from, err);
	if (rc == 0)
		*ret_size = e->written;
	ZSTD_freeCCtx(e->zstd);
	free(e);
	return rc;
}

/* decoding */

struct decoder {
	ZSTD_DCtx *zstd;
	const struct dictionary *dictionary;
	size_t head;			/* bytes of dcz's head that have come */
	uint64_t left;			/* bytes that are still to come out */
	bool over;			/* the frame has ended */
	size_t bad;			/* what libzstd said before the first byte */
	char out[PIECE_BYTES];
};

struct decoder *decoder_new(const struct dictionary *dictionary, uint64_t size)
{
	struct decoder *d = mem_new(1, sizeof *d);

	d->dictionary = dictionary;
	d->left = size;
	d->zstd = ZSTD_createDCtx();
	if (d->zstd == NULL)
		abort();	/* memory, as in mem.h */
	d->bad = ZSTD_DCtx_setParameter(d->zstd, ZSTD_d_windowLogMax, window_needed(dictionary, size));
	if (!ZSTD_isError(d->bad) && dictionary != NULL)
		d->bad = ZSTD_DCtx_refPrefix(d->zstd, dictionary->bytes, dictionary->size);
	return d;
}

static int decoder_failed(size_t code, struct err *err)
{
	return err_set(err, ERR_CORRUPT, "decode content: %s", ZSTD_getErrorName(code));
}

/* As much of dcz's head as there is, off the front. */
static int decoder_take_head(struct decoder *d, struct str *bytes, struct err *err)
{
	while (d->dictionary != NULL && d->head < DCZ_HEAD_BYTES && bytes->n > 0) {
		bool magic = d->head < sizeof dcz_magic;
		uint8_t want = magic ? dcz_magic[d->head] : d->dictionary->sha256[d->head - sizeof dcz_magic];

		if ((uint8_t)bytes->s[0] != want)
			return err_set(err, ERR_CORRUPT, magic ? "decode content: it is no dcz" :
				       "decode content: it is coded by another dictionary");
		d->head++;
		bytes->s++;
		bytes->n--;
	}
	return 0;
}

int decoder_add(struct decoder *d, const void *bytes, size_t n, decoder_take_fn *take, void *data, struct err *err)
{
	struct str rest = { bytes, n };
	ZSTD_inBuffer in;
	ZSTD_outBuffer out;

	if (ZSTD_isError(d->bad))
		return decoder_failed(d->bad, err);
	if (decoder_take_head(d, &rest, err) < 0)
		return -1;
	in = (ZSTD_inBuffer){ rest.s, rest.n, 0 };
	do {
		size_t left;

		if (in.pos < in.size && d->over)
			return err_set(err, ERR_CORRUPT, "decode content: something follows its end");
		if (d->over || rest.n == 0)
			return 0;
		out = (ZSTD_outBuffer){ d->out, sizeof d->out, 0 };
		left = ZSTD_decompressStream(d->zstd, &out, &in);
		if (ZSTD_isError(left))
			return decoder_failed(left, err);
		if (out.pos > d->left)
			return err_set(err, ERR_CORRUPT, "decode content: more bytes than its record says");
		d->left -= out.pos;
		d->over = left == 0;
		if (out.pos > 0 && take(data, out.dst, out.pos, err) < 0)
			return -1;
	} while (in.pos < in.size || out.pos == out.size);
	return 0;
}

int decoder_end(struct decoder *d, struct err *err)
{
	if (d->over && d->left == 0)
		return 0;
	return err_set(err, ERR_CORRUPT, "decode content: it is cut short");
}

void decoder_free(struct decoder *d)
{
	if (d == NULL)
		return;
	ZSTD_freeDCtx(d->zstd);
	free(d);
}
