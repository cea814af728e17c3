/*
 * conf - what a person wrote in covey.yaml
 *
 * The table below is the whole of the configuration: a key, what it may
 * be, where it goes, what it is when not given.  Defaults pass the same
 * parsers as what is written.  What depends on other keys (addresses, the
 * run directory) is completed after the last line was read.
 */
#include "conf.h"

#include "buf.h"
#include "file.h"
#include "mem.h"
#include "path.h"
#include "yamlfile.h"

#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/un.h>
#include <unistd.h>

#define NAME_BYTES 64
#define REGION_BYTES 15
#define HOST_BYTES 253
#define SHOWN_BYTES 60		/* of a bad value that an error repeats */
#define LONGEST_SOCKET "/discover.sock"	/* in node.run */
#define YEAR_MS (UINT64_C(365) * 86400 * 1000)

#define AT(member) offsetof(struct conf, member)

enum type {
	NAME, ID, REGION, ADDRESS, DIRECTORY, LISTEN, LISTENS, FILES, SEEDS, HOSTS, SITES, MULTICAST, DURATION, BYTES,
	COUNT, SWITCH, ACCESS, LEVEL, DELTA, RULES, PATH, WHO, MAY, NETS,
};

struct key {
	const char *path;
	enum type type;
	size_t offset;		/* in struct conf */
	const char *otherwise;	/* when not given; NULL: nothing, or completed at the end */
	uint64_t min, max;	/* of a duration (ms), bytes or a count */
};

static const struct key keys[] = {
	{ "node.name", NAME, AT(node.name), NULL, 0, 0 },
	{ "node.address", ADDRESS, AT(node.address), "127.0.0.1", 0, 0 },
	{ "node.store", DIRECTORY, AT(node.store), NULL, 0, 0 },
	{ "node.run", DIRECTORY, AT(node.run), NULL, 0, 0 },
	{ "node.id", ID, AT(node.id), NULL, 0, 0 },
	{ "node.region", REGION, AT(node.region), "", 0, 0 },
	{ "node.weight", COUNT, AT(node.weight), "1", 1, 16 },
	{ "node.home", SWITCH, AT(node.home), "yes", 0, 0 },
	{ "listen.http", LISTENS, AT(listen.http), "4720", 0, 0 },
	{ "listen.unix", DIRECTORY, AT(listen.http_unix), NULL, 0, 0 },
	{ "listen.https", LISTENS, AT(listen.https), NULL, 0, 0 },
	{ "listen.discovery", LISTEN, AT(listen.discovery), "4721", 0, 0 },
	{ "listen.versions", LISTEN, AT(listen.versions), "4722", 0, 0 },
	{ "group.key_file", DIRECTORY, AT(group.key_file), NULL, 0, 0 },
	{ "group.seeds", SEEDS, AT(group.seeds), NULL, 0, 0 },
	{ "group.multicast", MULTICAST, AT(group.multicast), NULL, 0, 0 },
	{ "group.delta", DELTA, AT(group.delta), "auto", 0, 0 },
	{ "tls.certificate", FILES, AT(tls.certificates), NULL, 0, 0 },
	{ "tls.key", FILES, AT(tls.keys), NULL, 0, 0 },
	{ "tls.client_ca", DIRECTORY, AT(tls.client_ca), NULL, 0, 0 },
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
	{ "limits.handshakes", COUNT, AT(limits.handshakes), "256", 1, 1000000 },
	{ "limits.idle_exit", DURATION, AT(limits.idle_exit_ms), "60s", 0, YEAR_MS },
	{ "limits.min_rate", BYTES, AT(limits.min_rate), "1K", 0, UINT64_C(1) << 30 },
	{ "limits.per_source", COUNT, AT(limits.per_source), "256", 0, 1000000 },
	{ "limits.buffers", BYTES, AT(limits.buffers), "64M", UINT64_C(1) << 20, UINT64_C(1) << 40 },
	{ "limits.prefer_wait", DURATION, AT(limits.prefer_wait_ms), "60s", 0, 3600 * 1000 },
	{ "hosts", HOSTS, AT(hosts), NULL, 0, 0 },
	{ "sites", SITES, AT(sites), NULL, 0, 0 },
	{ "log.level", LEVEL, AT(log.level), "info", 0, 0 },
	{ "access", ACCESS, AT(access_open), NULL, 0, 0 },
	{ "access.users", DIRECTORY, AT(access.users), NULL, 0, 0 },
	{ "access.tokens", DIRECTORY, AT(access.tokens), NULL, 0, 0 },
	{ "access.deny", DIRECTORY, AT(access.deny), NULL, 0, 0 },
	{ "access.rules", RULES, AT(access.rules), NULL, 0, 0 },
	{ "access.rules.path", PATH, AT(access.rules), NULL, 0, 0 },
	{ "access.rules.who", WHO, AT(access.rules), NULL, 0, 0 },
	{ "access.rules.may", MAY, AT(access.rules), NULL, 0, 0 },
	{ "trust_proxy", NETS, AT(trust_proxy), NULL, 0, 0 },
};
#define KEYS (sizeof keys / sizeof keys[0])

