/*
 * up - covey up: nodes on this machine, run as systemd would
 *
 *	DIR/group.key			one key for all, made once
 *	DIR/node<i>/covey.yaml		made once, then kept as it is
 *	DIR/node<i>/store		its files
 *
 * Each node has all others as seeds, so they found their group as soon as
 * all have met.
 */
#include "local.h"

#include "file.h"
#include "identity.h"
#include "launch.h"
#include "mem.h"
#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#define DIRECTORY "covey-nodes"
#define GRACE_MS 4500		/* from SIGTERM to SIGKILL: what is under way may end */

enum { NODES, DIR, PORT, CONF };

static const struct role {
	const char *program;
	bool at_once;
	bool in_group;		/* not needed by a node without a key */
	const char *sockets[LAUNCH_SOCKETS];	/* their names; of one there may be several */
} roles[] = {
	{ "covey-httpd", false, false, { "http", "https", "http-unix" } },
	{ "covey-versiond", false, true, { "versions", "version" } },
	{ "covey-syncd", false, true, { "sync" } },
	{ "covey-discoverd", true, true, { "discovery", "discover" } },
};
#define ROLES (sizeof roles / sizeof roles[0])

struct node {
	char *conf_file;	/* owned */
	struct conf conf;
};

struct nodes {
	struct node *list;	/* owned */
	size_t count;
};
#define NODES_INIT { .list = NULL, .count = 0 }

#define NODES_MAX 100
#define NODES_PORT 4720		/* of the first; the next ones are 10 apart */
#define NODES_APART 10		/* between the HTTP ports of neighbours */

struct up {
	struct nodes nodes;
	struct store *stores[NODES_MAX];	/* owned: held, so that no other node runs on them */
	struct loop *loop;
	struct launch *launch;
	char *programs[ROLES];	/* owned */
	bool ends_with_terminal;	/* it was started in one */
};

static void tell(const char *line)
{
	fprintf(stderr, "covey up: %s\n", line);
}

static bool runs(const struct role *role, const struct conf *conf)
{
	return !role->in_group || conf->group.key_file != NULL;
}

/* the nodes */

/* The directory and those above it, 0750. */
static int make_directory(const char *path, struct err *err)
{
	char *parent;
	int rc;

	if (mkdir(path, 0750) == 0 || errno == EEXIST)
		return 0;
	if (errno != ENOENT)
		return err_sys(err, "make directory %s", path);
	parent = file_directory(path);
	rc = make_directory(parent, err);
	free(parent);
	if (rc == 0 && mkdir(path, 0750) < 0 && errno != EEXIST)
		return err_sys(err, "make directory %s", path);
	return rc;
}

static int make_key(const char *dir, struct err *err)
{
	struct buf path = BUF_INIT;
	char text[GROUP_KEY_TEXT];
	int rc = 0;

	buf_addf(&path, "%s/group.key", dir);
	if (access(path.data, F_OK) < 0) {
		group_key_new(text);
		rc = file_replace(path.data, str_of(text), 0600, err);
	}
	buf_clear(&path);
	return rc;
}

static void conf_file_of(struct buf *to, const char *dir, size_t number)
{
	buf_addf(to, "%s/node%zu/covey.yaml", dir, number);
}

/* Where a node answers discovery: as its configuration says, or will say when it is made. */
static void add_seed(struct buf *to, const char *dir, size_t number, uint64_t port)
{
	struct conf conf = CONF_INIT;
	struct buf file = BUF_INIT;
	char text[ADDRESS_TEXT];

	conf_file_of(&file, dir, number);
	if (conf_load(&conf, file.data, NULL) < 0)
		buf_addf(to, "'127.0.0.1:%llu'", (unsigned long long)port + 1);
	else
		buf_addf(to, "'%s'", address_format(text, &conf.listen.discovery.address));
	conf_clear(&conf);
	buf_clear(&file);
}

/* "[ 'a:1', 'b:2' ]" */
static void add_seeds(struct buf *to, const char *dir, size_t count, uint64_t base)
{
	for (size_t i = 0; i < count && i < CONF_SEEDS_MAX; i++) {
		buf_adds(to, i == 0 ? "[ " : ", ");
		add_seed(to, dir, i + 1, base + NODES_APART * i);
	}
	buf_adds(to, " ]");
}

static int write_conf(const char *file, size_t number, uint64_t port, struct str seeds,
		      struct err *err)
{
	struct buf text = BUF_INIT;
	int rc;

