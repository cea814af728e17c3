/*
 * conf - what a person wrote in covey.yaml
 *
 * The table below is the whole of the configuration: a key, what it may
 * be, where it goes, what it is when not given.  Defaults pass the same
 * parsers as what is written.  What depends on other keys (addresses, the
 * run directory) is settled after the last line was read.
 */
#include "conf.h"

#include "file.h"
#include "mem.h"
#include "yamlfile.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <sys/un.h>
#include <unistd.h>

#define NAME_BYTES 64
#define SEEDS_MAX 64
#define LONGEST_SOCKET "/discover.sock"	/* in node.run */
#define YEAR_MS (UINT64_C(365) * 86400 * 1000)
#define SHOWN 60		/* bytes of a bad value that an error repeats */

enum type { NAME, ADDRESS, DIRECTORY, LISTEN, SEEDS, MULTICAST, DURATION, BYTES, COUNT, ACCESS };

struct key {
	const char *path;
	enum type type;
	size_t offset;		/* in struct conf */
	const char *otherwise;	/* when not given; NULL: nothing, or settled at the end */
	uint64_t min, max;	/* of a duration (ms), bytes or a count */
};

#define AT(member) offsetof(struct conf, member)

static const struct key keys[] = {
	{ "node.name", NAME, AT(node.name), NULL, 0, 0 },
	{ "node.address", ADDRESS, AT(node.address), "127.0.0.1", 0, 0 },
	{ "node.store", DIRECTORY, AT(node.store), NULL, 0, 0 },
	{ "node.run", DIRECTORY, AT(node.run), NULL, 0, 0 },
	{ "listen.http", LISTEN, AT(listen.http), "4720", 0, 0 },
	{ "listen.discovery", LISTEN, AT(listen.discovery), "4721", 0, 0 },
	{ "listen.versions", LISTEN, AT(listen.versions), "4722", 0, 0 },
	{ "group.key_file", DIRECTORY, AT(group.key_file), NULL, 0, 0 },
	{ "group.seeds", SEEDS, AT(group.seeds), NULL, 0, 0 },
	{ "group.multicast", MULTICAST, AT(group.multicast), NULL, 0, 0 },
	{ "timeouts.check", DURATION, AT(timeouts.check_ms), "250ms", 1, YEAR_MS },
	{ "timeouts.pull", DURATION, AT(timeouts.pull_ms), "1s", 1, YEAR_MS },
	{ "limits.max_body", BYTES, AT(limits.max_body), "0", 0, INT64_MAX },
	{ "limits.min_free", BYTES, AT(limits.min_free), "16M", 0, INT64_MAX },
	{ "limits.header_timeout", DURATION, AT(limits.header_timeout_ms), "10s", 1, YEAR_MS },
	{ "limits.idle_timeout", DURATION, AT(limits.idle_timeout_ms), "60s", 1, YEAR_MS },
	{ "limits.connections", COUNT, AT(limits.connections), "1024", 1, 1000000 },
	{ "limits.idle_exit", DURATION, AT(limits.idle_exit_ms), "60s", 0, YEAR_MS },
	{ "access", ACCESS, AT(access_open), NULL, 0, 0 },
};
#define KEYS (sizeof keys / sizeof keys[0])

static const char *const sections[] = { "node", "listen", "group", "timeouts", "limits" };
#define SECTIONS (sizeof sections / sizeof sections[0])

struct reading {
	struct conf conf;
	const char *file;
	char *base;		/* absolute; what relative paths are taken from */
	char *listen[KEYS];	/* LISTEN as written, until node.address is known; owned */
	unsigned lines[KEYS];	/* where the key stands; 0: not given */
	unsigned section_lines[SECTIONS];
};

typedef int set_value(struct reading *, const struct key *, struct str);

static void *place_of(struct reading *r, const struct key *key)
{
	return (char *)&r->conf + key->offset;
}

static int set_text(struct reading *r, const struct key *key, struct str value)
{
	char **to = place_of(r, key);

	free(*to);
	*to = mem_copy(value.s, value.n);
	return 0;
}

static int set_name(struct reading *r, const struct key *key, struct str value)
{
	if (value.n > NAME_BYTES)
		return -1;
	for (size_t i = 0; i < value.n; i++)
		if (!isalnum((unsigned char)value.s[i]) && !strchr(".-_", value.s[i]))
			return -1;
	return set_text(r, key, value);
}

