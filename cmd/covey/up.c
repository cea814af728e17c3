/* covey up - run nodes on this machine, as systemd would */
#include "command.h"
#include "local.h"
#include "nodes.h"
#include "programs.h"

#include "buf.h"
#include "identity.h"
#include "launch.h"
#include "mem.h"
#include "store.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#define DIRECTORY "covey-nodes"
#define GRACE_MS 4500		/* from SIGTERM to SIGKILL: what is under way may end */

enum { NODES, DIR, PORT, CONF };

static const struct role {
	const char *program;
	bool at_once;
	bool in_group;		/* not needed by a node without a key */
	const char *sockets[LAUNCH_SOCKETS];
} roles[] = {
	{ "covey-httpd", false, false, { "http" } },
	{ "covey-versiond", false, true, { "versions", "version" } },
	{ "covey-syncd", false, true, { "sync" } },
	{ "covey-discoverd", true, true, { "discovery", "discover" } },
};
#define ROLES (sizeof roles / sizeof roles[0])

struct up {
	struct nodes nodes;
	struct store *stores[NODES_MAX];	/* owned: held, so that no other node runs on them */
	struct loop *loop;
	struct launch *launch;
	char *programs[ROLES];	/* owned */
};

static void tell(const char *line)
{
	fprintf(stderr, "covey up: %s\n", line);
}

static bool runs(const struct role *role, const struct conf *conf)
{
	return !role->in_group || conf->group.key_file != NULL;
}

/* sockets */

static int open_socket(const struct conf *conf, const char *name, struct err *err)
{
	struct buf path = BUF_INIT;
	int fd;

	if (strcmp(name, "http") == 0)
		return sock_listen_tcp(&conf->listen.http.address, err);
	if (strcmp(name, "discovery") == 0)
		return sock_bind_udp(&conf->listen.discovery.address, err);
	if (strcmp(name, "versions") == 0)
		return sock_bind_udp(&conf->listen.versions.address, err);
	buf_addf(&path, "%s/%s.sock", conf->node.run, name);
	fd = sock_listen_unix(path.data, err);
	buf_clear(&path);
	return fd;
}

static void close_sockets(struct launch_role *launch)
{
	while (launch->sockets > 0)
		close(launch->fds[--launch->sockets]);
}

static int open_sockets(struct launch_role *launch, const struct role *role,
			const struct conf *conf, struct err *err)
{
	for (size_t i = 0; i < LAUNCH_SOCKETS && role->sockets[i] != NULL; i++) {
		int fd = open_socket(conf, role->sockets[i], err);

		if (fd < 0) {
			close_sockets(launch);
			return err_context(err, "%s", conf->node.name);
		}
		launch->names[i] = role->sockets[i];
		launch->fds[i] = fd;
		launch->sockets++;
	}
	return 0;
}

/*
 * The roles read the keys themselves, but one that cannot would be started again and
 * again, while clients wait for it.
 */
static int check_keys(const struct conf *conf, struct err *err)
{
	struct seal_keys keys;

	if (identity_keys(conf, &keys, err) < 0)
		return err_context(err, "%s", conf->node.name);
	explicit_bzero(&keys, sizeof keys);
	return 0;
}

/*
 * A fresh store is formatted here, so that what is wrong with the disk is told before anything
 * runs.  It stays this node's while all of its roles have left.
 */
static int prepare_store(struct store **ret, const struct conf *conf, struct err *err)
{
	struct buf set = BUF_INIT;
	struct store_options options = {
		.path = conf->node.store,
		.run = conf->node.run,
		.min_free = conf->limits.min_free,
		.node = conf->node.id,
		.starts_roles = true,
	};
	int rc;

	identity_roles(conf, &set);
	options.roles = set.data;
	rc = store_open(ret, &options, err);
	buf_clear(&set);
	return rc < 0 ? err_context(err, "%s", conf->node.name) : 0;
}

/* All sockets of all nodes come before the first process: a port in use leaves nothing running. */
static int open_all(struct up *up, struct launch_role *to, struct err *err)
{
	for (size_t n = 0; n < up->nodes.count; n++) {
		const struct node *node = &up->nodes.list[n];

		if (check_keys(&node->conf, err) < 0 || prepare_store(&up->stores[n], &node->conf, err) < 0)
			return -1;
		for (size_t r = 0; r < ROLES; r++, to++) {
			if (!runs(&roles[r], &node->conf))
				continue;
			to->program = up->programs[r];
			to->conf_file = node->conf_file;
			to->node = node->conf.node.name;
			to->at_once = roles[r].at_once;
			if (open_sockets(to, &roles[r], &node->conf, err) < 0)
				return -1;
		}
	}
	return 0;
}

static int add_all(struct up *up, struct launch_role *list, size_t count, struct err *err)
{
	for (size_t i = 0; i < count; i++) {
		if (list[i].program == NULL)
			continue;
		if (launch_add(up->launch, &list[i], err) < 0)
			return -1;
		list[i].sockets = 0;	/* the launch's now */
	}
	return 0;
}