	buf_addf(&text,
		 "# Written by covey up, and yours from now on: see covey.yaml(5).\n"
		 "node:\n  name: node%zu\n  address: 127.0.0.1\n  store: store\n"
		 "listen:\n  http: %llu\n  discovery: %llu\n  versions: %llu\n"
		 "group:\n  key_file: ../group.key\n  seeds: %.*s\n",
		 number, (unsigned long long)port, (unsigned long long)port + 1,
		 (unsigned long long)port + 2, STR_ARG(seeds));
	rc = file_replace(file, buf_str(&text), 0640, err);
	buf_clear(&text);
	return rc;
}

static int add_node(struct nodes *nodes, const char *conf_file, struct err *err)
{
	struct conf conf = CONF_INIT;

	if (conf_load(&conf, conf_file, err) < 0)
		return -1;
	nodes->list = mem_resize(nodes->list, nodes->count + 1, sizeof *nodes->list);
	nodes->list[nodes->count].conf_file = mem_copy(conf_file, strlen(conf_file));
	nodes->list[nodes->count].conf = conf;
	nodes->count++;
	return 0;
}

/* The first node's port, if its configuration is there. */
static uint64_t existing_port(const char *dir)
{
	struct conf conf = CONF_INIT;
	struct buf file = BUF_INIT;
	uint64_t port = NODES_PORT;

	conf_file_of(&file, dir, 1);
	if (conf_load(&conf, file.data, NULL) == 0)
		port = address_port(&conf.listen.http[0].address);
	conf_clear(&conf);
	buf_clear(&file);
	return port;
}

/* Safe on NODES_INIT. */
static void nodes_clear(struct nodes *nodes)
{
	for (size_t i = 0; i < nodes->count; i++) {
		free(nodes->list[i].conf_file);
		conf_clear(&nodes->list[i].conf);
	}
	free(nodes->list);
	*nodes = (struct nodes)NODES_INIT;
}

static int prepare_one(struct nodes *nodes, const char *dir, uint64_t port, bool port_is_asked,
		       struct str seeds, struct err *err)
{
	size_t number = nodes->count + 1;
	struct buf file = BUF_INIT;
	int rc;

	buf_addf(&file, "%s/node%zu", dir, number);
	rc = make_directory(file.data, err);
	buf_adds(&file, "/covey.yaml");
	if (rc == 0 && access(file.data, F_OK) < 0)
		rc = write_conf(file.data, number, port, seeds, err);
	if (rc == 0)
		rc = add_node(nodes, file.data, err);
	if (rc == 0 && port_is_asked &&
	    address_port(&nodes->list[number - 1].conf.listen.http[0].address) != port)
		rc = err_set(err, ERR_CONFLICT,
			     "%s: was made before with another port than %llu: leave out --port, or "
			     "edit or remove the file", file.data, (unsigned long long)port);
	buf_clear(&file);
	return rc;
}

/* Write the configurations that are not there yet, and load all.  port 0: that of the first one, or NODES_PORT. */
static int nodes_prepare(struct nodes *nodes, const char *dir, size_t count, uint64_t port,
		  struct err *err)
{
	struct nodes fresh = NODES_INIT;
	struct buf seeds = BUF_INIT;
	uint64_t base = port ? port : existing_port(dir);
	int rc;

	if (base + NODES_APART * (count - 1) + 2 > UINT16_MAX)
		return err_set(err, ERR_INVALID, "%zu nodes from port %llu on: ports end at %u", count,
			       (unsigned long long)base, UINT16_MAX);
	rc = make_directory(dir, err);
	if (rc == 0)
		rc = make_key(dir, err);
	add_seeds(&seeds, dir, count, base);
	for (size_t i = 0; rc == 0 && i < count; i++)
		rc = prepare_one(&fresh, dir, base + NODES_APART * i, port != 0, buf_str(&seeds), err);
	buf_clear(&seeds);
	if (rc < 0)
		nodes_clear(&fresh);
	else
		*nodes = fresh;
	return rc;
}

/* sockets */

/* The next one, or -1. */
static int add_socket(struct launch_role *launch, const char *name, int fd)
{
	if (fd < 0)
		return -1;
	launch->names[launch->sockets] = name;
	launch->fds[launch->sockets++] = fd;
	return 0;
}

static int open_tcp(struct launch_role *launch, const char *name, const struct conf_listen *list, struct err *err)
{
	for (size_t i = 0; i < CONF_LISTENS_MAX && list[i].given; i++)
		if (add_socket(launch, name, sock_listen_tcp(&list[i].address, err)) < 0)
			return -1;
	return 0;
}