/* The address alone, with a port put to it. */
static int address_with_port(struct str ip, const char *port, struct address *ret)
{
	struct buf text = BUF_INIT;
	bool v6 = ip.n > 0 && memchr(ip.s, ':', ip.n) != NULL;
	int rc;

	buf_addf(&text, v6 ? "[%.*s]:%s" : "%.*s:%s", STR_ARG(ip), port);
	rc = address_parse(buf_str(&text), ret, NULL);
	buf_clear(&text);
	return rc;
}

static int set_address(struct reading *r, const struct key *key, struct str value)
{
	struct address address;

	if (address_with_port(value, "1", &address) < 0 || address_is_any(&address))
		return -1;
	return set_text(r, key, value);
}

static int set_directory(struct reading *r, const struct key *key, struct str value)
{
	char **to = place_of(r, key);
	struct buf path = BUF_INIT;

	if (value.s[0] != '/') {
		if (str_starts(value, STR("./")))
			value = (struct str){ value.s + 2, value.n - 2 };
		buf_addf(&path, "%s/", strcmp(r->base, "/") == 0 ? "" : r->base);
	}
	buf_addstr(&path, value);
	free(*to);
	*to = buf_take(&path);
	return 0;
}

static bool is_port(struct str text)
{
	uint64_t port;

	return str_u64(text, UINT16_MAX, &port) == 0 && port > 0;
}

static int set_listen(struct reading *r, const struct key *key, struct str value)
{
	struct address address;

	if (!is_port(value) &&
	    (address_parse(value, &address, NULL) < 0 || address_port(&address) == 0))
		return -1;
	r->listen[key - keys] = mem_copy(value.s, value.n);
	return 0;
}

/* "host:port", "[v6]:port"; the host is looked up later, and again. */
static int add_seed(struct reading *r, const struct key *key, struct str value)
{
	const char *colon = memrchr(value.s, ':', value.n);
	struct str host = { value.s, colon ? (size_t)(colon - value.s) : 0 };
	struct address address;

	(void)key;
	if (host.n == 0 || r->conf.group.seed_count == SEEDS_MAX ||
	    !is_port((struct str){ colon + 1, value.n - host.n - 1 }))
		return -1;
	if (host.s[0] == '[' || memchr(host.s, ':', host.n) != NULL) {
		if (address_parse(value, &address, NULL) < 0)
			return -1;
	} else {
		for (size_t i = 0; i < host.n; i++)
			if (!isalnum((unsigned char)host.s[i]) && !strchr(".-_", host.s[i]))
				return -1;
	}
	r->conf.group.seeds = mem_resize(r->conf.group.seeds, r->conf.group.seed_count + 1,
					 sizeof(char *));
	r->conf.group.seeds[r->conf.group.seed_count++] = mem_copy(value.s, value.n);
	return 0;
}

static bool is_multicast(const struct address *address)
{
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;

	if (address->sa.ss_family == AF_INET) {
		memcpy(&v4, &address->sa, sizeof v4);
		return IN_MULTICAST(ntohl(v4.sin_addr.s_addr));
	}
	memcpy(&v6, &address->sa, sizeof v6);
	return address->sa.ss_family == AF_INET6 && IN6_IS_ADDR_MULTICAST(&v6.sin6_addr);
}

static int set_multicast(struct reading *r, const struct key *key, struct str value)
{
	struct address address;

	if (address_parse(value, &address, NULL) < 0 || address_port(&address) == 0 ||
	    !is_multicast(&address))
		return -1;
	return set_text(r, key, value);
}

static int set_number(struct reading *r, const struct key *key, uint64_t number)
{
	uint64_t *to = place_of(r, key);

	if (number < key->min || number > key->max)
		return -1;
	*to = number;
	return 0;
}

static int set_duration(struct reading *r, const struct key *key, struct str value)
{
	uint64_t number;

	return str_duration(value, &number) < 0 ? -1 : set_number(r, key, number);
}

static int set_bytes(struct reading *r, const struct key *key, struct str value)
{
	uint64_t number;

	return str_bytes(value, &number) < 0 ? -1 : set_number(r, key, number);
}

static int set_count(struct reading *r, const struct key *key, struct str value)
{
	uint64_t number;

	return str_u64(value, UINT64_MAX, &number) < 0 ? -1 : set_number(r, key, number);
}