static const char *const sections[] = {
	"node", "listen", "group", "tls", "replication", "keep", "timeouts", "limits", "log",
};
#define SECTIONS (sizeof sections / sizeof sections[0])

/* one value, judged by its type and put in its place */

struct setting {
	struct conf *conf;
	const char *base;
	const struct key *key;
};

static void *setting_place(const struct setting *s)
{
	return (char *)s->conf + s->key->offset;
}

static int set_text(const struct setting *s, struct str value)
{
	char **to = setting_place(s);

	free(*to);
	*to = mem_copy(value.s, value.n);
	return 0;
}

static bool is_word(struct str value, size_t most)
{
	for (size_t i = 0; i < value.n; i++)
		if (!isalnum((unsigned char)value.s[i]) && !strchr(".-_", value.s[i]))
			return false;
	return value.n <= most;
}

static int set_name(const struct setting *s, struct str value)
{
	return is_word(value, NAME_BYTES) ? set_text(s, value) : -1;
}

static int set_id(const struct setting *s, struct str value)
{
	uint64_t *to = setting_place(s), id;

	if (value.n != 16 || str_hex64(value, &id) < 0 || id == 0)
		return -1;
	*to = id;
	return 0;
}

static int set_region(const struct setting *s, struct str value)
{
	return is_word(value, REGION_BYTES) ? set_text(s, value) : -1;
}

/* A numeric address without its port, and the port. */
static int parse_address(struct str ip, unsigned port, struct address *ret)
{
	struct buf text = BUF_INIT;
	bool v6 = ip.n > 0 && memchr(ip.s, ':', ip.n) != NULL;
	int rc;

	buf_addf(&text, v6 ? "[%.*s]:%u" : "%.*s:%u", STR_ARG(ip), port);
	rc = address_parse(buf_str(&text), ret, NULL);
	buf_clear(&text);
	return rc;
}

static int set_address(const struct setting *s, struct str value)
{
	struct address address;

	if (parse_address(value, 1, &address) < 0 || address_is_any(&address))
		return -1;
	return set_text(s, value);
}

/* Absolute; the caller's to free. */
static char *absolute_path(const struct setting *s, struct str value)
{
	struct buf path = BUF_INIT;

	if (value.s[0] != '/') {
		if (str_starts(value, STR("./")))
			value = (struct str){ value.s + 2, value.n - 2 };
		buf_addf(&path, "%s/", strcmp(s->base, "/") == 0 ? "" : s->base);
	}
	buf_addstr(&path, value);
	return buf_take(&path);
}

