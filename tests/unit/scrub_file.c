/* scrub_file - what scrub.ini says comes back, and nothing else is taken for it */
#include "scrub_file.h"

#include "path.h"
#include "unit.h"

#include "file.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char directory[] = "/tmp/covey-unit-scrub.XXXXXX";
static char name[sizeof directory + 16];

static void back(struct str position)
{
	struct scrub_file out = { .last = 1, .began = UINT64_MAX, .bytes = 3, .bad = 4 };
	struct scrub_file in = SCRUB_FILE_INIT;

	buf_addstr(&out.position, position);
	CHECK(scrub_file_save(directory, &out, NULL) == 0);
	CHECK(scrub_file_load(directory, &in, NULL) == 0);
	CHECK(in.last == 1 && in.began == UINT64_MAX && in.bytes == 3 && in.bad == 4);
	CHECK(str_eq(buf_str(&in.position), position));
	scrub_file_clear(&in);
	scrub_file_clear(&out);
}

static enum err_kind refused(const char *text)
{
	struct scrub_file file = { .last = 7 };
	struct err err = ERR_INIT;

	CHECK(file_replace(name, str_of(text), 0600, NULL) == 0);
	CHECK(scrub_file_load(directory, &file, &err) < 0 && file.last == 7);
	return err.kind;
}

int main(void)
{
	struct scrub_file file = SCRUB_FILE_INIT;
	struct err err = ERR_INIT;
	char path[PATH_BYTES];

	CHECK(mkdtemp(directory) != NULL);
	snprintf(name, sizeof name, "%s/scrub.ini", directory);
	CHECK(scrub_file_load(directory, &file, &err) < 0 && err.kind == ERR_ABSENT);
	back(STR(""));
	back(STR("docs/a b\n; =\xff/,c"));
	memset(path, 0xe9, sizeof path);	/* thrice as long when encoded */
	for (size_t i = 200; i < sizeof path; i += 200)
		path[i] = '/';
	back((struct str){ path, sizeof path });
	CHECK(refused("[round]\nlast = soon\n") == ERR_CORRUPT);
	CHECK(refused("[round]\nposition = a/../b\n") == ERR_CORRUPT);
	CHECK(refused("[round]\nposition = a%zz\n") == ERR_CORRUPT);
	CHECK(file_replace(name, STR("[round]\nlater = 1\nlast = 5\n"), 0600, NULL) == 0);
	CHECK(scrub_file_load(directory, &file, NULL) == 0 && file.last == 5 && file.bad == 0);
	scrub_file_clear(&file);
	unlink(name);
	rmdir(directory);
	return UNIT_RESULT();
}
