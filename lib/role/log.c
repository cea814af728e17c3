/* log - the one place that tells the operator something */
#include "log.h"

#include "buf.h"
#include "clock.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

#define KINDS 32			/* of errors that are counted; then the oldest is forgotten */

static const struct {
	enum log_level level;
	const char *name;
} levels[] = {
	{ LOG_LEVEL_ERROR, "error" },
	{ LOG_LEVEL_WARNING, "warning" },
	{ LOG_LEVEL_INFO, "info" },
};
#define LEVELS (sizeof levels / sizeof levels[0])

static const char *program = "covey";
static const char *node;	/* whose lines these are, where several nodes write to one place; or NULL */
static int to_journal, to_stderr = 1;
static enum log_level limit = LOG_LEVEL_INFO;

static struct {
	pthread_mutex_t mutex;
	struct kind {
		uint64_t hash;		/* 0: none */
		uint64_t since;		/* ms: of these */
		unsigned count, left_out;
	} kinds[KINDS];
} alike = { .mutex = PTHREAD_MUTEX_INITIALIZER };

/* systemd tells in JOURNAL_STREAM which file it made of stderr: DEVICE:INODE. */
static int stderr_is_journal(void)
{
	const char *text = getenv("JOURNAL_STREAM");
	char mine[64];
	struct stat st;

	if (text == NULL || fstat(STDERR_FILENO, &st) < 0)
		return 0;
	snprintf(mine, sizeof mine, "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	return str_eq(str_of(text), str_of(mine));
}

void log_open(const char *name, int quiet)
{
	program = name;
	node = getenv(LOG_NODE);
	to_journal = stderr_is_journal();
	to_stderr = !quiet && !to_journal;
}

void log_limit(enum log_level level)
{
	limit = level;
}

int log_level_parse(struct str text, enum log_level *ret)
{
	for (size_t i = 0; i < LEVELS; i++) {
		if (str_eq(text, str_of(levels[i].name))) {
			*ret = levels[i].level;
			return 0;
		}
	}
	return -1;
}

static void add_time(struct buf *line)
{
	time_t now = (time_t)(clock_wall_ns() / 1000000000);
	char text[32];
	struct tm tm;

	if (gmtime_r(&now, &tm) != NULL && strftime(text, sizeof text, "%FT%TZ ", &tm) > 0)
		buf_adds(line, text);
}

/* One write, so that lines of several threads and programs do not mix. */
static void write_stderr(enum log_level level, struct str text)
{
	struct buf line = BUF_INIT;

	if (node != NULL) {
		add_time(&line);
		buf_addf(&line, "%s ", node);
	}
	buf_addf(&line, "%s: ", program);
	if (level < LOG_LEVEL_INFO)
		buf_adds(&line, level == LOG_LEVEL_ERROR ? "error: " : "warning: ");
	buf_addstr(&line, text);
	buf_addc(&line, '\n');
	if (write(STDERR_FILENO, line.data, line.len) < 0)
		to_stderr = 0;	/* nobody reads it any more */
	buf_clear(&line);
}

static void write_journal(enum log_level level, const struct log_field *fields, size_t count,
			  struct str text)
{
	struct buf bytes = BUF_INIT;
	struct iovec iov[LOG_FIELDS_MAX + 2];
	size_t ends[LOG_FIELDS_MAX + 2], n = 0, start = 0;

	buf_addf(&bytes, "PRIORITY=%d", (int)level);
	ends[n++] = bytes.len;
	buf_adds(&bytes, "MESSAGE=");
	if (node != NULL)
		buf_addf(&bytes, "%s: ", node);
	buf_addstr(&bytes, text);
	ends[n++] = bytes.len;
	for (size_t i = 0; i < count && i < LOG_FIELDS_MAX; i++) {
		buf_addf(&bytes, "%s=", fields[i].name);
		buf_addstr(&bytes, fields[i].value);
		ends[n++] = bytes.len;
	}
	for (size_t i = 0; i < n; i++) {
		iov[i] = (struct iovec){ bytes.data + start, ends[i] - start };
		start = ends[i];
	}
	sd_journal_sendv(iov, (int)n);
	buf_clear(&bytes);
}

/*
 * A process that logs an error often ends with it.  journald looks up the
 * unit of what comes by its own socket by the process, and finds none when
 * that is gone: `journalctl -u` does not show the error.  The unit of stderr
 * it knows from the beginning.
 */
static void write_journal_stderr(enum log_level level, struct str text)
{
	struct buf line = BUF_INIT;

	buf_addf(&line, "<%d>", (int)level);	/* sd-daemon(3) */
	if (node != NULL)
		buf_addf(&line, "%s: ", node);
	buf_addstr(&line, text);
	buf_addc(&line, '\n');
	if (write(STDERR_FILENO, line.data, line.len) < 0)
		write_journal(level, NULL, 0, text);
	buf_clear(&line);
}

static void write_line(enum log_level level, const struct log_field *fields, size_t count,
		       struct str text)
{
	if (level > limit)
		return;
	/* Several lines would be several messages on stderr. */
	if (to_journal && level == LOG_LEVEL_ERROR && count == 0 && memchr(text.s, '\n', text.n) == NULL)
		write_journal_stderr(level, text);
	else if (to_journal)
		write_journal(level, fields, count, text);
	else if (to_stderr)
		write_stderr(level, text);
}

/* errors that are alike */

static uint64_t hash_of(const char *text, struct str more)
{
	uint64_t hash = 0xcbf29ce484222325;	/* FNV-1a */

	for (; *text != '\0'; text++)
		hash = (hash ^ (uint8_t)*text) * 0x100000001b3;
	for (size_t i = 0; i < more.n; i++)
		hash = (hash ^ (uint8_t)more.s[i]) * 0x100000001b3;
	return hash != 0 ? hash : 1;
}

/* That of the hash, or the one that is oldest, and then no kind any more. */
static struct kind *find_kind(uint64_t hash)
{
	struct kind *found = &alike.kinds[0];

	for (size_t i = 0; i < KINDS; i++) {
		struct kind *kind = &alike.kinds[i];

		if (kind->hash == hash)
			return kind;
		if (kind->hash == 0 || (found->hash != 0 && kind->since < found->since))
			found = kind;
	}
	*found = (struct kind){ .hash = 0 };
	return found;
}

/* False: it is one too many.  *ret_left_out: so many were, of which nobody was told yet. */
static bool is_to_be_told(enum log_level level, uint64_t hash, unsigned *ret_left_out)
{
	uint64_t now = clock_mono_ms();
	struct kind *kind;
	bool told;

	*ret_left_out = 0;
	if (level >= LOG_LEVEL_INFO)
		return true;
	pthread_mutex_lock(&alike.mutex);
	kind = find_kind(hash);
	if (kind->hash == 0 || now - kind->since >= LOG_ALIKE_MS) {
		*ret_left_out = kind->left_out;
		*kind = (struct kind){ .hash = hash, .since = now };
	}
	told = kind->count < LOG_ALIKE;
	kind->count += told;
	kind->left_out += !told;
	pthread_mutex_unlock(&alike.mutex);
	return told;
}

static void write_unless_alike(enum log_level level, uint64_t hash, const struct log_field *fields,
			       size_t count, struct str text)
{
	struct buf longer = BUF_INIT;
	unsigned left_out;

	if (!is_to_be_told(level, hash, &left_out))
		return;
	buf_addstr(&longer, text);
	if (left_out > 0)
		buf_addf(&longer, " (%u more like this were left out)", left_out);
	write_line(level, fields, count, buf_str(&longer));
	buf_clear(&longer);
}

void log_fields(enum log_level level, const struct log_field *fields, size_t count,
		const char *format, ...)
{
	char text[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	write_unless_alike(level, hash_of(format, count > 0 ? fields[0].value : (struct str)STR_INIT),
			   fields, count, str_of(text));
}

void log_line(enum log_level level, const char *format, ...)
{
	char text[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	write_line(level, NULL, 0, str_of(text));
}

void log_err(enum log_level level, const struct err *err, const char *what)
{
	char text[1024];

	snprintf(text, sizeof text, "%s: %s", what, err->text);
	write_unless_alike(level, hash_of(what, (struct str)STR_INIT), NULL, 0, str_of(text));
}
