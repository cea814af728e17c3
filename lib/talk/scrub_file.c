/* scrub_file - scrub.ini: how far this node has read its contents again */
#include "scrub_file.h"

#include "inifile.h"
#include "path.h"
#include "pct.h"

#define FILE_NAME "scrub.ini"
#define PIECE 150		/* bytes of a position in one line, which is no longer than INIFILE_LINE */

struct reading {
	struct scrub_file file;
	struct buf encoded;	/* position */
};

void scrub_file_clear(struct scrub_file *file)
{
	buf_clear(&file->position);
	*file = (struct scrub_file)SCRUB_FILE_INIT;
}

static int scrub_key(void *data, struct str section, struct str key, struct str value, struct err *err)
{
	struct reading *r = data;
	const struct {
		const char *section, *key;
		uint64_t *to;
	} numbers[] = {
		{ "round", "last", &r->file.last },
		{ "round", "began", &r->file.began },
		{ "total", "bytes", &r->file.bytes },
		{ "total", "bad", &r->file.bad },
	};

	if (str_eq(section, STR("round")) && str_eq(key, STR("position")))
		buf_addstr(&r->encoded, value);
	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
		if (str_eq(section, str_of(numbers[i].section)) &&
		    str_eq(key, str_of(numbers[i].key)) &&
		    str_u64(value, UINT64_MAX, numbers[i].to) < 0)
			return inifile_bad(key, value, err);
	return 0;
}

int scrub_file_load(const char *directory, struct scrub_file *ret, struct err *err)
{
	struct reading r = { .file = SCRUB_FILE_INIT, .encoded = BUF_INIT };
	int rc = inifile_load(directory, FILE_NAME, scrub_key, &r, err);

	if (rc == 0 && (pct_decode(&r.file.position, buf_str(&r.encoded)) < 0 ||
			path_check(buf_str(&r.file.position), NULL) < 0))
		rc = err_set(err, ERR_CORRUPT, "%s/" FILE_NAME ": position: not a path", directory);
	if (rc == 0) {
		scrub_file_clear(ret);
		*ret = r.file;
	} else {
		scrub_file_clear(&r.file);
	}
	buf_clear(&r.encoded);
	return rc;
}

static void put_number(struct inifile *ini, const char *key, uint64_t number)
{
	inifile_putf(ini, key, "%llu", (unsigned long long)number);
}

int scrub_file_save(const char *directory, const struct scrub_file *scrub, struct err *err)
{
	struct inifile ini = INIFILE_INIT;
	struct buf encoded = BUF_INIT;

	pct_encode(&encoded, buf_str(&scrub->position));
	inifile_section(&ini, "round");
	put_number(&ini, "last", scrub->last);
	put_number(&ini, "began", scrub->began);
	for (size_t at = 0; at < encoded.len; at += PIECE)
		inifile_put(&ini, "position",
			    (struct str){ encoded.data + at,
					  encoded.len - at < PIECE ? encoded.len - at : PIECE });
	inifile_section(&ini, "total");
	put_number(&ini, "bytes", scrub->bytes);
	put_number(&ini, "bad", scrub->bad);
	buf_clear(&encoded);
	return inifile_store(&ini, directory, FILE_NAME, err);
}
