/* layout_file - layout.ini, the layout that this node uses */
#include "layout_file.h"

#include "file.h"

#include <inttypes.h>

/* writing */

static void layout_put_member(struct inifile *ini, const struct layout *layout,
			      const struct layout_member *m)
{
	static const char *const sets[] = { "", "A", "B", "AB" };
	char id[17];

	snprintf(id, sizeof id, "%016" PRIx64, m->id);
	inifile_section(ini, id);
	inifile_put(ini, "sets", str_of(sets[m->sets & (LAYOUT_A | LAYOUT_B)]));
	inifile_put(ini, "council", m->council ? STR("yes") : STR("no"));
	inifile_putf(ini, "weight", "%u", m->weight);
	if (m->region != 0)
		inifile_put(ini, "region", str_of(layout->regions[m->region]));
}

void layout_put_ini(struct inifile *ini, const struct layout *layout)
{
	inifile_section(ini, "layout");
	inifile_putf(ini, "lineage", "%016" PRIx64, layout->lineage);
	inifile_putf(ini, "epoch", "%" PRIu64, layout->epoch);
	if (layout->left_lineage != 0) {
		inifile_putf(ini, "left_lineage", "%016" PRIx64, layout->left_lineage);
		inifile_putf(ini, "left_epoch", "%" PRIu64, layout->left_epoch);
	}
	inifile_putf(ini, "homes", "%u", layout->homes);
	inifile_putf(ini, "copies", "%u", layout->copies);
	inifile_putf(ini, "keep_versions", "%" PRIu32, layout->keep_versions);
	inifile_putf(ini, "keep_days", "%" PRIu32, layout->keep_days);
	for (size_t i = 0; i < layout->count; i++)
		layout_put_member(ini, layout, &layout->members[i]);
}

int layout_save(const char *directory, const struct layout *layout, struct err *err)
{
	struct inifile ini = INIFILE_INIT;

	layout_put_ini(&ini, layout);
	return inifile_store(&ini, directory, "layout.ini", err);
}

/* reading */

static int take_u8(struct str text, uint8_t *ret)
{
	uint64_t n;

	if (str_u64(text, UINT8_MAX, &n) < 0)
		return -1;
	*ret = (uint8_t)n;
	return 0;
}

static int take_head(struct layout *layout, struct str key, struct str value)
{
	if (str_eq(key, STR("lineage")))
		return str_hex64(value, &layout->lineage);
	if (str_eq(key, STR("epoch")))
		return str_u64(value, UINT64_MAX, &layout->epoch);
	if (str_eq(key, STR("left_lineage")))
		return str_hex64(value, &layout->left_lineage);
	if (str_eq(key, STR("left_epoch")))
		return str_u64(value, UINT64_MAX, &layout->left_epoch);
	if (str_eq(key, STR("homes")))
		return take_u8(value, &layout->homes);
	if (str_eq(key, STR("copies")))
		return take_u8(value, &layout->copies);
	if (str_eq(key, STR("keep_versions")))
		return str_u32(value, &layout->keep_versions);
	if (str_eq(key, STR("keep_days")))
		return str_u32(value, &layout->keep_days);
	return 0;
}

static int take_sets(struct str value, uint8_t *ret)
{
	if (str_eq(value, STR("A")))
		*ret = LAYOUT_A;
	else if (str_eq(value, STR("B")))
		*ret = LAYOUT_B;
	else if (str_eq(value, STR("AB")))
		*ret = LAYOUT_A | LAYOUT_B;
	else
		return -1;
	return 0;
}

static int take_region(struct layout *layout, struct layout_member *m, struct str value)
{
	struct member probe;
	uint64_t id = m->id;

	if (member_set_region(&probe, value) < 0 || value.n == 0)
		return -1;
	layout_put(layout, id, m->sets, m->weight, probe.region);
	return 0;
}

static int take_member(struct layout *layout, struct layout_member *m, struct str key,
		       struct str value)
{
	if (str_eq(key, STR("sets")))
		return take_sets(value, &m->sets);
	if (str_eq(key, STR("weight")))
		return take_u8(value, &m->weight);
	if (str_eq(key, STR("region")))
		return take_region(layout, m, value);
	if (str_eq(key, STR("council"))) {
		m->council = str_eq(value, STR("yes"));
		return m->council || str_eq(value, STR("no")) ? 0 : -1;
	}
	return 0;
}

/* Put there when it is not; NULL: no room. */
static struct layout_member *member_of(struct layout *layout, uint64_t id)
{
	if (layout_find(layout, id) == NULL && layout_put(layout, id, 0, 0, "") < 0)
		return NULL;
	for (size_t i = 0; i < layout->count; i++)
		if (layout->members[i].id == id)
			return &layout->members[i];
	return NULL;
}

int layout_take_ini(struct layout *layout, struct str section, struct str key, struct str value,
		    struct err *err)
{
	struct layout_member *m;
	uint64_t id;
	int rc;

	if (str_eq(section, STR("layout"))) {
		rc = take_head(layout, key, value);
	} else {
		if (str_hex64(section, &id) < 0 || id == 0)
			return inifile_bad(STR("node id"), section, err);
		m = member_of(layout, id);
		if (m == NULL)
			return err_set(err, ERR_CORRUPT, "more than %d members", LAYOUT_MEMBERS_MAX);
		rc = take_member(layout, m, key, value);
	}
	return rc == 0 ? 0 : inifile_bad(key, value, err);
}

int layout_judge(const struct layout *layout, const char *file, struct err *err)
{
	struct buf packed = BUF_INIT;
	struct unpack in;
	struct layout same;
	int rc;

	layout_pack(&packed, layout);
	in = unpack_of(buf_str(&packed));
	layout_unpack(&in, &same);
	rc = unpack_end(&in);
	buf_clear(&packed);
	return rc == 0 ? 0 : err_set(err, ERR_CORRUPT, "%s: no layout that a group could have", file);
}

static int layout_key(void *data, struct str section, struct str key, struct str value, struct err *err)
{
	return layout_take_ini(data, section, key, value, err);
}

int layout_parse(struct str text, const char *file, struct layout *ret, struct err *err)
{
	struct layout layout = LAYOUT_NONE;

	if (inifile_read_text(text, file, layout_key, &layout, err) < 0 ||
	    layout_judge(&layout, file, err) < 0)
		return -1;
	*ret = layout;
	return 0;
}

int layout_load(const char *directory, struct layout *ret, struct err *err)
{
	struct buf file = BUF_INIT, text = BUF_INIT;
	bool there;
	int rc;

	buf_addf(&file, "%s/layout.ini", directory);
	rc = file_read_any(file.data, LAYOUT_FILE_BYTES, &text, &there, err);
	if (rc == 0 && there)
		rc = layout_parse(buf_str(&text), file.data, ret, err);
	else if (rc == 0)
		*ret = LAYOUT_NONE;
	buf_clear(&file);
	buf_clear(&text);
	return rc;
}