static int set_access(struct reading *r, const struct key *key, struct str value)
{
	bool *to = place_of(r, key);

	if (!str_eq(value, STR("open")))
		return -1;
	*to = true;
	return 0;
}

static const struct {
	const char *what;	/* "is not ..." */
	set_value *set;
} types[] = {
	[NAME] = { "a name of up to 64 letters, digits, '.', '-' and '_'", set_name },
	[ADDRESS] = { "a numeric address that others can reach", set_address },
	[DIRECTORY] = { "a path", set_directory },
	[LISTEN] = { "PORT, ADDRESS:PORT or [ADDRESS]:PORT", set_listen },
	[SEEDS] = { "a list of at most 64 HOST:PORT", add_seed },
	[MULTICAST] = { "a numeric multicast ADDRESS:PORT", set_multicast },
	[DURATION] = { "a duration such as 250ms, 10s or 5min in range", set_duration },
	[BYTES] = { "a number of bytes such as 0, 512K or 10G", set_bytes },
	[COUNT] = { "a number from 1 to 1000000", set_count },
	[ACCESS] = { "\"open\", the only rule there is", set_access },
};

static int wrong(const struct key *key, struct str value, struct err *err)
{
	char shown[SHOWN + 1];
	size_t n = value.n < SHOWN ? value.n : SHOWN;

	for (size_t i = 0; i < n; i++)
		shown[i] = iscntrl((unsigned char)value.s[i]) ? '?' : value.s[i];
	shown[n] = '\0';
	return err_set(err, ERR_INVALID, "%s: \"%s\" is not %s", key->path, shown,
		       types[key->type].what);
}

static int set(struct reading *r, const struct key *key, struct str value, struct err *err)
{
	for (size_t i = 0; i < value.n; i++)
		if (iscntrl((unsigned char)value.s[i]))
			return wrong(key, value, err);
	if (value.n == 0 || types[key->type].set(r, key, value) < 0)
		return wrong(key, value, err);
	return 0;
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

static int on_value(struct reading *r, const struct key *key, const struct yamlfile_item *item,
		    struct err *err)
{
	bool wants_list = key->type == SEEDS;

	if (item->in_list && item->kind == YAMLFILE_SCALAR && !item->null)
		return set(r, key, item->value, err);
	if (item->in_list || item->null ||
	    item->kind != (wants_list ? YAMLFILE_LIST : YAMLFILE_SCALAR))
		return err_set(err, ERR_INVALID, "%s: expected %s", key->path,
			       types[key->type].what);
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

static const struct key *key_named(const char *path)
{
	const struct key *key = keys;

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
	char host[NAME_BYTES + 1] = "";

	if (gethostname(host, sizeof host - 1) < 0 ||
	    set_name(r, key_named("node.name"), str_of(host)) < 0 || host[0] == '\0') {
		free(r->conf.node.name);
		r->conf.node.name = mem_copy("node", 4);
	}
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

static int settle_listen(struct reading *r, const struct key *key, struct err *err)
{
	struct conf_listen *to = place_of(r, key);
	struct str text = str_of(r->listen[key - keys]);
	struct str ip = str_of(r->conf.node.address);

	to->given = key->offset == AT(listen.http) || r->conf.group.key_file != NULL;
	if (is_port(text) ? address_with_port(ip, text.s, &to->address)
			  : address_parse(text, &to->address, NULL))
		return err_set(err, ERR_INVALID, "%s: %s is no address", key->path, text.s);
	if (!to->given)
		return 0;
	return conf_may_listen(&r->conf, key->path, &to->address, err);
}

static int settle_sockets(struct reading *r, struct err *err)
{
	const struct conf *conf = &r->conf;

	for (const struct key *key = keys; key < keys + KEYS; key++)
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
	for (const struct key *key = keys; key < keys + KEYS; key++)
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
	for (size_t i = 0; i < KEYS; i++)
		free(r.listen[i]);
	free(r.base);
	if (rc == 0) {
		conf_clear(conf);
		*conf = r.conf;
	} else {
		conf_clear(&r.conf);
	}
	return rc;
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
	free(conf->group.key_file);
	for (size_t i = 0; i < conf->group.seed_count; i++)
		free(conf->group.seeds[i]);
	free(conf->group.seeds);
	free(conf->group.multicast);
	*conf = (struct conf)CONF_INIT;
}