static int set_directory(const struct setting *s, struct str value)
{
	char **to = setting_place(s);

	free(*to);
	*to = absolute_path(s, value);
	return 0;
}

/* One more. */
static int set_files(const struct setting *s, struct str value)
{
	struct conf_list *files = setting_place(s);

	if (files->count == CONF_FILES_MAX)
		return -1;
	files->texts = mem_resize(files->texts, files->count + 1, sizeof *files->texts);
	files->texts[files->count++] = absolute_path(s, value);
	return 0;
}

/* A port alone becomes an address whose len is 0: its host is to come from node.address. */
static int parse_listen(struct str value, struct conf_listen *to)
{
	struct address address;
	uint64_t port;

	if (str_u64(value, UINT16_MAX, &port) == 0) {
		parse_address(STR("0.0.0.0"), (unsigned)port, &address);
		address.len = 0;	/* its host is to come */
	} else if (address_parse(value, &address, NULL) < 0) {
		return -1;
	}
	if (address_port(&address) == 0)
		return -1;
	to->address = address;
	return 0;
}

static int set_listen(const struct setting *s, struct str value)
{
	return parse_listen(value, setting_place(s));
}

/* One more. */
static int set_listens(const struct setting *s, struct str value)
{
	struct conf_listen *list = setting_place(s);

	for (size_t i = 0; i < CONF_LISTENS_MAX; i++)
		if (!list[i].given) {
			list[i].given = parse_listen(value, &list[i]) == 0;
			return list[i].given ? 0 : -1;
		}
	return -1;
}

/* "host:port", "[v6]:port"; the host is looked up later, and again. */
static bool is_host_and_port(struct str text)
{
	const char *colon = memrchr(text.s, ':', text.n);
	struct str host = { text.s, colon ? (size_t)(colon - text.s) : 0 };
	struct str port = { text.s + host.n + 1, colon ? text.n - host.n - 1 : 0 };
	struct address address;
	uint64_t number;

	if (host.n == 0 || str_u64(port, UINT16_MAX, &number) < 0 || number == 0)
		return false;
	return is_word(host, SIZE_MAX) || address_parse(text, &address, NULL) == 0;
}

static int set_seed(const struct setting *s, struct str value)
{
	char ***seeds = setting_place(s);
	size_t *count = &s->conf->group.seed_count;
	struct str rest = value;

	if (str_starts(rest, STR(CONF_SEED_HTTP))) {
		rest.s += strlen(CONF_SEED_HTTP);
		rest.n -= strlen(CONF_SEED_HTTP);
	}
	if (*count == CONF_SEEDS_MAX || rest.n == 0 || !is_host_and_port(rest))
		return -1;
	*seeds = mem_resize(*seeds, *count + 1, sizeof **seeds);
	(*seeds)[(*count)++] = mem_copy(value.s, value.n);
	return 0;
}

static int list_add(struct conf_list *list, struct str text)
{
	if (list->count == CONF_LIST_MAX)
		return -1;
	list->texts = mem_resize(list->texts, list->count + 1, sizeof *list->texts);
	list->texts[list->count++] = mem_copy(text.s, text.n);
	return 0;
}

static int set_host(const struct setting *s, struct str value)
{
	struct conf_list *list = setting_place(s);

	if (value.n > HOST_BYTES || !is_word(value, HOST_BYTES) || list_add(list, value) < 0)
		return -1;
	for (char *at = list->texts[list->count - 1]; *at != '\0'; at++)
		*at = (char)tolower((unsigned char)*at);
	return 0;
}

