/*
 * inifile - state that programs write and shells read
 *
 * inih cuts long lines and names short without a word, takes an indented
 * line as the continuation of the one before, and stops at a NUL.  So it
 * is fed line by line from here, and lines it would misread are refused.
 */
#include "inifile.h"

#include "file.h"
#include "fs.h"

#include <ini.h>
#include <stdarg.h>

#define FILE_BYTES (4u << 20)	/* state that is longer is not ours */
#define SECTION_BYTES 48	/* inih's MAX_SECTION is 50 with the NUL */

struct reading {
	struct str rest;
	const char *file;
	unsigned line;		/* the last one given to inih */
	bool failed;		/* err is filled; nothing more is given */
	inifile_each *each;
	void *data;
	struct err *err;
};

static int line_fail(struct reading *r, const char *why)
{
	r->failed = true;
	return err_set(r->err, ERR_CORRUPT, "%s:%u: %s", r->file, r->line, why);
}

static const char *line_fault(struct str line)
{
	if (line.n > INIFILE_LINE)
		return "the line is too long";
	if (line.n > 0 && memchr(line.s, '\0', line.n) != NULL)
		return "the line has a NUL in it";
	if (line.n > 0 && line.s[0] == '[') {
		const char *end = memchr(line.s, ']', line.n);

		if (end == NULL)
			return "the section has no ]";
		if (end - line.s - 1 > SECTION_BYTES)
			return "the section's name is too long";
	}
	return NULL;
}

/* inih's idea of fgets(). */
static char *line_next(char *to, int size, void *stream)
{
	struct reading *r = stream;
	const char *fault;
	struct str line;

	if (r->failed || r->rest.n == 0 || !str_cut(&r->rest, '\n', &line))
		return NULL;
	r->line++;
	line = str_trim(line);
	fault = size <= INIFILE_LINE + 1 ? "inih was built for shorter lines" : line_fault(line);
	if (fault != NULL) {
		line_fail(r, fault);
		return NULL;
	}
	if (line.n > 0)
		memcpy(to, line.s, line.n);
	to[line.n] = '\n';
	to[line.n + 1] = '\0';
	return to;
}

static int line_found(void *user, const char *section, const char *name, const char *value)
{
	struct reading *r = user;

	if (r->failed)
		return 0;
	if (r->each(r->data, str_of(section), str_of(name), str_of(value), r->err) == 0)
		return 1;
	r->failed = true;
	err_context(r->err, "%s:%u", r->file, r->line);
	return 0;
}

int inifile_read_text(struct str text, const char *file, inifile_each *each, void *data,
		      struct err *err)
{
	struct reading r = { .rest = text, .file = file, .each = each, .data = data, .err = err };
	int bad_line = ini_parse_stream(line_next, &r, line_found, &r);

	if (r.failed)
		return -1;
	if (bad_line > 0)
		return err_set(err, ERR_CORRUPT, "%s:%d: neither a section nor key = value", file,
			       bad_line);
	return 0;
}

int inifile_bad(struct str key, struct str value, struct err *err)
{
	return err_set(err, ERR_CORRUPT, "bad %.*s \"%.*s\"", STR_ARG(key), STR_ARG(value));
}

int inifile_read(const char *file, inifile_each *each, void *data, struct err *err)
{
	struct buf text = BUF_INIT;
	int rc = file_read(file, FILE_BYTES, &text, err);

	if (rc == 0)
		rc = inifile_read_text(buf_str(&text), file, each, data, err);
	buf_clear(&text);
	return rc;
}

int inifile_load(const char *directory, const char *name, inifile_each *each, void *data,
		 struct err *err)
{
	struct buf file = BUF_INIT;
	int rc;

	buf_addf(&file, "%s/%s", directory, name);
	rc = inifile_read(file.data, each, data, err);
	buf_clear(&file);
	return rc;
}

void inifile_clear(struct inifile *ini)
{
	buf_clear(&ini->text);
	ini->err = (struct err)ERR_INIT;
}

static bool is_plain(struct str text)
{
	for (size_t i = 0; i < text.n; i++)
		if ((unsigned char)text.s[i] < ' ' || text.s[i] == 0x7f || text.s[i] == ';')
			return false;
	return str_eq(str_trim(text), text);
}

static bool is_key(struct str key)
{
	return key.n > 0 && is_plain(key) && key.s[0] != '[' && key.s[0] != '#' &&
	       memchr(key.s, '=', key.n) == NULL && memchr(key.s, ':', key.n) == NULL;
}

static void put_refuse(struct inifile *ini, const char *what, struct str text)
{
	if (ini->err.kind == ERR_NONE)
		err_set(&ini->err, ERR_INVALID, "%s \"%.*s\" cannot be written as INI", what,
			STR_ARG(text));
}

void inifile_section(struct inifile *ini, const char *name)
{
	struct str text = str_of(name);

	if (text.n > SECTION_BYTES || !is_plain(text) || strchr(name, ']') != NULL)
		put_refuse(ini, "section", text);
	buf_addf(&ini->text, "%s[%s]\n", ini->text.len ? "\n" : "", name);
}

void inifile_put(struct inifile *ini, const char *key, struct str value)
{
	struct str name = str_of(key);

	if (!is_key(name))
		put_refuse(ini, "key", name);
	if (!is_plain(value) || name.n + strlen(" = ") + value.n > INIFILE_LINE)
		put_refuse(ini, "value", value);
	buf_addf(&ini->text, "%s = ", key);
	buf_addstr(&ini->text, value);
	buf_addc(&ini->text, '\n');
}

void inifile_putf(struct inifile *ini, const char *key, const char *format, ...)
{
	char value[INIFILE_LINE + 2];
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(value, sizeof value, format, args);
	va_end(args);
	if (n < 0 || (size_t)n >= sizeof value)
		put_refuse(ini, "value of key", str_of(key));
	inifile_put(ini, key, str_of(value));
}

int inifile_save(struct inifile *ini, const char *file, unsigned mode, struct err *err)
{
	if (ini->err.kind != ERR_NONE)
		return err_set(err, ini->err.kind, "write %s: %s", file, ini->err.text);
	return file_replace(file, buf_str(&ini->text), mode, err);
}

int inifile_store(struct inifile *ini, const char *directory, const char *name, struct err *err)
{
	struct buf file = BUF_INIT;
	int rc;

	buf_addf(&file, "%s/%s", directory, name);
	rc = inifile_save(ini, file.data, FS_FILE_MODE, err);
	inifile_clear(ini);
	buf_clear(&file);
	return rc;
}
