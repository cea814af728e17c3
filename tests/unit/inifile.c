/* inifile: what is written comes back, what would not is refused, saving is atomic */
#include "inifile.h"

#include "unit.h"

#include <sys/stat.h>
#include <unistd.h>

struct seen {
	struct buf text;	/* "section/key=value|" for each */
	const char *refuse;	/* key at which collect() fails */
};

static int collect(void *data, struct str section, struct str key, struct str value,
		   struct err *err)
{
	struct seen *seen = data;

	if (seen->refuse != NULL && str_eq(key, str_of(seen->refuse)))
		return err_set(err, ERR_INVALID, "no such key");
	buf_addf(&seen->text, "%.*s/%.*s=%.*s|", STR_ARG(section), STR_ARG(key), STR_ARG(value));
	return 0;
}

static void check_text(struct str text, const char *want)
{
	struct seen seen = { .text = BUF_INIT };
	struct err err = ERR_INIT;

	CHECK(inifile_read_text(text, "x.ini", collect, &seen, &err) == 0);
	CHECK(str_eq(buf_str(&seen.text), str_of(want)));
	if (!str_eq(buf_str(&seen.text), str_of(want)))
		fprintf(stderr, "  got %s (%s)\n", seen.text.data ? seen.text.data : "", err.text);
	buf_clear(&seen.text);
}

static void check_refused(struct str text, const char *where)
{
	struct seen seen = { .text = BUF_INIT, .refuse = "bad" };
	struct err err = ERR_INIT;

	CHECK(inifile_read_text(text, "x.ini", collect, &seen, &err) == -1);
	CHECK(strstr(err.text, where) == err.text);
	if (strstr(err.text, where) != err.text)
		fprintf(stderr, "  got %s\n", err.text);
	buf_clear(&seen.text);
}

static void reading(void)
{
	struct buf line = BUF_INIT;

	check_text(STR(""), "");
	check_text(STR("# note\n[self]\nid = 7f\nname=a b\n\n[peer x]\nid: 1\n"),
		   "self/id=7f|self/name=a b|peer x/id=1|");
	check_text(STR("[s]\na = 1\n   b = 2"), "s/a=1|s/b=2|");	/* no continuations */
	check_text(STR("a =\r\n"), "/a=|");
	check_refused(STR("[s]\na = 1\nnothing\n"), "x.ini:3: ");
	check_refused(STR("[s\n"), "x.ini:1: ");
	check_refused(STR("a = 1\nb = \0\n"), "x.ini:2: ");
	check_refused(STR("a = 1\n\nbad = 2\nc = 3\n"), "x.ini:3: no such key");
	check_refused(STR("[1234567890123456789012345678901234567890123456789]\n"), "x.ini:1: ");
	buf_adds(&line, "a = 1\nb = ");
	for (int i = 0; i < INIFILE_LINE; i++)
		buf_addc(&line, 'x');
	check_refused(buf_str(&line), "x.ini:2: ");
	buf_clear(&line);
}

/* The longest line that may be put is read back whole. */
static void round_trip(const char *file)
{
	struct inifile ini = INIFILE_INIT;
	struct seen seen = { .text = BUF_INIT };
	struct buf longest = BUF_INIT, want = BUF_INIT;
	struct err err = ERR_INIT;
	struct stat st;

	while (longest.len < INIFILE_LINE - strlen("long = "))
		buf_addc(&longest, 'y');
	inifile_section(&ini, "self");
	inifile_put(&ini, "name", STR("caf\xc3\xa9 #1 = [x]"));
	inifile_putf(&ini, "id", "%d", 42);
	inifile_section(&ini, "peer");
	inifile_put(&ini, "long", buf_str(&longest));
	inifile_put(&ini, "empty", STR(""));
	CHECK(inifile_save(&ini, file, 0640, &err) == 0);
	CHECK(inifile_save(&ini, file, 0640, &err) == 0);
	CHECK(stat(file, &st) == 0 && (st.st_mode & 07777) == 0640);
	CHECK(inifile_read(file, collect, &seen, &err) == 0);
	buf_addf(&want, "self/name=caf\xc3\xa9 #1 = [x]|self/id=42|peer/long=%s|peer/empty=|",
		 longest.data);
	CHECK(str_eq(buf_str(&seen.text), buf_str(&want)));
	buf_clear(&want);
	buf_clear(&longest);
	buf_clear(&seen.text);
	inifile_clear(&ini);
}

static void check_put_refused(const char *file, const char *section, const char *key,
			      struct str value)
{
	struct inifile ini = INIFILE_INIT;
	struct err err = ERR_INIT;

	inifile_section(&ini, section);
	inifile_put(&ini, key, value);
	CHECK(inifile_save(&ini, file, 0640, &err) == -1);
	CHECK(err.kind == ERR_INVALID);
	inifile_clear(&ini);
}

static void refusals(const char *file, const char *absent)
{
	struct inifile ini = INIFILE_INIT;
	struct seen seen = { .text = BUF_INIT };
	struct err err = ERR_INIT;

	check_put_refused(file, "s", "a", STR("x\ny"));
	check_put_refused(file, "s", "a", STR(" x"));
	check_put_refused(file, "s", "a", STR("x ;y"));
	check_put_refused(file, "s", "a", STR("x\0y"));
	check_put_refused(file, "s", "a=b", STR("x"));
	check_put_refused(file, "s", "", STR("x"));
	check_put_refused(file, "s]", "a", STR("x"));
	inifile_putf(&ini, "k", "%0*d", INIFILE_LINE + 10, 1);
	CHECK(inifile_save(&ini, file, 0640, &err) == -1);
	inifile_clear(&ini);
	/* What stood there still does. */
	CHECK(inifile_read(file, collect, &seen, &err) == 0);
	CHECK(str_starts(buf_str(&seen.text), STR("self/name=")));
	buf_clear(&seen.text);
	CHECK(inifile_read(absent, collect, &seen, &err) == -1 && err.kind == ERR_ABSENT);
	CHECK(inifile_save(&ini, absent, 0640, &err) == -1 && err.kind == ERR_ABSENT);
}

int main(void)
{
	char dir[] = "/var/tmp/covey-unit-inifile.XXXXXX";
	char file[64], absent[80];

	CHECK(mkdtemp(dir) != NULL);
	snprintf(file, sizeof file, "%s/x.ini", dir);
	snprintf(absent, sizeof absent, "%s/no/x.ini", dir);
	reading();
	round_trip(file);
	refusals(file, absent);
	CHECK(unlink(file) == 0);
	CHECK(rmdir(dir) == 0);		/* no temporary file is left */
	return UNIT_RESULT();
}
