/* Any bytes as covey.yaml: read whole, or refused with file and line. */
#include "conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct conf conf = CONF_INIT;
	struct err err = ERR_INIT;

	if (conf_parse(&conf, (struct str){ (const char *)data, n }, "fuzz", &err) == 0) {
		if (conf.node.store == NULL || conf.node.run == NULL || conf.node.name == NULL)
			abort();
	} else if (strncmp(err.text, "fuzz:", 5) != 0) {
		abort();
	}
	conf_clear(&conf);
	return 0;
}