/* "/www", or "/" for all there is. */
static int set_site(const struct setting *s, struct str value)
{
	if (value.s[0] != '/')
		return -1;
	value = (struct str){ value.s + 1, value.n - 1 };
	if (value.n > 0 && value.s[value.n - 1] == '/')
		value.n--;
	if (value.n > 0 && path_check(value, NULL) < 0)
		return -1;
	return list_add(setting_place(s), value);
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

static int set_multicast(const struct setting *s, struct str value)
{
	struct address address;

	if (address_parse(value, &address, NULL) < 0 || address_port(&address) == 0 ||
	    !is_multicast(&address))
		return -1;
	return set_text(s, value);
}

static int set_number(const struct setting *s, uint64_t number)
{
	uint64_t *to = setting_place(s);

	if (number < s->key->min || number > s->key->max)
		return -1;
	*to = number;
	return 0;
}

struct unit {
	const char *name;
	uint64_t factor;
};

/* A number followed by one of the units; the last one has a NULL name. */
static int number_with_unit(struct str text, const struct unit *units, uint64_t *ret)
{
	struct str digits = text, name;
	uint64_t value;

	digits.n = 0;
	while (digits.n < text.n && text.s[digits.n] >= '0' && text.s[digits.n] <= '9')
		digits.n++;
	name = str_trim((struct str){ text.s + digits.n, text.n - digits.n });
	if (str_u64(digits, UINT64_MAX, &value) < 0)
		return -1;
	for (; units->name != NULL; units++) {
		if (!str_eq(name, str_of(units->name)))
			continue;
		if (value > UINT64_MAX / units->factor)
			return -1;
		*ret = value * units->factor;
		return 0;
	}
	return -1;
}

static int parse_bytes(struct str text, uint64_t *ret)
{
	static const struct unit units[] = {
		{ "", 1 },
		{ "K", UINT64_C(1) << 10 },
		{ "M", UINT64_C(1) << 20 },
		{ "G", UINT64_C(1) << 30 },
		{ "T", UINT64_C(1) << 40 },
		{ NULL, 0 },
	};

	return number_with_unit(text, units, ret);
}

/* Milliseconds; a bare number is seconds. */
static int parse_duration(struct str text, uint64_t *ret_ms)
{
	static const struct unit units[] = {
		{ "ms", 1 },	      { "", 1000 },	     { "s", 1000 },
		{ "min", 60 * 1000 }, { "h", 3600 * 1000 },  { "d", 86400 * 1000 },
		{ NULL, 0 },
	};

	return number_with_unit(text, units, ret_ms);
}

static int set_duration(const struct setting *s, struct str value)
{
	uint64_t number;

	return parse_duration(value, &number) < 0 ? -1 : set_number(s, number);
}

static int set_bytes(const struct setting *s, struct str value)
{
	uint64_t number;

	return parse_bytes(value, &number) < 0 ? -1 : set_number(s, number);
}

static int set_count(const struct setting *s, struct str value)
{
	uint64_t number;

	return str_u64(value, UINT64_MAX, &number) < 0 ? -1 : set_number(s, number);
}

static int set_switch(const struct setting *s, struct str value)
{
	bool *to = setting_place(s);
	bool on = str_eq(value, STR("yes")) || str_eq(value, STR("true"));

	if (!on && !str_eq(value, STR("no")) && !str_eq(value, STR("false")))
		return -1;
	*to = on;
	return 0;
}

static int set_access(const struct setting *s, struct str value)
{
	bool *to = setting_place(s);

	if (!str_eq(value, STR("open")))
		return -1;
	*to = true;
	return 0;
}

/* The rule that is being read. */
static struct access_rule *setting_rule(const struct setting *s)
{
	struct access_rules *rules = setting_place(s);

	return &rules->list[rules->count - 1];
}

static int set_rule_path(const struct setting *s, struct str value)
{
	return access_rule_set_path(setting_rule(s), value);
}

static int set_rule_who(const struct setting *s, struct str value)
{
	return access_rule_add_who(setting_rule(s), value);
}

static int set_rule_right(const struct setting *s, struct str value)
{
	return access_rule_add_right(setting_rule(s), value);
}

/* Rules are no single value. */
static int set_rules(const struct setting *s, struct str value)
{
	(void)s;
	(void)value;
	return -1;
}

static int set_net(const struct setting *s, struct str value)
{
	return access_nets_add(setting_place(s), value);
}

static int set_level(const struct setting *s, struct str value)
{
	return log_level_parse(value, setting_place(s));
}

static int set_delta(const struct setting *s, struct str value)
{
	static const char *const names[] = { [CONF_DELTA_AUTO] = "auto", [CONF_DELTA_ON] = "on",
					     [CONF_DELTA_OFF] = "off" };
	enum conf_delta *to = setting_place(s);

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (str_eq(value, str_of(names[i]))) {
			*to = (enum conf_delta)i;
			return 0;
		}
	return -1;
}

static const struct {
	const char *what;	/* it "is not ..." */
	int (*set)(const struct setting *, struct str);
} types[] = {
	[NAME] = { "a name of up to 64 letters, digits, '.', '-' and '_'", set_name },
	[ID] = { "a node's id, 16 hexadecimal digits", set_id },
	[REGION] = { "a name of up to 15 letters, digits, '.', '-' and '_'", set_region },
	[ADDRESS] = { "a numeric address that others can reach", set_address },
	[DIRECTORY] = { "a path", set_directory },
	[LISTEN] = { "PORT, ADDRESS:PORT or [ADDRESS]:PORT", set_listen },
	[LISTENS] = { "PORT, ADDRESS:PORT or [ADDRESS]:PORT, or a list of 1 to 8 of these", set_listens },
	[FILES] = { "a path, or a list of 1 to 64 paths", set_files },
	[SEEDS] = { "a list of at most 64 HOST:PORT or http://HOST:PORT", set_seed },
	[HOSTS] = { "a list of at most 256 host names, without ports", set_host },
	[SITES] = { "a list of at most 256 paths such as /www", set_site },
	[MULTICAST] = { "a numeric multicast ADDRESS:PORT", set_multicast },
	[DURATION] = { "a duration such as 250ms, 10s or 5min in range", set_duration },
	[BYTES] = { "a number of bytes such as 0, 512K or 10G", set_bytes },
	[COUNT] = { "a number from", set_count },	/* and its range */
	[SWITCH] = { "yes or no", set_switch },
	[ACCESS] = { "\"open\", nor rules, with users, tokens and deny", set_access },
	[LEVEL] = { "error, warning or info", set_level },
	[DELTA] = { "auto, on or off", set_delta },
	[RULES] = { "a list of at most 256 rules, each with path, who and may", set_rules },
	[PATH] = { "a path such as / or /home/{user}/", set_rule_path },
	[WHO] = { "anyone, users, user:NAME, token:NAME, cert:NAME, unix:user=NAME, unix:group=NAME, or a list of those",
		  set_rule_who },
	[MAY] = { "read, list, history, append, write, delete, restore, admin, metrics, or a list of those",
		  set_rule_right },
	[NETS] = { "a list of numeric ADDRESS or ADDRESS/BITS", set_net },
};

static void add_expected(struct buf *to, const struct key *key)
{
	buf_adds(to, types[key->type].what);
	if (key->type == COUNT)
		buf_addf(to, " %llu to %llu", (unsigned long long)key->min,
			 (unsigned long long)key->max);
}

static int refuse_value(const struct key *key, struct str value, struct err *err)
{
	struct buf expected = BUF_INIT;
	char shown[SHOWN_BYTES + 1];
	size_t n = value.n < SHOWN_BYTES ? value.n : SHOWN_BYTES;

	for (size_t i = 0; i < n; i++)
		shown[i] = iscntrl((unsigned char)value.s[i]) ? '?' : value.s[i];
	shown[n] = '\0';
	add_expected(&expected, key);
	err_set(err, ERR_INVALID, "%s: \"%s\" is not %s", key->path, shown, expected.data);
	buf_clear(&expected);
	return -1;
}

/* Set the key, or add to its list.  base is what relative paths are taken from. */
static int set_value(struct conf *conf, const char *base, const struct key *key, struct str value,
		     struct err *err)
{
	const struct setting setting = { conf, base, key };

	for (size_t i = 0; i < value.n; i++)
		if (iscntrl((unsigned char)value.s[i]))
			return refuse_value(key, value, err);
	if ((value.n == 0 && key->type != REGION) || types[key->type].set(&setting, value) < 0)
		return refuse_value(key, value, err);
	return 0;
}

/* A list or a section where the key wants a value, or the other way round. */
static int wrong_kind(const struct key *key, struct err *err)
{
	struct buf expected = BUF_INIT;

	add_expected(&expected, key);
	err_set(err, ERR_INVALID, "%s: expected %s", key->path, expected.data);
	buf_clear(&expected);
	return -1;
}

/* the file */

struct reading {
	struct conf conf;
	const char *file;
	char *base;		/* absolute; what relative paths are taken from; owned */
	unsigned lines[KEYS];	/* where the key stands; 0: not given */
	unsigned section_lines[SECTIONS];
};

static const struct key *key_named(const char *path)
{
	const struct key *key = keys;

	while (strcmp(key->path, path) != 0)
		key++;
	return key;
}

static int set_key(struct reading *r, const struct key *key, struct str value, struct err *err)
{
	return set_value(&r->conf, r->base, key, value, err);
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

static bool may_be_list(const struct key *key)
{
	return key->type == SEEDS || key->type == HOSTS || key->type == SITES || key->type == LISTENS ||
	       key->type == FILES || key->type == NETS || key->type == RULES || key->type == WHO || key->type == MAY;
}

static bool may_be_scalar(const struct key *key)
{
	return !may_be_list(key) || key->type == LISTENS || key->type == FILES || key->type == WHO ||
	       key->type == MAY;
}

static unsigned *line_of(struct reading *r, const char *path)
{
	return &r->lines[key_named(path) - keys];
}

/* The last rule, if there is one, has all that a rule needs. */
static int rule_complete(struct reading *r, struct err *err)
{
	const struct access_rules *rules = &r->conf.access.rules;
	static const char *const parts[] = { "access.rules.path", "access.rules.who", "access.rules.may" };

	for (size_t i = 0; rules->count > 0 && i < sizeof parts / sizeof parts[0]; i++) {
		if (*line_of(r, parts[i]) == 0)
			return err_set(err, ERR_INVALID, "%s: must be given: the rule on line %u has none", parts[i],
				       rules->list[rules->count - 1].line);
		*line_of(r, parts[i]) = 0;
	}
	return 0;
}

static int on_rule(struct reading *r, const struct key *key, const struct yamlfile_item *item, struct err *err)
{
	if (item->kind != YAMLFILE_MAPPING || r->conf.access.rules.count == ACCESS_RULES_MAX)
		return wrong_kind(key, err);
	if (rule_complete(r, err) < 0)
		return -1;
	access_rules_add(&r->conf.access.rules, item->line);
	return 0;
}

static int on_value(struct reading *r, const struct key *key, const struct yamlfile_item *item,
		    struct err *err)
{
	bool list = item->kind == YAMLFILE_LIST;

	if (item->in_list && key->type == RULES)
		return on_rule(r, key, item, err);
	if (item->in_list && item->kind == YAMLFILE_SCALAR && !item->null)
		return set_key(r, key, item->value, err);
	if (item->in_list || item->null || item->kind == YAMLFILE_MAPPING ||
	    !(list ? may_be_list(key) : may_be_scalar(key)))
		return wrong_kind(key, err);
	if (only_once(&r->lines[key - keys], item, err) < 0)
		return -1;
	return list ? 0 : set_key(r, key, item->value, err);
}

/* access: a word, or who may do what. */
static int on_access(struct reading *r, const struct key *key, const struct yamlfile_item *item, struct err *err)
{
	if (item->kind != YAMLFILE_MAPPING)
		return on_value(r, key, item, err);
	r->conf.access.given = true;
	return only_once(&r->lines[key - keys], item, err);
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
			return keys[i].type == ACCESS ? on_access(r, &keys[i], item, err)
						      : on_value(r, &keys[i], item, err);
	return err_set(err, ERR_INVALID, "%.80s: no such key", item->path);
}

/* Where to look for the reason of something wrong with a key: its line, or another's. */
static unsigned key_line(const struct reading *r, const char *path, const char *other)
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
	    set_key(r, key_named("node.name"), str_of(host), NULL) < 0)
		r->conf.node.name = mem_copy("node", 4);
}

