/* covey adopt - make versions of what people put into tree/ by hand */
#include "ask.h"
#include "local.h"
#include "roles.h"

#include "pct.h"

enum { CONF, QUIET, JSON };

static void tell(void *data, struct str path, const struct record *record)
{
	const struct call *call = data;
	char version[VERSION_TEXT];

	if (call->values[JSON] != NULL) {
		struct buf href = BUF_INIT;
		json_t *line;

		buf_addc(&href, '/');
		pct_encode(&href, path);
		line = json_pack("{s:s, s:s}", "href", href.data, "version",
				 version_format(version, record->version));
		print_json(line);
		json_decref(line);
		buf_clear(&href);
	} else if (call->values[QUIET] == NULL) {
		printf("%s  %.*s\n", version_format(version, record->version), STR_ARG(path));
	}
}

static int adopt(const struct call *call, const struct conf *conf, struct str path)
{
	struct store *store = NULL;
	struct outbox *outbox = NULL;
	struct err err = ERR_INIT;
	struct call told = *call;
	uint64_t count = 0;
	int status = local_open(&store, conf);

	if (status != 0)
		return status;
	if ((conf->group.key_file != NULL && outbox_open(&outbox, store, &err) < 0) ||
	    store_adopt(store, path, outbox, tell, &told, &count, &err) < 0)
		status = command_fail(&err);
	fprintf(stderr, "covey: adopted %llu\n", (unsigned long long)count);
	outbox_close(outbox);
	store_close(store);
	if (conf->group.key_file != NULL && count > 0)
		roles_drain(conf);
	return status;
}

static int run(const struct call *call)
{
	struct conf conf = CONF_INIT;
	struct buf path = BUF_INIT;
	int status = local_path(&path, call->count ? call->operands[0] : "");

	if (status == 0)
		status = local_conf(&conf, call->values[CONF]);
	if (status == 0)
		status = adopt(call, &conf, buf_str(&path));
	conf_clear(&conf);
	buf_clear(&path);
	return status;
}

static const struct command_option options[] = {
	[CONF] = OPTION_CONF,
	[QUIET] = { "quiet", 'q', NULL, "do not print each" },
	[JSON] = OPTION_JSON,
	OPTION_END,
};

const struct command command_adopt = {
	.name = "adopt",
	.operands = "[PATH]",
	.summary = "Make versions of what people put into tree/ by hand",
	.details = "For PATH and all below it, on this machine's store. An existing folder is\n"
		   "imported by copying or moving it into tree/ first. In a group the others get\n"
		   "it behind.",
	.options = options,
	.most = 1,
	.run = run,
};
