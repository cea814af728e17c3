/* Any bytes as layout.ini: refused, or a layout that is written and read back the same. */
#include "layout_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct inifile ini = INIFILE_INIT;
	struct layout layout, again;

	if (layout_parse((struct str){ (const char *)data, n }, "layout.ini", &layout, NULL) < 0)
		return 0;
	layout_put_ini(&ini, &layout);
	if (ini.err.kind != ERR_NONE ||
	    layout_parse(buf_str(&ini.text), "layout.ini", &again, NULL) < 0 ||
	    (layout.epoch != 0 && !layout_eq(&layout, &again)))
		abort();
	inifile_clear(&ini);
	return 0;
}