static int complete_directories(struct reading *r, struct err *err)
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
			       r->file, key_line(r, "node.run", "node.store"), cap - 1);
	return 0;
}

/*
 * Whether this node may listen there: on loopback always, beyond it only
 * with rules, or with `access: open`, because whoever reaches the port may then
 * read and write.
 */
static int may_listen(const struct conf *conf, const char *what, const struct address *address,
		      struct err *err)
{
	char text[ADDRESS_TEXT];

	if (conf_may_be_reached(conf) || address_is_loopback(address))
		return 0;
	return err_set(err, ERR_DENIED,
		       "%s: %s can be reached from other machines, where anyone could then read "
		       "and write: say who may in \"access: {rules: ...}\", or, if that is meant, "
		       "say \"access: open\"",
		       what, address_format(text, address));
}

static int complete_listen(struct reading *r, const struct key *key, struct conf_listen *to,
			   struct err *err)
{
	if (to->address.len == 0)
		parse_address(str_of(r->conf.node.address), address_port(&to->address),
			      &to->address);
	if (!to->given)
		return 0;
	return may_listen(&r->conf, key->path, &to->address, err);
}

static int complete_listens(struct reading *r, const struct key *key, struct conf_listen *list,
			    struct err *err)
{
	char text[ADDRESS_TEXT];