/* All that the configuration has of that name. */
static int open_named(struct launch_role *launch, const struct conf *conf, const char *name, struct err *err)
{
	struct buf path = BUF_INIT;
	int rc;

	if (strcmp(name, "http") == 0)
		return open_tcp(launch, name, conf->listen.http, err);
	if (strcmp(name, "https") == 0)
		return open_tcp(launch, name, conf->listen.https, err);
	if (strcmp(name, "http-unix") == 0)
		return conf->listen.http_unix == NULL ? 0 :
			add_socket(launch, name, sock_listen_unix_stream(conf->listen.http_unix, err));
	if (strcmp(name, "discovery") == 0)
		return add_socket(launch, name, sock_bind_udp(&conf->listen.discovery.address, err));
	if (strcmp(name, "versions") == 0)
		return add_socket(launch, name, sock_bind_udp(&conf->listen.versions.address, err));
	buf_addf(&path, "%s/%s.sock", conf->node.run, name);
	rc = add_socket(launch, name, sock_listen_unix(path.data, err));
	buf_clear(&path);
	return rc;
}

static void close_sockets(struct launch_role *launch)
{
	while (launch->sockets > 0)
		close(launch->fds[--launch->sockets]);
}

static int open_sockets(struct launch_role *launch, const struct role *role,
			const struct conf *conf, struct err *err)
{
	for (size_t i = 0; i < LAUNCH_SOCKETS && role->sockets[i] != NULL; i++)
		if (open_named(launch, conf, role->sockets[i], err) < 0) {
			close_sockets(launch);
			return err_context(err, "%s", conf->node.name);
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
 * A fresh store is formatted here, so that a fault of the disk is told before anything runs.
 * The store stays locked for this node, also while none of its roles runs.
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

static bool has_terminal(void)
{
	int fd = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* nohup(1) has asked that it goes on without. */
static bool ends_with_terminal(void)
{
	struct sigaction now;

	return sigaction(SIGHUP, NULL, &now) == 0 && now.sa_handler != SIG_IGN && has_terminal();
}

/* Who closes the terminal ends what runs in it, as Ctrl-C does; else SIGHUP is for the roles. */
static bool terminal_is_gone(const struct up *up)
{
	return up->ends_with_terminal && !has_terminal();
}

static void on_signal(int number, void *data)
{
	struct up *up = data;

	if (number == SIGHUP && !terminal_is_gone(up)) {
		launch_reload(up->launch);
		return;
	}
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

static int read_numbers(const struct arguments *args, uint64_t *count, uint64_t *port, struct err *err)
{
	if (args->values[CONF] && (args->values[NODES] || args->values[DIR] || args->values[PORT]))
		return err_set(err, ERR_INVALID, "-c goes without --nodes, --dir and --port");
	if (args->values[NODES] != NULL &&
	    command_number("--nodes", args->values[NODES], 1, NODES_MAX, count, err) < 0)
		return -1;
	if (args->values[PORT] != NULL &&
	    command_number("--port", args->values[PORT], 1, UINT16_MAX, port, err) < 0)
		return -1;
	return 0;
}

static int prepare(struct up *up, const struct arguments *args, uint64_t count, uint64_t port,
		   struct err *err)
{
	char *dir;
	int rc;

	if (args->values[CONF] != NULL)
		return add_node(&up->nodes, args->values[CONF], err);
	dir = without_slash(args->values[DIR] ? args->values[DIR] : DIRECTORY);
	rc = nodes_prepare(&up->nodes, dir, count, port, err);
	free(dir);
	return rc;
}

static int run(const struct arguments *args)
{
	struct up up = { .nodes = NODES_INIT, .ends_with_terminal = ends_with_terminal() };
	struct err err = ERR_INIT;
	uint64_t count = 1, port = 0;
	int status = 0;

	if (read_numbers(args, &count, &port, &err) < 0)
		return command_misused(args->command, "%s", err.text);
	if (prepare(&up, args, count, port, &err) < 0) {
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
	[NODES] = { "nodes", 0, "N", "how many nodes; default 1" },
	[DIR] = { "dir", 0, "DIR", "where their files are; default " DIRECTORY " here" },
	[PORT] = { "port", 0, "PORT", "HTTP of the first node; default 4720; the next ones are 10 apart" },
	[CONF] = { "config", 'c', "FILE", "run one node, as this configuration says" },
	OPTION_END,
};

const struct command command_up = {
	.name = "up",
	.operands = "",
	.summary = "Run nodes on this machine until Ctrl-C",
	.details = "Node i has its covey.yaml and its store in DIR/node<i>/; DIR/group.key is the key of\n"
		   "all nodes. What is there already is kept: the next covey up goes on with it.",
	.options = options,
	.least = 0,
	.most = 0,
	.run = run,
};
