/* keep_file - numbers that were lowered wait an hour, whatever else is told meanwhile */
#include "keep_file.h"

#include "unit.h"

#include "file.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char directory[] = "/tmp/covey-unit-keep.XXXXXX";
static char name[sizeof directory + 16];

static bool is(struct keep_numbers numbers, uint32_t versions, uint32_t days)
{
	return numbers.versions == versions && numbers.days == days;
}

static bool told(struct keep_file *k, uint32_t versions, uint32_t days)
{
	return keep_told(k, (struct keep_numbers){ versions, days });
}

/* What is on disk is what there was. */
static void back(const struct keep_file *out)
{
	struct keep_file in = { .left = 9 };

	CHECK(keep_file_save(directory, out, NULL) == 0);
	CHECK(keep_file_load(directory, &in, NULL) == 0);
	CHECK(is(in.now, out->now.versions, out->now.days));
	CHECK(is(in.lowered, out->lowered.versions, out->lowered.days));
	CHECK(in.left == out->left && in.counted == out->counted && in.versions == out->versions &&
	      in.contents == out->contents && in.bytes == out->bytes);
}

static void raised(void)
{
	struct keep_file k = { .now = { 100, 30 } };

	CHECK(!told(&k, 100, 30));
	CHECK(told(&k, 101, 30) && is(k.now, 101, 30) && is(k.lowered, 0, 0));
	CHECK(told(&k, 101, 31) && is(k.now, 101, 31) && is(k.lowered, 0, 0));
	CHECK(told(&k, 101, 0) && is(k.now, 101, 0) && is(k.lowered, 0, 0));
	back(&k);
}

static void lowered(void)
{
	struct keep_file k = { .now = { 300, 0 } };

	CHECK(told(&k, 100, 0) && is(k.now, 300, 0) && is(k.lowered, 100, 0) && k.left == KEEP_WAIT_S);
	CHECK(!keep_passed(&k, KEEP_WAIT_S - 1) && k.left == 1 && is(k.now, 300, 0));
	CHECK(!told(&k, 100, 0) && k.left == 1);
	k.counted = true;
	k.versions = 200;
	k.contents = UINT64_MAX;
	k.bytes = 3;
	back(&k);
	/* Others that are lower, too, have an hour of their own. */
	CHECK(told(&k, 50, 0) && is(k.now, 300, 0) && is(k.lowered, 50, 0) && k.left == KEEP_WAIT_S);
	CHECK(!k.counted && k.versions == 0);
	CHECK(!keep_passed(&k, 10) && told(&k, 200, 7) && is(k.now, 300, 0) && k.left == KEEP_WAIT_S);
	CHECK(keep_passed(&k, KEEP_WAIT_S + 7) && is(k.now, 200, 7) && is(k.lowered, 0, 0));
	CHECK(!keep_passed(&k, KEEP_WAIT_S) && is(k.now, 200, 7));
	back(&k);
}

static void set_back(void)
{
	struct keep_file k = { .now = { 300, 30 } };

	CHECK(told(&k, 100, 30) && told(&k, 300, 30) && is(k.now, 300, 30) && is(k.lowered, 0, 0));
	CHECK(told(&k, 300, 29) && is(k.lowered, 300, 29) && is(k.now, 300, 30));
	CHECK(told(&k, 400, 0) && is(k.now, 400, 0) && is(k.lowered, 0, 0) && k.left == 0);
	/* One of the two is raised: that one counts. */
	CHECK(told(&k, 500, 9) && is(k.now, 500, 0) && is(k.lowered, 500, 9));
}

/* What is not known may have been more. */
static void unknown(void)
{
	struct keep_file k = KEEP_FILE_INIT;

	CHECK(keep_file_load(directory, &k, NULL) == 0 && is(k.now, 0, 0) && is(k.lowered, 0, 0));
	CHECK(told(&k, 1000000, 0) && is(k.now, 0, 0) && is(k.lowered, 1000000, 0));
	back(&k);
	CHECK(told(&k, 100, 0) && is(k.now, 0, 0) && is(k.lowered, 100, 0));
	CHECK(keep_passed(&k, KEEP_WAIT_S) && is(k.now, 100, 0));
}

static void refused(const char *text)
{
	struct keep_file k = { .left = 7 };
	struct err err = ERR_INIT;

	CHECK(file_replace(name, str_of(text), 0600, NULL) == 0);
	CHECK(keep_file_load(directory, &k, &err) < 0 && k.left == 7 && err.kind == ERR_CORRUPT);
}

/* A recovered node waits a whole hour; the numbers stay. */
static void restarted(void)
{
	struct keep_file k = { .now = { 300, 7 }, .lowered = { 100, 0 }, .left = 120,
			       .counted = true, .versions = 5 };

	CHECK(keep_file_save(directory, &k, NULL) == 0);
	CHECK(keep_file_restart(directory, NULL) == 0);
	CHECK(keep_file_load(directory, &k, NULL) == 0 && is(k.now, 300, 7) && is(k.lowered, 100, 0));
	CHECK(k.left == KEEP_WAIT_S && !k.counted && k.versions == 0);
	k = (struct keep_file){ .now = { 300, 7 } };
	CHECK(keep_file_save(directory, &k, NULL) == 0);
	CHECK(keep_file_restart(directory, NULL) == 0);
	CHECK(keep_file_load(directory, &k, NULL) == 0 && is(k.now, 300, 7) && k.lowered.versions == 0);
	CHECK(unlink(name) == 0 && keep_file_restart(directory, NULL) == 0 && access(name, F_OK) < 0);
}

int main(void)
{
	if (mkdtemp(directory) == NULL)
		return 1;
	snprintf(name, sizeof name, "%s/keep.ini", directory);
	unknown();
	raised();
	lowered();
	set_back();
	restarted();
	refused("[keep]\nversions = 4294967296\n");
	refused("[lowered]\nleft = -1\n");
	refused("[keep]\ndays = x\n");
	unlink(name);
	rmdir(directory);
	return UNIT_RESULT();
}