	if (!list->given)
		return r->lines[key - keys] == 0 ? 0 : wrong_kind(key, err);
	for (size_t i = 0; i < CONF_LISTENS_MAX && list[i].given; i++) {
		if (complete_listen(r, key, &list[i], err) < 0)
			return -1;
		for (size_t before = 0; before < i; before++)
			if (address_eq(&list[i].address, &list[before].address))
				return err_set(err, ERR_INVALID, "%s: %s stands there twice", key->path,
					       address_format(text, &list[i].address));
	}
	return 0;
}

/* Of a key that is an address to listen at, or several. */
static int complete_key(struct reading *r, const struct key *key, struct err *err)
{
	struct conf_listen *to = (void *)((char *)&r->conf + key->offset);

	if (key->type == LISTENS)
		return complete_listens(r, key, to, err);
	if (key->type != LISTEN)
		return 0;
	to->given = r->conf.group.key_file != NULL;
	return complete_listen(r, key, to, err);
}

static int complete_unix(const struct reading *r, struct err *err)
{
	const char *path = r->conf.listen.http_unix;
	size_t cap = sizeof ((struct sockaddr_un *)NULL)->sun_path;

	if (path == NULL || strlen(path) < cap)
		return 0;
	return err_set(err, ERR_INVALID, "%s:%u: listen.unix: a socket's path has at most %zu bytes", r->file,
		       key_line(r, "listen.unix", NULL), cap - 1);
}

