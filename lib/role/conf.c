/*
 * conf - what a person wrote in covey.yaml
 *
 * The table below is the whole of the configuration: a key, what it may
 * be, where it goes, what it is when not given.  Defaults pass the same
 * parsers as what is written.  What depends on other keys (addresses, the
 * run directory) is settled after the last line was read.
 */
#include "conf.h"

#include "conf_value.h"

#include "file.h"
#include "mem.h"
#include "yamlfile.h"

#include <errno.h>
#include <sys/un.h>
#include <unistd.h>

#define LONGEST_SOCKET "/discover.sock"	/* in node.run */
#define YEAR_MS (UINT64_C(365) * 86400 * 1000)

#define AT(member) offsetof(struct conf, member)

static const struct conf_key keys[] = {
	{ "node.name", NAME, AT(node.name), NULL, 0, 0 },
	{ "node.address", ADDRESS, AT(node.address), "127.0.0.1", 0, 0 },
	{ "node.store", DIRECTORY, AT(node.store), NULL, 0, 0 },
	{ "node.run", DIRECTORY, AT(node.run), NULL, 0, 0 },
	{ "node.id", ID, AT(node.id), NULL, 0, 0 },
	{ "node.region", REGION, AT(node.region), "", 0, 0 },
	{ "node.weight", COUNT, AT(node.weight), "1", 1, 16 },
	{ "node.home", SWITCH, AT(node.home), "yes", 0, 0 },
	{ "listen.http", LISTEN, AT(listen.http), "4720", 0, 0 },
	{ "listen.discovery", LISTEN, AT(listen.discovery), "4721", 0, 0 },
	{ "listen.versions", LISTEN, AT(listen.versions), "4722", 0, 0 },
	{ "group.key_file", DIRECTORY, AT(group.key_file), NULL, 0, 0 },
	{ "group.seeds", SEEDS, AT(group.seeds), NULL, 0, 0 },
	{ "group.multicast", MULTICAST, AT(group.multicast), NULL, 0, 0 },
	{ "replication.homes", COUNT, AT(replication.homes), "3", 1, 7 },
	{ "replication.copies", COUNT, AT(replication.copies), "2", 1, 7 },
	{ "keep.versions", COUNT, AT(keep.versions), "100", 1, 1000000 },
	{ "keep.days", COUNT, AT(keep.days), "0", 0, 36500 },
	{ "timeouts.check", DURATION, AT(timeouts.check_ms), "250ms", 1, YEAR_MS },
	{ "timeouts.store", DURATION, AT(timeouts.store_ms), "1s", 1, YEAR_MS },
	{ "timeouts.push", DURATION, AT(timeouts.push_ms), "1s", 1, YEAR_MS },
	{ "timeouts.pull", DURATION, AT(timeouts.pull_ms), "1s", 1, YEAR_MS },
	{ "limits.max_body", BYTES, AT(limits.max_body), "0", 0, INT64_MAX },
	{ "limits.min_free", BYTES, AT(limits.min_free), "16M", 0, INT64_MAX },
	{ "limits.header_timeout", DURATION, AT(limits.header_timeout_ms), "10s", 1, YEAR_MS },
	{ "limits.idle_timeout", DURATION, AT(limits.idle_timeout_ms), "60s", 1, YEAR_MS },
	{ "limits.connections", COUNT, AT(limits.connections), "1024", 1, 1000000 },
	{ "limits.idle_exit", DURATION, AT(limits.idle_exit_ms), "60s", 0, YEAR_MS },
	{ "log.level", LEVEL, AT(log.level), "info", 0, 0 },
	{ "access", ACCESS, AT(access_open), NULL, 0, 0 },
};
#define KEYS (sizeof keys / sizeof keys[0])

static const char *const sections[] = {
	"node", "listen", "group", "replication", "keep", "timeouts", "limits", "log",
};
#define SECTIONS (sizeof sections / sizeof sections[0])

