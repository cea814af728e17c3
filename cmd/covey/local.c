/* local - a node of this machine: its configuration, its store, its programs */
#include "local.h"

#include "file.h"

#include <limits.h>
#include <sodium.h>
#include <unistd.h>

#define VIEW_TIMEOUT_MS 5000

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

int local_run(const struct arguments *args, const char *conf_file,
	      int (*run)(const struct arguments *, const struct conf *))
{
	struct conf conf = CONF_INIT;
	int status = local_conf(&conf, conf_file);

	if (status == 0)
		status = run(args, &conf);
	conf_clear(&conf);
	return status;
}

const char *local_url(char to[LOCAL_URL], const struct conf *conf)
{
	struct address address = conf->listen.http[0].address;
	char text[ADDRESS_TEXT];
	bool v6 = strchr(conf->node.address, ':') != NULL;

	if (address_is_any(&address))
		snprintf(to, LOCAL_URL, v6 ? "http://[%s]:%u" : "http://%s:%u",
			 conf->node.address, address_port(&address));
	else
		snprintf(to, LOCAL_URL, "http://%s", address_format(text, &address));
	return to;
}

/* its other programs */

/* A socket that is not there: the program has never run here. */
static void say_away(struct err *err)
{
	if (err != NULL && err->kind == ERR_ABSENT)
		err->kind = ERR_AWAY;
}

int local_ask(struct asking *asking, const struct conf *conf, const char *socket, uint8_t type,
	      struct str body, uint64_t timeout_ms, struct err *err)
{
	struct buf path = BUF_INIT;
	int rc;

	buf_addf(&path, "%s/%s", conf->node.run, socket);
	rc = asking_start(asking, path.data, type, body, timeout_ms, err);
	buf_clear(&path);
	if (rc < 0)
		say_away(err);
	return rc;
}

int local_view(const struct conf *conf, struct view_client **ret, struct err *err)
{
	static const struct view_events none = { .changed = NULL };
	struct buf state = BUF_INIT;
	struct view_client *view;

	buf_addf(&state, "%s/state", conf->node.store);
	view = view_client_new(conf->node.run, state.data, &none, NULL);
	buf_clear(&state);
	if (view_client_ask(view, VIEW_TIMEOUT_MS, err) < 0) {
		view_client_free(view);
		say_away(err);
		return err_context(err, "ask covey-discoverd for the layout");
	}
	*ret = view;
	return 0;
}

/* directory/name if it can be run, else NULL. */
static char *look_in(struct str directory, const char *below, const char *name)
{
	struct buf path = BUF_INIT;

	buf_addf(&path, "%.*s%s/%s", STR_ARG(directory), below, name);
	if (directory.n > 0 && access(path.data, X_OK) == 0)
		return buf_take(&path);
	buf_clear(&path);
	return NULL;
}

static char *look_beside(const char *name)
{
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
	char *directory, *found;

	if (n < 0)
		return NULL;
	self[n] = '\0';
	directory = file_directory(self);
	found = look_in(str_of(directory), "", name);
	if (found == NULL)
		found = look_in(str_of(directory), "/../libexec/covey", name);
	free(directory);
	return found;
}

int program_find(const char *name, char **ret, struct err *err)
{
	char *found = look_beside(name);
	struct str rest = str_of(getenv("PATH")), directory;

	while (found == NULL && str_cut(&rest, ':', &directory))
		found = look_in(directory, "", name);
	if (found == NULL)
		return err_set(err, ERR_ABSENT, "find %s: neither beside covey nor in PATH", name);
	*ret = found;
	return 0;
}

void group_key_new(char to[GROUP_KEY_TEXT])
{
	unsigned char bytes[GROUP_KEY_BYTES];

	if (sodium_init() < 0)
		abort();	/* no randomness on this system */
	randombytes_buf(bytes, sizeof bytes);
	str_to_hex(to, bytes, sizeof bytes);
	to[GROUP_KEY_TEXT - 2] = '\n';
	to[GROUP_KEY_TEXT - 1] = '\0';
	sodium_memzero(bytes, sizeof bytes);
}
