/*
 * Unit test of log: lines on stderr, whole, under the program's name, and the
 * node's where there are several; no floods; what goes to the journal by
 * stderr; and nothing when quiet.
 */
#include "log.h"

#include "buf.h"
#include "unit.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char name[] = "/tmp/covey-log-XXXXXX";

/* What write() below has put on stderr. */
static struct str logged(void (*write_lines)(void))
{
	static char text[4096];
	int saved = dup(STDERR_FILENO), fd = open(name, O_RDWR | O_TRUNC | O_APPEND);
	ssize_t n;

	CHECK(saved >= 0 && fd >= 0 && dup2(fd, STDERR_FILENO) >= 0);
	write_lines();
	n = pread(fd, text, sizeof text, 0);
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(fd);
	CHECK(n >= 0);
	return (struct str){ text, n < 0 ? 0 : (size_t)n };
}

static void lines(void)
{
	struct log_field field = { "COVEY_PATH", STR("a/b") };
	struct err err;

	err_set(&err, ERR_ABSENT, "open x: no such file");
	log_line(LOG_LEVEL_INFO, "one %d", 1);
	log_fields(LOG_LEVEL_WARNING, &field, 1, "two");
	log_err(LOG_LEVEL_ERROR, &err, "three");
	log_line(LOG_LEVEL_INFO, "%02000d", 0);
}

static void open_and_log(void)
{
	log_open("prog", 0);
	lines();
}

/* As from a full disk: every write fails, and one for another reason. */
static void flood(void)
{
	struct log_field full = { "COVEY_STATUS", STR("507") }, other = { "COVEY_STATUS", STR("500") };
	struct err err;

	err_set(&err, ERR_FULL, "write to x: full");
	for (int i = 0; i < 1000; i++) {
		log_fields(LOG_LEVEL_WARNING, &full, 1, "PUT /%d", i);
		log_err(LOG_LEVEL_WARNING, &err, "keep a record");
	}
	log_fields(LOG_LEVEL_WARNING, &other, 1, "PUT /%d", 1000);
	log_err(LOG_LEVEL_WARNING, &err, "another thing");
}

static void open_and_flood(void)
{
	log_open("prog", 0);
	flood();
}

/* As covey up starts it. */
static void open_as_node(void)
{
	setenv(LOG_NODE, "n1", 1);
	log_open("prog", 0);
	unsetenv(LOG_NODE);
	log_line(LOG_LEVEL_WARNING, "one");
}

/* As systemd says that stderr is the journal's. */
static void open_as_journal(void)
{
	char stream[64];
	struct stat st;

	CHECK(fstat(STDERR_FILENO, &st) == 0);
	snprintf(stream, sizeof stream, "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	log_open("prog", 0);
	unsetenv("JOURNAL_STREAM");
	log_line(LOG_LEVEL_ERROR, "the last word");
	log_line(LOG_LEVEL_ERROR, "two\nlines");
	log_line(LOG_LEVEL_INFO, "one");
}

static void only_errors(void)
{
	log_limit(LOG_LEVEL_ERROR);
	lines();
	log_limit(LOG_LEVEL_INFO);
}

static size_t count_lines(struct str text)
{
	size_t count = 0;

	for (size_t i = 0; i < text.n; i++)
		count += text.s[i] == '\n';
	return count;
}

static void open_quiet(void)
{
	log_open("prog", 1);
	lines();
}

int main(void)
{
	struct str text;
	int fd = mkstemp(name);

	CHECK(fd >= 0);
	close(fd);
	text = logged(open_and_log);
	CHECK(str_starts(text, STR("prog: one 1\nprog: warning: two\n"
				   "prog: error: three: open x: no such file\nprog: 0")));
	CHECK(str_ends(text, STR("0\n")) && text.n < 1200);	/* a line too long is cut */
	text = logged(open_and_flood);
	CHECK(count_lines(text) == 2 * LOG_ALIKE + 2);
	CHECK(memmem(text.s, text.n, "PUT /1000\n", 10) != NULL && str_ends(text, STR("another thing: write to x: full\n")));
	text = logged(only_errors);
	CHECK(str_starts(text, STR("prog: error: three")) && count_lines(text) == 1);
	text = logged(open_as_node);
	CHECK(text.n == strlen("2026-11-30T04:20:11Z n1 prog: warning: one\n") && text.s[10] == 'T' &&
	      str_ends(text, STR("Z n1 prog: warning: one\n")));
	CHECK(str_eq(logged(open_as_journal), STR("<3>the last word\n")));
	CHECK(logged(open_quiet).n == 0);
	unlink(name);
	return UNIT_RESULT();
}
