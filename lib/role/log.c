/* log - the one place that tells the operator something */
#include "log.h"

#include "buf.h"

#include <inttypes.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

static const char *program = "covey";
static int to_journal, to_stderr = 1;

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
	to_journal = stderr_is_journal();
	to_stderr = !quiet && !to_journal;
}

/* One write, so that lines of several threads and programs do not mix. */
static void write_stderr(struct str text)
{
	struct buf line = BUF_INIT;

	buf_addf(&line, "%s: ", program);
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

static void write_line(enum log_level level, const struct log_field *fields, size_t count,
		       struct str text)
{
	if (to_journal)
		write_journal(level, fields, count, text);
	else if (to_stderr)
		write_stderr(text);
}

void log_fields(enum log_level level, const struct log_field *fields, size_t count,
		const char *format, ...)
{
	char text[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	write_line(level, fields, count, str_of(text));
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
	log_line(level, "%s: %s", what, err->text);
}