struct reading {
	struct conf conf;
	const char *file;
	char *base;		/* absolute; what relative paths are taken from; owned */
	unsigned lines[KEYS];	/* where the key stands; 0: not given */
	unsigned section_lines[SECTIONS];
};

static int set(struct reading *r, const struct conf_key *key, struct str value, struct err *err)
{
	return conf_value_set(&r->conf, r->base, key, value, err);
}

static int only_once(unsigned *line, const struct yamlfile_item *item, struct err *err)
{
	if (*line != 0)
		return err_set(err, ERR_INVALID, "%s: given on line %u already", item->path, *line);
	*line = item->line;
	return 0;
}

static int on_section(const struct yamlfile_item *item, unsigned *line, struct err *err)
{
	if (item->kind != YAMLFILE_MAPPING && !item->null)
		return err_set(err, ERR_INVALID, "%s: expected keys and values", item->path);
	return only_once(line, item, err);
}

static int on_value(struct reading *r, const struct conf_key *key, const struct yamlfile_item *item,
		    struct err *err)
{
	bool wants_list = key->type == SEEDS;

	if (item->in_list && item->kind == YAMLFILE_SCALAR && !item->null)
		return set(r, key, item->value, err);
	if (item->in_list || item->null ||
	    item->kind != (wants_list ? YAMLFILE_LIST : YAMLFILE_SCALAR))
		return conf_value_wrong_kind(key, err);
	if (only_once(&r->lines[key - keys], item, err) < 0)
		return -1;
	return wants_list ? 0 : set(r, key, item->value, err);
}

static int on_item(void *data, const struct yamlfile_item *item, struct err *err)
{
	struct reading *r = data;

	if (item->path[0] == '\0') {
		if (item->kind == YAMLFILE_MAPPING || item->null)
			return 0;
		return err_set(err, ERR_INVALID, "expected keys and values");
	}
	for (size_t i = 0; i < SECTIONS; i++)
		if (strcmp(item->path, sections[i]) == 0)
			return on_section(item, &r->section_lines[i], err);
	for (size_t i = 0; i < KEYS; i++)
		if (strcmp(item->path, keys[i].path) == 0)
			return on_value(r, &keys[i], item, err);
	return err_set(err, ERR_INVALID, "%.80s: no such key", item->path);
}

static const struct conf_key *key_named(const char *path)
{
	const struct conf_key *key = keys;

	while (strcmp(key->path, path) != 0)
		key++;
	return key;
}

/* Where to look for the reason of something wrong with a key: its line, or another's. */
static unsigned line_of(const struct reading *r, const char *path, const char *other)
{
	unsigned line = r->lines[key_named(path) - keys];

	if (line == 0 && other != NULL)
		line = r->lines[key_named(other) - keys];
	return line ? line : 1;
}

static void name_from_host(struct reading *r)
{
	char host[CONF_NAME_BYTES + 1] = "";

	if (gethostname(host, sizeof host - 1) < 0 ||
	    set(r, key_named("node.name"), str_of(host), NULL) < 0)
		r->conf.node.name = mem_copy("node", 4);
}

static int settle_directories(struct reading *r, struct err *err)
{
	struct conf *conf = &r->conf;
	size_t cap = sizeof ((struct sockaddr_un *)NULL)->sun_path;
	struct buf run = BUF_INIT;

	if (conf->node.store == NULL)
		return err_set(err, ERR_INVALID, "%s:1: node.store: must be given", r->file);
	if (conf->node.run == NULL) {
		buf_addf(&run, "%s/run", conf->node.store);
		conf->node.run = buf_take(&run);
	}
	if (strlen(conf->node.run) + sizeof LONGEST_SOCKET > cap)
		return err_set(err, ERR_INVALID,
			       "%s:%u: node.run: the path is too long for sockets, whose names have "
			       "at most %zu bytes: give a shorter one, such as /run/covey",
			       r->file, line_of(r, "node.run", "node.store"), cap - 1);
	return 0;
}