static int complete_tls(const struct reading *r, struct err *err)
{
	const struct conf *conf = &r->conf;

	for (const struct key *key = keys; key < keys + KEYS; key++)
		if (key->type == FILES && r->lines[key - keys] != 0 &&
		    ((const struct conf_list *)(const void *)((const char *)conf + key->offset))->count == 0)
			return err_context(wrong_kind(key, err) < 0 ? err : NULL, "%s:%u", r->file,
					   r->lines[key - keys]);
	if (conf->tls.certificates.count != conf->tls.keys.count)
		return err_set(err, ERR_INVALID, "%s:%u: tls.key: there must be one for each tls.certificate, in the "
						 "same order", r->file, key_line(r, "tls.key", "tls.certificate"));
	if (conf->listen.https[0].given && conf->tls.certificates.count == 0)
		return err_set(err, ERR_INVALID, "%s:%u: listen.https: needs tls.certificate and tls.key", r->file,
			       key_line(r, "listen.https", NULL));
	return 0;
}

static int complete_sockets(struct reading *r, struct err *err)
{
	const struct conf *conf = &r->conf;

	for (const struct key *key = keys; key < keys + KEYS; key++)
		if (complete_key(r, key, err) < 0)
			return err_context(err, "%s:%u", r->file,
					   key_line(r, key->path, "node.address"));
	if (complete_unix(r, err) < 0 || complete_tls(r, err) < 0)
		return -1;
	if (conf->listen.versions.given &&
	    address_eq(&conf->listen.discovery.address, &conf->listen.versions.address))
		return err_set(err, ERR_INVALID,
			       "%s:%u: listen.versions: the same address as listen.discovery",
			       r->file, key_line(r, "listen.versions", "listen.discovery"));
	return 0;
}

