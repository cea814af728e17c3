/* Unit test of log: lines on stderr, whole, under the program's name; and nothing when quiet. */
#include "log.h"

#include "buf.h"
#include "unit.h"

#include <fcntl.h>
#include <stdlib.h>
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
	CHECK(str_starts(text, STR("prog: one 1\nprog: two\nprog: three: open x: no such file\nprog: 0")));
	CHECK(str_ends(text, STR("0\n")) && text.n < 1200);	/* a line too long is cut */
	CHECK(logged(open_quiet).n == 0);
	unlink(name);
	return UNIT_RESULT();
}