static int start_all(struct up *up, struct err *err)
{
	size_t count = up->nodes.count * ROLES;
	struct launch_role *list = mem_new(count, sizeof *list);
	int rc = open_all(up, list, err);

	if (rc == 0)
		rc = add_all(up, list, count, err);
	for (size_t i = 0; i < count; i++)
		close_sockets(&list[i]);
	free(list);
	return rc;
}

/* running */

static void on_signal(int number, void *data)
{
	struct up *up = data;

	(void)number;
	tell("stopping; once more stops at once");
	launch_stop(up->launch, GRACE_MS);
}

/* The listeners are open: from here on every request is answered. */
static void greet(const struct nodes *nodes)
{
	const struct node *last = &nodes->list[nodes->count - 1];
	char url[LOCAL_URL];

	for (size_t i = 0; i < nodes->count; i++)
		printf("%-8s %s  store %s\n", nodes->list[i].conf.node.name,
		       local_url(url, &nodes->list[i].conf), nodes->list[i].conf.node.store);
	printf("\ntry, in another terminal (Ctrl-C here stops everything and keeps the files):\n");
	printf("  echo hello | curl -T - %s/hello.txt\n", local_url(url, &nodes->list->conf));
	printf("  curl -i %s/hello.txt\n", local_url(url, &last->conf));
	printf("  curl '%s/hello.txt?versions'\n", local_url(url, &last->conf));
	printf("  curl '%s/?format=text'\n", local_url(url, &nodes->list->conf));
	fflush(stdout);
}

static int run_nodes(struct up *up, struct err *err)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP, 0 };

	up->loop = loop_new(err);
	if (up->loop == NULL)
		return -1;
	up->launch = launch_new(up->loop, tell);
	if (loop_signals(up->loop, signals, on_signal, up, err) < 0 || start_all(up, err) < 0)
		return -1;
	greet(&up->nodes);
	return loop_run(up->loop, err);
}

static int find_programs(struct up *up, struct err *err)
{
	for (size_t r = 0; r < ROLES; r++)
		for (size_t n = 0; n < up->nodes.count; n++)
			if (up->programs[r] == NULL && runs(&roles[r], &up->nodes.list[n].conf) &&
			    program_find(roles[r].program, &up->programs[r], err) < 0)
				return -1;
	return 0;
}

/* the command */

static char *without_slash(const char *dir)
{
	size_t n = strlen(dir);

	while (n > 1 && dir[n - 1] == '/')
		n--;
	return mem_copy(dir, n);
}

static int read_numbers(const struct call *call, uint64_t *count, uint64_t *port, struct err *err)
{
	if (call->values[CONF] && (call->values[NODES] || call->values[DIR] || call->values[PORT]))
		return err_set(err, ERR_INVALID, "-c goes without --nodes, --dir and --port");
	if (call->values[NODES] != NULL &&
	    command_number("--nodes", call->values[NODES], 1, NODES_MAX, count, err) < 0)
		return -1;
	if (call->values[PORT] != NULL &&
	    command_number("--port", call->values[PORT], 1, UINT16_MAX, port, err) < 0)
		return -1;
	return 0;
}

static int prepare(struct up *up, const struct call *call, uint64_t count, uint64_t port,
		   struct err *err)
{
	char *dir;
	int rc;

	if (call->values[CONF] != NULL)
		return nodes_single(&up->nodes, call->values[CONF], err);
	dir = without_slash(call->values[DIR] ? call->values[DIR] : DIRECTORY);
	rc = nodes_prepare(&up->nodes, dir, count, port, err);
	free(dir);
	return rc;
}

static int run(const struct call *call)
{
	struct up up = { .nodes = NODES_INIT };
	struct err err = ERR_INIT;
	uint64_t count = 1, port = 0;
	int status = 0;

	if (read_numbers(call, &count, &port, &err) < 0)
		return command_misused(call->command, "%s", err.text);
	if (prepare(&up, call, count, port, &err) < 0) {
		command_fail(&err);
		status = EX_CONFIG;
	} else if (find_programs(&up, &err) < 0 || run_nodes(&up, &err) < 0) {
		command_fail(&err);
		status = EX_UNAVAILABLE;
	}
	launch_free(up.launch);
	loop_free(up.loop);
	for (size_t n = 0; n < up.nodes.count; n++)
		store_close(up.stores[n]);
	for (size_t r = 0; r < ROLES; r++)
		free(up.programs[r]);
	nodes_clear(&up.nodes);
	return status;
}

static const struct command_option options[] = {
	[NODES] = { "nodes", 0, "N", "how many; default 1" },
	[DIR] = { "dir", 0, "DIR", "where they live; default " DIRECTORY " here, and kept" },
	[PORT] = { "port", 0, "PORT", "HTTP of the first; default 4720, then 10 apart" },
	[CONF] = { "config", 'c', "FILE", "one node, as this configuration says" },
	OPTION_END,
};

const struct command command_up = {
	.name = "up",
	.operands = "",
	.summary = "Run nodes on this machine until Ctrl-C",
	.details = "Node i is DIR/node<i>/, with covey.yaml and its store; DIR/group.key is the key\n"
		   "of them all. What is there already is kept: the next covey up goes on with it.",
	.options = options,
	.least = 0,
	.most = 0,
	.run = run,
};
