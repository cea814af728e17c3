/* mime - content types by the ends of names */
#include "mime.h"

#include "buf.h"
#include "mem.h"
#include "path.h"

#include <stdio.h>

#define LINE_BYTES 4096
#define EXTENSION_BYTES 32	/* longer ones are not looked for */
#define CHARSET "; charset=utf-8"

struct entry {
	uint32_t extension, type;	/* where they begin in text, each with its NUL */
	uint32_t order;			/* of coming; of equal extensions the first counts */
};

struct mime {
	struct buf text;
	struct entry *entries;		/* sorted by extension, each once */
	size_t count;
};

static const struct {
	const char *extension, *type;
} builtin[] = {
	{ "avif", "image/avif" },
	{ "css", "text/css" },
	{ "csv", "text/csv" },
	{ "gif", "image/gif" },
	{ "gz", "application/gzip" },
	{ "htm", "text/html" },
	{ "html", "text/html" },
	{ "ico", "image/vnd.microsoft.icon" },
	{ "jpeg", "image/jpeg" },
	{ "jpg", "image/jpeg" },
	{ "js", "text/javascript" },
	{ "json", "application/json" },
	{ "log", "text/plain" },
	{ "md", "text/markdown" },
	{ "mjs", "text/javascript" },
	{ "mp3", "audio/mpeg" },
	{ "mp4", "video/mp4" },
	{ "ogg", "audio/ogg" },
	{ "pdf", "application/pdf" },
	{ "png", "image/png" },
	{ "svg", "image/svg+xml" },
	{ "tar", "application/x-tar" },
	{ "txt", "text/plain" },
	{ "wasm", "application/wasm" },
	{ "webm", "video/webm" },
	{ "webp", "image/webp" },
	{ "woff2", "font/woff2" },
	{ "xml", "application/xml" },
	{ "yaml", "application/yaml" },
	{ "yml", "application/yaml" },
	{ "zip", "application/zip" },
	{ "zst", "application/zstd" },
};

static uint32_t add_text(struct mime *mime, struct str text)
{
	uint32_t at = (uint32_t)mime->text.len;

	buf_addstr(&mime->text, text);
	return at;
}

static uint32_t add_type(struct mime *mime, struct str type)
{
	uint32_t at = add_text(mime, type);

	if (str_starts(type, STR("text/")))
		buf_adds(&mime->text, CHARSET);
	buf_addc(&mime->text, '\0');
	return at;
}

