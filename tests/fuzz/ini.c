/* Any bytes as INI: read or refused, and every value put again reads the same. */
#include "inifile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static int each(void *data, struct str section, struct str key, struct str value, struct err *err)
{
	struct inifile *copy = data;

	(void)section;
	if (key.n == 0)
		return err_set(err, ERR_INVALID, "an empty key");
	inifile_put(copy, key.s, value);
	return 0;
}

static int count(void *data, struct str section, struct str key, struct str value, struct err *err)
{
	(void)section, (void)key, (void)value, (void)err;
	++*(size_t *)data;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct str text = { (const char *)data, n };
	struct inifile copy = INIFILE_INIT;
	struct err err = ERR_INIT;
	size_t before = 0, after = 0;

	if (inifile_read_text(text, "fuzz", each, &copy, &err) == 0 && copy.err.kind == ERR_NONE) {
		if (inifile_read_text(text, "fuzz", count, &before, &err) < 0 ||
		    inifile_read_text(buf_str(&copy.text), "copy", count, &after, &err) < 0 ||
		    before != after)
			abort();
	}
	inifile_clear(&copy);
	return 0;
}
