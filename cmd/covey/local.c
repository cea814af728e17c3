/* local - the sub-commands that work on a node of this machine: its configuration, its store */
#include "local.h"

int local_conf(struct conf *ret, const char *conf_file)
{
	struct err err = ERR_INIT;

	if (conf_load(ret, conf_file ? conf_file : CONF_FILE, &err) == 0)
		return 0;
	command_fail(&err);
	return EX_CONFIG;
}

int local_open(struct store **ret, const struct conf *conf)
{
	struct store_options options = {
		.path = conf->node.store,
		.run = conf->node.run,
		.min_free = conf->limits.min_free,
		.node = conf->node.id,
	};
	struct err err = ERR_INIT;

	return store_open(ret, &options, &err) < 0 ? command_fail(&err) : 0;
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

const char *local_url(char to[LOCAL_URL], const struct conf *conf)
{
	struct address address = conf->listen.http.address;
	char text[ADDRESS_TEXT];
	bool v6 = strchr(conf->node.address, ':') != NULL;

	if (address_is_any(&address))
		snprintf(to, LOCAL_URL, v6 ? "http://[%s]:%u" : "http://%s:%u",
			 conf->node.address, address_port(&address));
	else
		snprintf(to, LOCAL_URL, "http://%s", address_format(text, &address));
	return to;
}