static int settle_listen(struct reading *r, const struct conf_key *key, struct err *err)
{
	struct conf_listen *to = conf_value_place(&r->conf, key);

	to->given = key->offset == AT(listen.http) || r->conf.group.key_file != NULL;
	if (to->address.len == 0)
		conf_value_address(str_of(r->conf.node.address), address_port(&to->address),
				   &to->address);
	if (!to->given)
		return 0;
	return conf_may_listen(&r->conf, key->path, &to->address, err);
}

static int settle_sockets(struct reading *r, struct err *err)
{
	const struct conf *conf = &r->conf;

	for (const struct conf_key *key = keys; key < keys + KEYS; key++)
		if (key->type == LISTEN && settle_listen(r, key, err) < 0)
			return err_context(err, "%s:%u", r->file,
					   line_of(r, key->path, "node.address"));
	if (conf->listen.versions.given &&
	    address_eq(&conf->listen.discovery.address, &conf->listen.versions.address))
		return err_set(err, ERR_INVALID,
			       "%s:%u: listen.versions: the same address as listen.discovery",
			       r->file, line_of(r, "listen.versions", "listen.discovery"));
	return 0;
}

static int settle(struct reading *r, struct err *err)
{
	for (const struct conf_key *key = keys; key < keys + KEYS; key++)
		if (key->otherwise != NULL && r->lines[key - keys] == 0 &&
		    set(r, key, str_of(key->otherwise), err) < 0)
			return -1;
	if (r->conf.node.name == NULL)
		name_from_host(r);
	if (settle_directories(r, err) < 0)
		return -1;
	return settle_sockets(r, err);
}

int conf_may_listen(const struct conf *conf, const char *what, const struct address *address,
		    struct err *err)
{
	char text[ADDRESS_TEXT];

	if (conf->access_open || address_is_loopback(address))
		return 0;
	return err_set(err, ERR_DENIED,
		       "%s: %s can be reached from other machines, where anyone could then read "
		       "and write: if that is meant, say \"access: open\"",
		       what, address_format(text, address));
}

static char *base_of(const char *file)
{
	char *directory = file_directory(file);
	char *base = realpath(directory, NULL);

	if (base == NULL)
		return directory;
	free(directory);
	return base;
}

int conf_parse(struct conf *conf, struct str text, const char *file, struct err *err)
{
	struct reading r = { .conf = CONF_INIT, .file = file, .base = base_of(file) };
	int rc = yamlfile_read(text, file, on_item, &r, err);

	if (rc == 0)
		rc = settle(&r, err);
	free(r.base);
	if (rc == 0) {
		conf_clear(conf);
		*conf = r.conf;
	} else {
		conf_clear(&r.conf);
	}
	return rc;
}

const char *conf_default(void)
{
	if (access(CONF_FILE, F_OK) < 0 && errno == ENOENT && access(CONF_FILE_HERE, F_OK) == 0)
		return CONF_FILE_HERE;
	return CONF_FILE;
}

int conf_load(struct conf *conf, const char *file, struct err *err)
{
	struct buf text = BUF_INIT;
	int rc = file_read(file, YAMLFILE_BYTES, &text, err);

	if (rc == 0)
		rc = conf_parse(conf, buf_str(&text), file, err);
	buf_clear(&text);
	return rc;
}

void conf_clear(struct conf *conf)
{
	free(conf->node.name);
	free(conf->node.address);
	free(conf->node.store);
	free(conf->node.run);
	free(conf->node.region);
	free(conf->group.key_file);
	for (size_t i = 0; i < conf->group.seed_count; i++)
		free(conf->group.seeds[i]);
	free(conf->group.seeds);
	free(conf->group.multicast);
	*conf = (struct conf)CONF_INIT;
}
