/* conf_value - one value of covey.yaml, judged by its type and put in its place */
#include "conf_value.h"

#include "buf.h"
#include "mem.h"

#include <ctype.h>
#include <netinet/in.h>

#define SHOWN 60		/* bytes of a bad value that an error repeats */

struct setting {
	struct conf *conf;
	const char *base;
	const struct conf_key *key;
};

void *conf_value_place(struct conf *conf, const struct conf_key *key)
{
	return (char *)conf + key->offset;
}

static void *place_of(const struct setting *s)
{
	return conf_value_place(s->conf, s->key);
}

static int set_text(const struct setting *s, struct str value)
{
	char **to = place_of(s);

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
	return is_word(value, CONF_NAME_BYTES) ? set_text(s, value) : -1;
}

static int set_id(const struct setting *s, struct str value)
{
	uint64_t *to = place_of(s), id;

	if (value.n != 16 || str_hex64(value, &id) < 0 || id == 0)
		return -1;
	*to = id;
	return 0;
}

static int set_region(const struct setting *s, struct str value)
{
	return is_word(value, CONF_REGION_BYTES) ? set_text(s, value) : -1;
}

int conf_value_address(struct str ip, unsigned port, struct address *ret)
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

	if (conf_value_address(value, 1, &address) < 0 || address_is_any(&address))
		return -1;
	return set_text(s, value);
}

static int set_directory(const struct setting *s, struct str value)
{
	char **to = place_of(s);
	struct buf path = BUF_INIT;

	if (value.s[0] != '/') {
		if (str_starts(value, STR("./")))
			value = (struct str){ value.s + 2, value.n - 2 };
		buf_addf(&path, "%s/", strcmp(s->base, "/") == 0 ? "" : s->base);
	}
	buf_addstr(&path, value);
	free(*to);
	*to = buf_take(&path);
	return 0;
}

static int set_listen(const struct setting *s, struct str value)
{
	struct conf_listen *to = place_of(s);
	struct address address;
	uint64_t port;

	if (str_u64(value, UINT16_MAX, &port) == 0) {
		conf_value_address(STR("0.0.0.0"), (unsigned)port, &address);
		address.len = 0;	/* its host is to come */
	} else if (address_parse(value, &address, NULL) < 0) {
		return -1;
	}
	if (address_port(&address) == 0)
		return -1;
	to->address = address;
	return 0;
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

static int add_seed(const struct setting *s, struct str value)
{
	char ***seeds = place_of(s);
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
	uint64_t *to = place_of(s);

	if (number < s->key->min || number > s->key->max)
		return -1;
	*to = number;
	return 0;
}

static int set_duration(const struct setting *s, struct str value)
{
	uint64_t number;

	return str_duration(value, &number) < 0 ? -1 : set_number(s, number);
}

static int set_bytes(const struct setting *s, struct str value)
{
	uint64_t number;

	return str_bytes(value, &number) < 0 ? -1 : set_number(s, number);
}

static int set_count(const struct setting *s, struct str value)
{
	uint64_t number;

	return str_u64(value, UINT64_MAX, &number) < 0 ? -1 : set_number(s, number);
}

static int set_switch(const struct setting *s, struct str value)
{
	bool *to = place_of(s);
	bool on = str_eq(value, STR("yes")) || str_eq(value, STR("true"));

	if (!on && !str_eq(value, STR("no")) && !str_eq(value, STR("false")))
		return -1;
	*to = on;
	return 0;
}

static int set_access(const struct setting *s, struct str value)
{
	bool *to = place_of(s);

	if (!str_eq(value, STR("open")))
		return -1;
	*to = true;
	return 0;
}

static int set_level(const struct setting *s, struct str value)
{
	return log_level_parse(value, place_of(s));
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
	[SEEDS] = { "a list of at most 64 HOST:PORT or http://HOST:PORT", add_seed },
	[MULTICAST] = { "a numeric multicast ADDRESS:PORT", set_multicast },
	[DURATION] = { "a duration such as 250ms, 10s or 5min in range", set_duration },
	[BYTES] = { "a number of bytes such as 0, 512K or 10G", set_bytes },
	[COUNT] = { "a number from", set_count },	/* and its range */
	[SWITCH] = { "yes or no", set_switch },
	[ACCESS] = { "\"open\", the only rule there is", set_access },
	[LEVEL] = { "error, warning or info", set_level },
};

static void add_expected(struct buf *to, const struct conf_key *key)
{
	buf_adds(to, types[key->type].what);
	if (key->type == COUNT)
		buf_addf(to, " %llu to %llu", (unsigned long long)key->min,
			 (unsigned long long)key->max);
}

static int wrong(const struct conf_key *key, struct str value, struct err *err)
{
	struct buf expected = BUF_INIT;
	char shown[SHOWN + 1];
	size_t n = value.n < SHOWN ? value.n : SHOWN;

	for (size_t i = 0; i < n; i++)
		shown[i] = iscntrl((unsigned char)value.s[i]) ? '?' : value.s[i];
	shown[n] = '\0';
	add_expected(&expected, key);
	err_set(err, ERR_INVALID, "%s: \"%s\" is not %s", key->path, shown, expected.data);
	buf_clear(&expected);
	return -1;
}

int conf_value_set(struct conf *conf, const char *base, const struct conf_key *key,
		   struct str value, struct err *err)
{
	const struct setting setting = { conf, base, key };

	for (size_t i = 0; i < value.n; i++)
		if (iscntrl((unsigned char)value.s[i]))
			return wrong(key, value, err);
	if ((value.n == 0 && key->type != REGION) || types[key->type].set(&setting, value) < 0)
		return wrong(key, value, err);
	return 0;
}

int conf_value_wrong_kind(const struct conf_key *key, struct err *err)
{
	struct buf expected = BUF_INIT;

	add_expected(&expected, key);
	err_set(err, ERR_INVALID, "%s: expected %s", key->path, expected.data);
	buf_clear(&expected);
	return -1;
}
