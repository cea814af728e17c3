/* nodes - the configurations that `covey up` runs */
#include "nodes.h"

#include "group_key.h"

#include "file.h"
#include "mem.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#define APART 10		/* between the HTTP ports of neighbours */

int nodes_make_directory(const char *path, struct err *err)
{
	char *parent;
	int rc;

	if (mkdir(path, 0750) == 0 || errno == EEXIST)
		return 0;
	if (errno != ENOENT)
		return err_sys(err, "make directory %s", path);
	parent = file_directory(path);
	rc = nodes_make_directory(parent, err);
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

/* Where a node answers discovery: as its configuration says, if it stands, else as it will be made. */
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
		add_seed(to, dir, i + 1, base + APART * i);
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

/* The first node's port, when it was made before. */
static uint64_t port_that_stands(const char *dir)
{
	struct conf conf = CONF_INIT;
	struct buf file = BUF_INIT;
	uint64_t port = NODES_PORT;

	conf_file_of(&file, dir, 1);
	if (conf_load(&conf, file.data, NULL) == 0)
		port = address_port(&conf.listen.http.address);
	conf_clear(&conf);
	buf_clear(&file);
	return port;
}

static int prepare_one(struct nodes *nodes, const char *dir, uint64_t port, bool port_is_asked,
		       struct str seeds, struct err *err)
{
	size_t number = nodes->count + 1;
	struct buf file = BUF_INIT;
	int rc;

	buf_addf(&file, "%s/node%zu", dir, number);
	rc = nodes_make_directory(file.data, err);
	buf_adds(&file, "/covey.yaml");
	if (rc == 0 && access(file.data, F_OK) < 0)
		rc = write_conf(file.data, number, port, seeds, err);
	if (rc == 0)
		rc = add_node(nodes, file.data, err);
	if (rc == 0 && port_is_asked &&
	    address_port(&nodes->list[number - 1].conf.listen.http.address) != port)
		rc = err_set(err, ERR_CONFLICT,
			     "%s: was made before with another port than %llu: leave out --port, or "
			     "edit or remove the file", file.data, (unsigned long long)port);
	buf_clear(&file);
	return rc;
}

int nodes_prepare(struct nodes *nodes, const char *dir, size_t count, uint64_t port,
		  struct err *err)
{
	struct nodes fresh = NODES_INIT;
	struct buf seeds = BUF_INIT;
	uint64_t base = port ? port : port_that_stands(dir);
	int rc;

	if (base + APART * (count - 1) + 2 > UINT16_MAX)
		return err_set(err, ERR_INVALID, "%zu nodes from port %llu on: ports end at %u", count,
			       (unsigned long long)base, UINT16_MAX);
	rc = nodes_make_directory(dir, err);
	if (rc == 0)
		rc = make_key(dir, err);
	add_seeds(&seeds, dir, count, base);
	for (size_t i = 0; rc == 0 && i < count; i++)
		rc = prepare_one(&fresh, dir, base + APART * i, port != 0, buf_str(&seeds), err);
	buf_clear(&seeds);
	if (rc < 0)
		nodes_clear(&fresh);
	else
		*nodes = fresh;
	return rc;
}

int nodes_single(struct nodes *nodes, const char *conf_file, struct err *err)
{
	return add_node(nodes, conf_file, err);
}

void nodes_clear(struct nodes *nodes)
{
	for (size_t i = 0; i < nodes->count; i++) {
		free(nodes->list[i].conf_file);
		conf_clear(&nodes->list[i].conf);
	}
	free(nodes->list);
	*nodes = (struct nodes)NODES_INIT;
}
