/* local - the sub-commands that work on a node's store itself */
#include "local.h"

#include "conf.h"

int local_open(struct store **ret, const char *conf_file)
{
	struct conf conf = CONF_INIT;
	struct store_options options = { .path = NULL };
	struct err err = ERR_INIT;
	int status = 0;

	if (conf_load(&conf, conf_file ? conf_file : CONF_FILE, &err) < 0) {
		command_fail(&err);
		return EX_CONFIG;
	}
	options.path = conf.node.store;
	options.run = conf.node.run;
	options.min_free = conf.limits.min_free;
	if (store_open(ret, &options, &err) < 0)
		status = command_fail(&err);
	conf_clear(&conf);
	return status;
}

int local_path(struct buf *to, const char *path)
{
	struct str text = str_of(path);
	struct err err = ERR_INIT;

	while (str_starts(text, STR("/")))
		text = (struct str){ text.s + 1, text.n - 1 };
	while (str_ends(text, STR("/")))
		text.n--;
	if (path_check(text, &err) < 0)
		return command_fail(&err);
	buf_addstr(to, text);
	return 0;
}
