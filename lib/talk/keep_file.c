/* keep_file - keep.ini: by which numbers this node prunes */
#include "keep_file.h"

#include "file.h"
#include "inifile.h"

#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_NAME "keep.ini"
#define FILE_MODE 0640

static bool days_are_fewer(uint32_t a, uint32_t b)
{
	return a != 0 && (b == 0 || a < b);
}

static bool is_lower(struct keep_numbers a, struct keep_numbers b)
{
	/* What is not known may have been anything. */
	return b.versions == 0 || a.versions < b.versions || days_are_fewer(a.days, b.days);
}

static bool same(struct keep_numbers a, struct keep_numbers b)
{
	return a.versions == b.versions && a.days == b.days;
}

static void wait_no_more(struct keep_file *k)
{
	*k = (struct keep_file){ .now = k->now };
}

bool keep_told(struct keep_file *k, struct keep_numbers layout)
{
	struct keep_numbers was = k->now;
	bool waits = k->lowered.versions != 0;

	if (!is_lower(layout, k->now)) {
		k->now = layout;
		wait_no_more(k);
		return waits || !same(layout, was);
	}
	if (waits && same(layout, k->lowered))
		return false;
	if (k->now.versions != 0 && layout.versions > k->now.versions)
		k->now.versions = layout.versions;
	if (k->now.versions != 0 && days_are_fewer(k->now.days, layout.days))
		k->now.days = layout.days;
	*k = (struct keep_file){ .now = k->now, .lowered = layout, .left = KEEP_WAIT_S };
	return true;
}

bool keep_passed(struct keep_file *k, uint64_t seconds)
{
	if (k->lowered.versions == 0)
		return false;
	k->left = seconds < k->left ? k->left - (uint32_t)seconds : 0;
	if (k->left > 0)
		return false;
	k->now = k->lowered;
	wait_no_more(k);
	return true;
}

/* the file */

static int each(void *data, struct str section, struct str key, struct str value, struct err *err)
{
	struct keep_file *k = data;
	bool lowered = str_eq(section, STR("lowered"));
	struct keep_numbers *numbers = lowered ? &k->lowered : &k->now;
	int rc = 0;

	if (!lowered && !str_eq(section, STR("keep")))
		return 0;
	if (str_eq(key, STR("versions")))
		rc = str_u32(value, &numbers->versions);
	else if (str_eq(key, STR("days")))
		rc = str_u32(value, &numbers->days);
	else if (str_eq(key, STR("left")))
		rc = str_u32(value, &k->left);
	else if (str_eq(key, STR("goes_versions")))
		rc = str_u64(value, UINT64_MAX, &k->versions);
	else if (str_eq(key, STR("goes_contents")))
		rc = str_u64(value, UINT64_MAX, &k->contents);
	else if (str_eq(key, STR("goes_bytes")))
		rc = str_u64(value, UINT64_MAX, &k->bytes);
	k->counted = k->counted || str_eq(key, STR("goes_versions"));
	return rc == 0 ? 0 : inifile_bad(key, value, err);
}

int keep_file_load(const char *directory, struct keep_file *ret, struct err *err)
{
	struct keep_file k = KEEP_FILE_INIT;
	struct err why = ERR_INIT;

	if (inifile_load(directory, FILE_NAME, each, &k, &why) < 0 && why.kind != ERR_ABSENT)
		return err_pass(err, &why);
	if (k.lowered.versions != 0 && k.left > KEEP_WAIT_S)
		k.left = KEEP_WAIT_S;
	*ret = k;
	return 0;
}

static void put_numbers(struct inifile *ini, struct keep_numbers numbers)
{
	inifile_putf(ini, "versions", "%" PRIu32, numbers.versions);
	inifile_putf(ini, "days", "%" PRIu32, numbers.days);
}

static void put_file(struct inifile *ini, const struct keep_file *k)
{
	inifile_section(ini, "keep");
	put_numbers(ini, k->now);
	if (k->lowered.versions == 0)
		return;
	inifile_section(ini, "lowered");
	put_numbers(ini, k->lowered);
	inifile_putf(ini, "left", "%" PRIu32, k->left);
	if (!k->counted)
		return;
	inifile_putf(ini, "goes_versions", "%" PRIu64, k->versions);
	inifile_putf(ini, "goes_contents", "%" PRIu64, k->contents);
	inifile_putf(ini, "goes_bytes", "%" PRIu64, k->bytes);
}

int keep_file_save(const char *directory, const struct keep_file *k, struct err *err)
{
	struct inifile ini = INIFILE_INIT;

	put_file(&ini, k);
	return inifile_store(&ini, directory, FILE_NAME, err);
}

/* Root is not who reads it: the file stays its owner's. */
static int replace_for_owner(const char *file, const struct keep_file *k, struct err *err)
{
	struct file_access access = { FILE_OWN_USER, FILE_OWN_GROUP, FILE_MODE };
	struct inifile ini = INIFILE_INIT;
	struct stat st;
	int rc;

	if (geteuid() == 0 && lstat(file, &st) == 0) {
		access.owner = st.st_uid;
		access.group = st.st_gid;
	}
	put_file(&ini, k);
	rc = file_replace_as(file, buf_str(&ini.text), &access, err);
	inifile_clear(&ini);
	return rc;
}

int keep_file_restart(const char *directory, struct err *err)
{
	struct buf file = BUF_INIT;
	struct keep_file k;
	int rc = 0;

	buf_addf(&file, "%s/" FILE_NAME, directory);
	if (keep_file_load(directory, &k, NULL) == 0 && k.lowered.versions != 0) {
		k.left = KEEP_WAIT_S;
		k.counted = false;
		rc = replace_for_owner(file.data, &k, err);
	}
	buf_clear(&file);
	return rc;
}