static int complete_access(struct reading *r, struct err *err)
{
	const struct conf *conf = &r->conf;

	if (rule_complete(r, err) < 0)
		return err_context(err, "%s:%u", r->file, conf->access.rules.list[conf->access.rules.count - 1].line);
	if (conf->access.given && conf->access.rules.count == 0)
		return err_set(err, ERR_INVALID,
			       "%s:%u: access.rules: must be given: without a rule nobody may do anything",
			       r->file, *line_of(r, "access"));
	return 0;
}

static int complete(struct reading *r, struct err *err)
{
	for (const struct key *key = keys; key < keys + KEYS; key++)
		if (key->otherwise != NULL && r->lines[key - keys] == 0 &&
		    set_key(r, key, str_of(key->otherwise), err) < 0)
			return -1;
	if (r->conf.node.name == NULL)
		name_from_host(r);
	if (complete_directories(r, err) < 0 || complete_access(r, err) < 0)
		return -1;
	return complete_sockets(r, err);
}

static char *conf_base(const char *file)
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
	struct reading r = { .conf = CONF_INIT, .file = file, .base = conf_base(file) };
	int rc = yamlfile_read(text, file, on_item, &r, err);

	if (rc == 0)
		rc = complete(&r, err);
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

const char *conf_file(const struct conf *conf, size_t i)
{
	const char *const files[] = { conf->group.key_file };

	for (size_t k = 0; k < sizeof files / sizeof files[0]; k++)
		if (files[k] != NULL && i-- == 0)
			return files[k];
	return NULL;
}

static void list_clear(struct conf_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->texts[i]);
	free(list->texts);
}

void conf_clear(struct conf *conf)
{
	free(conf->node.name);
	free(conf->node.address);
	free(conf->node.store);
	free(conf->node.run);
	free(conf->node.region);
	free(conf->listen.http_unix);
	list_clear(&conf->tls.certificates);
	list_clear(&conf->tls.keys);
	free(conf->tls.client_ca);
	free(conf->group.key_file);
	for (size_t i = 0; i < conf->group.seed_count; i++)
		free(conf->group.seeds[i]);
	free(conf->group.seeds);
	free(conf->group.multicast);
	list_clear(&conf->hosts);
	list_clear(&conf->sites);
	free(conf->access.users);
	free(conf->access.tokens);
	free(conf->access.deny);
	access_rules_clear(&conf->access.rules);
	access_nets_clear(&conf->trust_proxy);
	*conf = (struct conf)CONF_INIT;
}