static void add_entry(struct mime *mime, struct str extension, uint32_t type)
{
	uint32_t at;

	if (extension.n > EXTENSION_BYTES)
		return;
	at = add_text(mime, extension);
	buf_addc(&mime->text, '\0');
	for (char *c = mime->text.data + at; *c != '\0'; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c = (char)(*c - 'A' + 'a');
	if ((mime->count & (mime->count - 1)) == 0)
		mime->entries = mem_resize(mime->entries, mime->count ? mime->count * 2 : 1,
					   sizeof(*mime->entries));
	mime->entries[mime->count] = (struct entry){ at, type, (uint32_t)mime->count };
	mime->count++;
}

/* A word off the front of *line, or false. */
static bool take_word(struct str *line, struct str *ret)
{
	size_t n = 0;

	while (line->n > 0 && (unsigned char)line->s[0] <= ' ')
		line->s++, line->n--;
	while (n < line->n && (unsigned char)line->s[n] > ' ')
		n++;
	*ret = (struct str){ line->s, n };
	*line = (struct str){ line->s + n, line->n - n };
	return n > 0;
}

/* "text/html  html htm" */
static void add_line(struct mime *mime, struct str line)
{
	struct str type, extension;
	uint32_t at;

	if (!take_word(&line, &type) || type.s[0] == '#' || !take_word(&line, &extension))
		return;
	at = add_type(mime, type);
	do
		add_entry(mime, extension, at);
	while (take_word(&line, &extension));
}

static void read_file(struct mime *mime, const char *file)
{
	FILE *f = file ? fopen(file, "re") : NULL;
	char line[LINE_BYTES];

	if (f == NULL)
		return;
	while (fgets(line, sizeof(line), f) != NULL)
		add_line(mime, str_of(line));
	fclose(f);
}

static int by_extension(const void *a, const void *b, void *mime)
{
	const struct entry *x = a, *y = b;
	const char *text = ((const struct mime *)mime)->text.data;
	int order = strcmp(text + x->extension, text + y->extension);

	return order ? order : (x->order > y->order) - (x->order < y->order);
}

static void sort(struct mime *mime)
{
	const char *text = mime->text.data;
	size_t kept = 0;

	qsort_r(mime->entries, mime->count, sizeof(*mime->entries), by_extension, mime);
	for (size_t i = 1; i < mime->count; i++)
		if (strcmp(text + mime->entries[i].extension,
			   text + mime->entries[kept].extension) != 0)
			mime->entries[++kept] = mime->entries[i];
	mime->count = kept + 1;
}

struct mime *mime_new(const char *file)
{
	struct mime *mime = mem_new(1, sizeof(*mime));

	read_file(mime, file);
	for (size_t i = 0; i < sizeof(builtin) / sizeof(builtin[0]); i++)
		add_entry(mime, str_of(builtin[i].extension),
			  add_type(mime, str_of(builtin[i].type)));
	sort(mime);
	return mime;
}

void mime_free(struct mime *mime)
{
	if (mime == NULL)
		return;
	buf_clear(&mime->text);
	free(mime->entries);
	free(mime);
}

/* The extension in lower case with its NUL; false when the name has none. */
static bool extension_of(struct str name, char to[EXTENSION_BYTES + 1])
{
	const char *dot;
	size_t n;

	name = path_name(name);
	dot = name.n ? memrchr(name.s, '.', name.n) : NULL;
	if (dot == NULL || dot == name.s)
		return false;
	n = name.n - (size_t)(dot - name.s) - 1;
	if (n == 0 || n > EXTENSION_BYTES)
		return false;
	for (size_t i = 0; i < n; i++)
		to[i] = (char)(dot[i + 1] >= 'A' && dot[i + 1] <= 'Z' ? dot[i + 1] - 'A' + 'a'
								      : dot[i + 1]);
	to[n] = '\0';
	return true;
}

bool mime_is_passive(struct str type)
{
	static const char *const kinds[] = { "image/", "audio/", "video/", "font/" };
	static const char *const types[] = {
		"application/octet-stream", "text/plain", "application/pdf", "application/json",
		"application/zip", "application/gzip", "application/zstd", "application/x-tar",
		"application/x-bzip2", "application/x-xz", "application/x-7z-compressed",
		"application/vnd.debian.binary-package",
	};
	struct str essence;

	str_cut(&type, ';', &essence);
	essence = str_trim(essence);
	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
		if (str_eq_nocase(essence, str_of(types[i])))
			return true;
	/* "image/svg+xml", and whatever else is some kind of XML or HTML, is a document. */
	if (essence.n >= 3 && (str_eq_nocase((struct str){ essence.s + essence.n - 3, 3 }, STR("xml")) ||
			       str_eq_nocase((struct str){ essence.s + essence.n - 3, 3 }, STR("tml"))))
		return false;
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
		if (essence.n > strlen(kinds[i]) &&
		    str_eq_nocase((struct str){ essence.s, strlen(kinds[i]) }, str_of(kinds[i])))
			return memchr(essence.s, '+', essence.n) == NULL;
	return false;
}

struct str mime_of(const struct mime *mime, struct str name)
{
	const char *text = mime->text.data;
	char extension[EXTENSION_BYTES + 1];
	size_t low = 0, high = mime->count;

	if (!extension_of(name, extension))
		return STR(MIME_DEFAULT);
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct entry *entry = &mime->entries[middle];
		int order = strcmp(extension, text + entry->extension);

		if (order == 0)
			return str_of(text + entry->type);
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return STR(MIME_DEFAULT);
}
