/* local - the sub-commands that work on a node of this machine: its configuration, its store */
#include "local.h"

#include <inttypes.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

int local_conf(struct conf *ret, const char *conf_file)
{
	struct err err = ERR_INIT;

	if (conf_load(ret, conf_file ? conf_file : conf_default(), &err) == 0)
		return 0;
	command_fail(&err);
	if (conf_file == NULL && err.kind == ERR_ABSENT)
		command_say("-c FILE names the configuration of the node that is meant");
	return EX_CONFIG;
}

/* Whose the store is: of a fresh one, whose directory it is. */
static int check_owner(const char *store, struct err *err)
{
	struct buf identity = BUF_INIT;
	const struct passwd *owner;
	struct stat st;
	bool there;

	buf_addf(&identity, "%s/node.ini", store);
	there = stat(identity.data, &st) == 0 || stat(store, &st) == 0;
	buf_clear(&identity);
	if (geteuid() != 0 || !there || st.st_uid == 0)
		return 0;
	owner = getpwuid(st.st_uid);
	if (owner == NULL)
		return err_set(err, ERR_DENIED, "open %s: it belongs to user %u: say sudo -u '#%u' covey ...",
			       store, st.st_uid, st.st_uid);
	return err_set(err, ERR_DENIED, "open %s: it belongs to %s: say sudo -u %s covey ...", store,
		       owner->pw_name, owner->pw_name);
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

	if (check_owner(conf->node.store, &err) < 0 || store_open(ret, &options, &err) < 0)
		return command_fail(&err);
	return 0;
}

void local_say_id(const struct conf *conf, const char *conf_file, uint64_t node)
{
	if (conf->node.id != 0)
		fprintf(stderr, "covey: now say so in %s, or it does not start:  id: %016" PRIx64
			"  # node.id\n", conf_file ? conf_file : conf_default(), node);
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
