/* access - who may do what: rules, users, tokens, and the credentials of a request */
#include "access.h"

#include "calendar.h"
#include "digest.h"
#include "mem.h"
#include "path.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sodium.h>

#define PLACE "{user}"
#define NEVER "never"
#define DAY_S UINT64_C(86400)
#define DATE_BYTES 10		/* "2027-01-31" */

static const char *const right_names[ACCESS_RIGHTS] = {
	"read", "list", "history", "append", "write", "delete", "restore", "admin", "metrics",
};

const char *access_right_name(unsigned place)
{
	return right_names[place];
}

/* names */

static bool is_name_byte(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (unsigned char)c >= 0x80 || memchr(".-_@+", c, 5) != NULL;
}

bool access_name_valid(struct str name)
{
	for (size_t i = 0; i < name.n; i++)
		if (!is_name_byte(name.s[i]))
			return false;
	return name.n > 0 && name.n <= ACCESS_NAME_BYTES;
}

bool access_name_is_place(struct str name)
{
	return access_name_valid(name) && name.s[0] != '.';
}

/* Of a certificate: whatever can be printed. */
static bool is_printable(struct str name)
{
	for (size_t i = 0; i < name.n; i++)
		if ((unsigned char)name.s[i] < ' ' || name.s[i] == 0x7f)
			return false;
	return name.n > 0 && name.n <= ACCESS_NAME_BYTES;
}

/* who */

static bool who_takes(struct str *text, const char *prefix)
{
	size_t n = strlen(prefix);

	if (!str_starts(*text, str_of(prefix)))
		return false;
	*text = (struct str){ text->s + n, text->n - n };
	return true;
}

/* -1: it is nobody. */
static int who_parse(struct str text, struct access_who *ret)
{
	static const struct {
		const char *prefix;
		enum access_kind kind;
	} kinds[] = {
		{ "user:", ACCESS_USER },	       { "token:", ACCESS_TOKEN },
		{ "cert:", ACCESS_CERTIFICATE },       { "unix:user=", ACCESS_UNIX_USER },
		{ "unix:group=", ACCESS_UNIX_GROUP },
	};
	struct access_who who = { .kind = ACCESS_ANYONE };

	if (str_eq(text, STR("anyone")) || str_eq(text, STR("users"))) {
		who.kind = str_eq(text, STR("users")) ? ACCESS_USERS : ACCESS_ANYONE;
		*ret = who;
		return 0;
	}
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
		if (!who_takes(&text, kinds[i].prefix))
			continue;
		if (!(kinds[i].kind == ACCESS_CERTIFICATE ? is_printable(text) : access_name_valid(text)))
			return -1;
		who.kind = kinds[i].kind;
		who.name = mem_copy(text.s, text.n);
		*ret = who;
		return 0;
	}
	return -1;
}

static bool is_called(const struct access_who *who, struct str name)
{
	return name.s != NULL && str_eq(name, str_of(who->name));
}

static bool has_group(const struct access_asker *asker, uint32_t gid)
{
	for (size_t i = 0; i < asker->gid_count; i++)
		if (asker->gids[i] == gid)
			return true;
	return false;
}

static bool who_is(const struct access_who *who, const struct access_asker *asker)
{
	switch (who->kind) {
	case ACCESS_ANYONE:
		return true;
	case ACCESS_USERS:
		return asker->user.s != NULL;
	case ACCESS_USER:
		return is_called(who, asker->user);
	case ACCESS_TOKEN:
		return is_called(who, asker->token);
	case ACCESS_CERTIFICATE:
		return is_called(who, asker->certificate);
	case ACCESS_UNIX_USER:
		return asker->local && who->resolved && asker->uid == who->id;
	case ACCESS_UNIX_GROUP:
		return asker->local && who->resolved && has_group(asker, who->id);
	}
	return false;
}

/* making rules */

static void who_list_clear(struct access_who *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(list[i].name);
	free(list);
}

void access_rules_clear(struct access_rules *rules)
{
	for (size_t i = 0; i < rules->count; i++) {
		free(rules->list[i].path);
		who_list_clear(rules->list[i].who, rules->list[i].who_count);
	}
	free(rules->list);
	*rules = (struct access_rules)ACCESS_RULES_INIT;
}

struct access_rule *access_rules_add(struct access_rules *rules, unsigned line)
{
	struct access_rule *rule;

	rules->list = mem_resize(rules->list, rules->count + 1, sizeof *rules->list);
	rule = &rules->list[rules->count++];
	*rule = (struct access_rule){ .line = line };
	return rule;
}

/* A part of a rule's path: a name, or all of it the placeholder. */
static bool is_rule_part(struct str part)
{
	return part.n > 0 && part.n <= PATH_COMPONENT_BYTES && !str_eq(part, STR(".")) &&
	       !str_eq(part, STR("..")) && memchr(part.s, '\0', part.n) == NULL &&
	       (str_eq(part, STR(PLACE)) || memmem(part.s, part.n, PLACE, strlen(PLACE)) == NULL);
}

int access_rule_set_path(struct access_rule *rule, struct str text)
{
	struct str path = text, rest, part;
	size_t depth = 0;
	bool of_user = false;

	if (!str_starts(path, STR("/")) || path.n > PATH_BYTES)
		return -1;
	path = (struct str){ path.s + 1, path.n - 1 };
	if (path.n > 1 && str_ends(path, STR("/")))
		path.n--;
	rest = path;
	while (path.n > 0 && str_cut(&rest, '/', &part)) {
		if (!is_rule_part(part))
			return -1;
		of_user |= str_eq(part, STR(PLACE));
		depth++;
	}
	free(rule->path);
	rule->path = mem_copy(path.s, path.n);
	rule->depth = depth;
	rule->of_user = of_user;
	return 0;
}

int access_rule_add_who(struct access_rule *rule, struct str text)
{
	struct access_who who;

	if (who_parse(text, &who) < 0)
		return -1;
	rule->who = mem_resize(rule->who, rule->who_count + 1, sizeof *rule->who);
	rule->who[rule->who_count++] = who;
	return 0;
}

int access_rule_add_right(struct access_rule *rule, struct str text)
{
	for (unsigned i = 0; i < ACCESS_RIGHTS; i++)
		if (str_eq(text, str_of(right_names[i]))) {
			rule->rights |= 1u << i;
			return 0;
		}
	return -1;
}

void access_rules_resolve(struct access_rules *rules, int (*look_up)(bool group, const char *name, uint32_t *ret))
{
	for (size_t i = 0; i < rules->count; i++)
		for (size_t k = 0; k < rules->list[i].who_count; k++) {
			struct access_who *who = &rules->list[i].who[k];

			if (who->kind == ACCESS_UNIX_USER || who->kind == ACCESS_UNIX_GROUP)
				who->resolved = look_up(who->kind == ACCESS_UNIX_GROUP, who->name, &who->id) == 0;
		}
}

/* judging */

/* How a rule's path lies to another one. */
enum relation { APART, CONTAINS, BELOW };

/* The parts of a path, of which the root has none. */
static struct str parts_of(struct str path)
{
	return path.n > 0 ? path : (struct str)STR_INIT;
}

static bool part_is(struct str part, const struct access_asker *asker, struct str name)
{
	return str_eq(part, STR(PLACE)) ? str_eq(asker->user, name) : str_eq(part, name);
}

/* asker NULL: any name may stand for the placeholder. */
static enum relation rule_relation(const struct access_rule *rule, const struct access_asker *asker, struct str path)
{
	struct str ours = parts_of(str_of(rule->path)), theirs = parts_of(path), part, name;

	if (rule->of_user && asker != NULL && !access_name_is_place(asker->user))
		return APART;
	while (str_cut(&ours, '/', &part)) {
		if (!str_cut(&theirs, '/', &name))
			return BELOW;
		if (asker == NULL ? !str_eq(part, STR(PLACE)) && !str_eq(part, name) : !part_is(part, asker, name))
			return APART;
	}
	return CONTAINS;
}

bool access_rule_contains(const struct access_rule *rule, const struct access_asker *asker, struct str path)
{
	return rule_relation(rule, asker, path) == CONTAINS;
}

bool access_rule_names(const struct access_rule *rule, const struct access_asker *asker)
{
	for (size_t i = 0; i < rule->who_count; i++)
		if (who_is(&rule->who[i], asker))
			return true;
	return false;
}

static bool is_service_page(struct str path)
{
	return str_eq(path, STR(PATH_RESERVED)) || str_starts(path, STR(PATH_RESERVED "/"));
}

/* Of the rights that a rule of this depth gives, those that count there. */
static unsigned rights_that_count(struct str path, size_t depth, unsigned rights)
{
	const unsigned service = ACCESS_ADMIN | ACCESS_METRICS;

	if (!is_service_page(path))
		return rights & ~service;
	return rights & (depth > 0 ? service | ACCESS_READ : service);
}

unsigned access_rights(const struct access_rules *rules, const struct access_asker *asker, struct str path)
{
	unsigned rights = 0;
	size_t depth = 0;

	for (size_t i = 0; i < rules->count; i++) {
		const struct access_rule *rule = &rules->list[i];

		if (rule->depth < depth || !access_rule_contains(rule, asker, path))
			continue;
		if (rule->depth > depth) {
			rights = 0;
			depth = rule->depth;
		}
		if (access_rule_names(rule, asker))
			rights |= rule->rights;
	}
	return rights_that_count(path, depth, rights);
}

bool access_gives_below(const struct access_rules *rules, const struct access_asker *asker, struct str path,
			unsigned rights)
{
	for (size_t i = 0; i < rules->count; i++) {
		const struct access_rule *rule = &rules->list[i];

		if (rule->rights & rights && rule_relation(rule, asker, path) == BELOW &&
		    access_rule_names(rule, asker))
			return true;
	}
	return false;
}

bool access_varies_below(const struct access_rules *rules, struct str path)
{
	for (size_t i = 0; i < rules->count; i++)
		if (rule_relation(&rules->list[i], NULL, path) == BELOW)
			return true;
	return false;
}

bool access_shows(const struct access_rules *rules, const struct access_asker *asker, struct str path)
{
	const unsigned any = (1u << ACCESS_RIGHTS) - 1;

	return access_rights(rules, asker, path) & (ACCESS_READ | ACCESS_LIST) ||
	       access_gives_below(rules, asker, path, any);
}

/* addresses */

void access_nets_clear(struct access_nets *nets)
{
	free(nets->list);
	*nets = (struct access_nets)ACCESS_NETS_INIT;
}

static void map_v4(const void *bytes, uint8_t ret[16])
{
	static const uint8_t prefix[12] = { [10] = 0xff, [11] = 0xff };

	memcpy(ret, prefix, sizeof prefix);
	memcpy(ret + 12, bytes, 4);
}

/* The bits that an address of this kind has; 0: it is none. */
static unsigned address_bytes(struct str text, uint8_t ret[16])
{
	char copy[INET6_ADDRSTRLEN];
	struct in_addr v4;
	struct in6_addr v6;

	if (text.n == 0 || text.n >= sizeof copy || memchr(text.s, '\0', text.n) != NULL)
		return 0;
	memcpy(copy, text.s, text.n);
	copy[text.n] = '\0';
	if (inet_pton(AF_INET, copy, &v4) == 1) {
		map_v4(&v4, ret);
		return 32;
	}
	if (inet_pton(AF_INET6, copy, &v6) != 1)
		return 0;
	memcpy(ret, &v6, 16);
	return 128;
}

static int net_parse(struct str text, struct access_net *ret)
{
	struct access_net net = { .bits = 128 };
	struct str rest = text, host;
	unsigned most;
	uint64_t bits;

	if (text.n == 0)
		return -1;
	str_cut(&rest, '/', &host);
	most = address_bytes(host, net.bytes);
	if (most == 0 || (rest.s != NULL && str_u64(rest, most, &bits) < 0))
		return -1;
	if (rest.s != NULL)
		net.bits = 128 - most + (unsigned)bits;
	*ret = net;
	return 0;
}

int access_nets_add(struct access_nets *nets, struct str text)
{
	struct access_net net;

	if (net_parse(text, &net) < 0)
		return -1;
	nets->list = mem_resize(nets->list, nets->count + 1, sizeof *nets->list);
	nets->list[nets->count++] = net;
	return 0;
}

static bool net_has(const struct access_net *net, const uint8_t source[16])
{
	size_t whole = net->bits / 8;
	unsigned rest = net->bits % 8;

	return memcmp(net->bytes, source, whole) == 0 &&
	       (rest == 0 || (net->bytes[whole] ^ source[whole]) >> (8 - rest) == 0);
}

bool access_nets_have(const struct access_nets *nets, const uint8_t source[16])
{
	for (size_t i = 0; i < nets->count; i++)
		if (net_has(&nets->list[i], source))
			return true;
	return false;
}

int access_source(const struct address *address, uint8_t ret[16])
{
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;

	if (address->len == 0 || (address->sa.ss_family != AF_INET && address->sa.ss_family != AF_INET6))
		return -1;
	if (address->sa.ss_family == AF_INET) {
		memcpy(&v4, &address->sa, sizeof v4);
		map_v4(&v4.sin_addr, ret);
	} else {
		memcpy(&v6, &address->sa, sizeof v6);
		memcpy(ret, &v6.sin6_addr, 16);
	}
	return 0;
}

int access_source_parse(struct str text, uint8_t ret[16])
{
	uint8_t bytes[16];
	struct address address;

	if (address_bytes(text, bytes) > 0) {
		memcpy(ret, bytes, 16);
		return 0;
	}
	if (str_starts(text, STR("[")) && str_ends(text, STR("]")))
		text = (struct str){ text.s + 1, text.n - 2 };
	if (address_bytes(text, bytes) > 0) {
		memcpy(ret, bytes, 16);
		return 0;
	}
	return address_parse(text, &address, NULL) < 0 ? -1 : access_source(&address, ret);
}

/* files of lines */

/* The next line that says something; *line counts them all. */
static bool next_line(struct str *rest, unsigned *line, struct str *ret)
{
	while (str_cut(rest, '\n', ret)) {
		++*line;
		ret->n -= str_ends(*ret, STR("\r"));
		if (ret->n > 0 && ret->s[0] != '#')
			return true;
	}
	return false;
}

/* A name, in an error: what cannot be shown is not. */
static int line_refuse(struct err *err, const char *file, unsigned line, const char *why)
{
	return err_set(err, ERR_INVALID, "%s:%u: %s", file, line, why);
}

static const char name_rule[] =
	"a name has up to 64 letters, digits, '.', '-', '_', '@' and '+', and a colon follows it";

/* users */

void access_users_clear(struct access_users *users)
{
	for (size_t i = 0; i < users->count; i++) {
		free(users->list[i].name);
		sodium_memzero(users->list[i].hash, strlen(users->list[i].hash));
		free(users->list[i].hash);
	}
	free(users->list);
	*users = (struct access_users)ACCESS_USERS_INIT;
}

static bool is_hash_byte(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '/';
}

/* So many bytes of the alphabet that crypt(3) writes. */
static bool is_hashed(struct str text, size_t n)
{
	for (size_t i = 0; i < text.n; i++)
		if (!is_hash_byte(text.s[i]))
			return false;
	return text.n == n;
}

/* "$2b$10$" and 53 bytes; at cost 17 an attempt takes seconds. */
static const char *bcrypt_refused(struct str hash)
{
	uint64_t cost;

	if (hash.n != 60 || hash.s[6] != '$' || !is_hashed((struct str){ hash.s + 7, 53 }, 53) ||
	    str_u64((struct str){ hash.s + 4, 2 }, 99, &cost) < 0)
		return "a bcrypt hash that is not whole";
	return cost < 4 || cost > 17 ? "a bcrypt hash of a cost that is not from 4 to 17" : NULL;
}

/* "$6$[rounds=N$]SALT$HASH" */
static const char *sha_refused(struct str hash, size_t n)
{
	struct str rest = { hash.s + 3, hash.n - 3 }, part;
	uint64_t rounds;

	if (str_starts(rest, STR("rounds="))) {
		str_cut(&rest, '$', &part);
		part = (struct str){ part.s + strlen("rounds="), part.n - strlen("rounds=") };
		if (str_u64(part, 10000000, &rounds) < 0)
			return "a SHA-crypt hash of more than 10000000 rounds";
	}
	if (rest.s == NULL || !str_cut(&rest, '$', &part) || part.n > 16 || !is_hashed(part, part.n) ||
	    rest.s == NULL || !is_hashed(rest, n))
		return "a SHA-crypt hash that is not whole";
	return NULL;
}

/* "$y$PARAMETERS$SALT$HASH" */
static const char *yescrypt_refused(struct str hash)
{
	struct str rest = { hash.s + 3, hash.n - 3 }, parameters, salt;

	if (!str_cut(&rest, '$', &parameters) || rest.s == NULL || !str_cut(&rest, '$', &salt) || rest.s == NULL ||
	    parameters.n == 0 || parameters.n > 16 || !is_hashed(parameters, parameters.n) || salt.n > 86 ||
	    !is_hashed(salt, salt.n) || !is_hashed(rest, 43))
		return "a yescrypt hash that is not whole";
	return NULL;
}

/* NULL: it is taken; else what it is. */
static const char *hash_refused(struct str hash)
{
	static const struct {
		const char *prefix, *what;
	} others[] = {
		{ "$1$", "MD5-crypt" },
		{ "$apr1$", "Apache's MD5" },
		{ "$2x$", "bcrypt of a faulty kind, 2x" },
		{ "$2$", "bcrypt of its first kind, 2" },
		{ "$3$", "an NT hash" },
		{ "$sha1", "SHA-1-crypt" },
		{ "$md5", "Sun's MD5" },
		{ "$gy$", "gost-yescrypt" },
		{ "$7$", "scrypt" },
		{ "$argon2", "Argon2, which crypt(3) does not have" },
		{ "{SHA}", "plain SHA-1" },
		{ "{SSHA}", "salted SHA-1" },
		{ "{PLAIN}", "a password in clear" },
	};

	if (str_starts(hash, STR("$2a$")) || str_starts(hash, STR("$2b$")) || str_starts(hash, STR("$2y$")))
		return bcrypt_refused(hash);
	if (str_starts(hash, STR("$y$")))
		return yescrypt_refused(hash);
	if (str_starts(hash, STR("$6$")))
		return sha_refused(hash, 86);
	if (str_starts(hash, STR("$5$")))
		return sha_refused(hash, 43);
	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
		if (str_starts(hash, str_of(others[i].prefix)))
			return others[i].what;
	if (is_hashed(hash, 13))
		return "DES-crypt";
	if (hash.n == 20 && hash.s[0] == '_')
		return "BSDi's DES-crypt";
	return "no hash: perhaps a password in clear";
}

static int user_cmp(const void *a, const void *b)
{
	const struct access_user *one = a, *other = b;
	int order = strcmp(one->name, other->name);

	return order != 0 ? order : one->line < other->line ? -1 : 1;
}

static int user_parse(struct access_users *to, struct str text, const char *file, unsigned line, struct err *err)
{
	struct str name, hash = text;
	const char *refused;

	str_cut(&hash, ':', &name);
	if (hash.s == NULL || !access_name_valid(name))
		return line_refuse(err, file, line, name_rule);
	refused = memchr(hash.s, '\0', hash.n) != NULL ? "no hash" : hash_refused(hash);
	if (refused != NULL)
		return err_set(err, ERR_INVALID,
			       "%s:%u: user %.*s: %s: what is taken is yescrypt, bcrypt, sha512crypt and "
			       "sha256crypt, as mkpasswd and htpasswd -B write them",
			       file, line, STR_ARG(name), refused);
	to->list = mem_resize(to->list, to->count + 1, sizeof *to->list);
	to->list[to->count++] = (struct access_user){ mem_copy(name.s, name.n), mem_copy(hash.s, hash.n), line };
	return 0;
}

int access_users_parse(struct access_users *ret, struct str text, const char *file, struct err *err)
{
	struct access_users users = ACCESS_USERS_INIT;
	struct str rest = text, line;
	unsigned number = 0;
	int rc = 0;

	while (rc == 0 && next_line(&rest, &number, &line))
		rc = user_parse(&users, line, file, number, err);
	if (users.count > 0)
		qsort(users.list, users.count, sizeof *users.list, user_cmp);
	for (size_t i = 1; i < users.count && rc == 0; i++)
		if (strcmp(users.list[i - 1].name, users.list[i].name) == 0)
			rc = err_set(err, ERR_INVALID, "%s:%u: user %s is there twice", file, users.list[i].line,
				     users.list[i].name);
	if (rc < 0) {
		access_users_clear(&users);
		return -1;
	}
	access_users_clear(ret);
	*ret = users;
	return 0;
}

const struct access_user *access_users_find(const struct access_users *users, struct str name)
{
	size_t low = 0, high = users->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = str_cmp(name, str_of(users->list[middle].name));

		if (order == 0)
			return &users->list[middle];
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

const struct access_user *access_users_cost(const struct access_users *users, struct str name, const uint8_t secret[16])
{
	const struct access_user *user = access_users_find(users, name);
	uint8_t hash[crypto_shorthash_BYTES];
	uint64_t number;

	if (user != NULL || users->count == 0)
		return user;
	_Static_assert(crypto_shorthash_KEYBYTES == 16 && sizeof hash == sizeof number, "SipHash-2-4");
	crypto_shorthash(hash, (const unsigned char *)name.s, name.n, secret);
	memcpy(&number, hash, sizeof number);
	return &users->list[number % users->count];
}

/* tokens */

void access_tokens_clear(struct access_tokens *tokens)
{
	for (size_t i = 0; i < tokens->count; i++)
		free(tokens->list[i].name);
	free(tokens->list);
	*tokens = (struct access_tokens)ACCESS_TOKENS_INIT;
}

int access_expiry_parse(struct str text, uint64_t *ret)
{
	struct calendar_date date;
	uint64_t year, month, day;

	if (str_eq(text, STR(NEVER))) {
		*ret = 0;
		return 0;
	}
	if (text.n != DATE_BYTES || text.s[4] != '-' || text.s[7] != '-' ||
	    str_u64((struct str){ text.s, 4 }, 9999, &year) < 0 || str_u64((struct str){ text.s + 5, 2 }, 12, &month) < 0 ||
	    str_u64((struct str){ text.s + 8, 2 }, 31, &day) < 0)
		return -1;
	date = (struct calendar_date){ .year = (unsigned)year, .month = (unsigned)month, .day = (unsigned)day };
	if (!calendar_exists(date))
		return -1;
	*ret = (calendar_days(date) + 1) * DAY_S;	/* that day is the last */
	return 0;
}

void access_expiry_format(struct buf *buf, uint64_t expires)
{
	struct calendar_date date;

	if (expires == 0) {
		buf_adds(buf, NEVER);
		return;
	}
	date = calendar_date((expires - 1) / DAY_S);
	buf_addf(buf, "%04u-%02u-%02u", date.year, date.month, date.day);
}

static const struct access_token *token_named(const struct access_tokens *tokens, struct str name)
{
	for (size_t i = 0; i < tokens->count; i++)
		if (str_eq(name, str_of(tokens->list[i].name)))
			return &tokens->list[i];
	return NULL;
}

static int token_parse(struct access_tokens *to, struct str text, const char *file, unsigned line, struct err *err)
{
	struct access_token token = { .expires = 0 };
	struct str rest = text, name, hash;

	if (!str_cut(&rest, ':', &name) || rest.s == NULL || !access_name_valid(name))
		return line_refuse(err, file, line, name_rule);
	if (!str_cut(&rest, ':', &hash) || str_from_hex(hash, token.sha256, sizeof token.sha256) < 0)
		return line_refuse(err, file, line, "behind the token's name stand 64 hexadecimal digits, its SHA-256");
	if (rest.s == NULL || access_expiry_parse(rest, &token.expires) < 0)
		return line_refuse(err, file, line, "behind the SHA-256 stands the token's last day, as 2027-01-31, or never");
	if (token_named(to, name) != NULL)
		return err_set(err, ERR_INVALID, "%s:%u: token %.*s is there twice", file, line, STR_ARG(name));
	token.name = mem_copy(name.s, name.n);
	to->list = mem_resize(to->list, to->count + 1, sizeof *to->list);
	to->list[to->count++] = token;
	return 0;
}

int access_tokens_parse(struct access_tokens *ret, struct str text, const char *file, struct err *err)
{
	struct access_tokens tokens = ACCESS_TOKENS_INIT;
	struct str rest = text, line;
	unsigned number = 0;

	while (next_line(&rest, &number, &line)) {
		if (token_parse(&tokens, line, file, number, err) < 0) {
			access_tokens_clear(&tokens);
			return -1;
		}
	}
	access_tokens_clear(ret);
	*ret = tokens;
	return 0;
}

const struct access_token *access_tokens_find(const struct access_tokens *tokens, struct str text, uint64_t now)
{
	const struct access_token *found = NULL;
	uint8_t sha256[32];

	digest_of(text.s, text.n, sha256);
	/* All of them, so that the time says nothing. */
	for (size_t i = 0; i < tokens->count; i++)
		if (sodium_memcmp(tokens->list[i].sha256, sha256, sizeof sha256) == 0)
			found = &tokens->list[i];
	return found != NULL && found->expires != 0 && now >= found->expires ? NULL : found;
}

/* who is shut out */

void access_deny_clear(struct access_deny *deny)
{
	who_list_clear(deny->names, deny->count);
	access_nets_clear(&deny->from);
	*deny = (struct access_deny)ACCESS_DENY_INIT;
}

static int deny_line(struct access_deny *to, struct str text)
{
	struct access_who who;
	struct str from = text;

	if (who_takes(&from, "from:"))
		return access_nets_add(&to->from, from);
	if (!str_starts(text, STR("user:")) && !str_starts(text, STR("token:")))
		return -1;
	if (who_parse(text, &who) < 0)
		return -1;
	to->names = mem_resize(to->names, to->count + 1, sizeof *to->names);
	to->names[to->count++] = who;
	return 0;
}

int access_deny_parse(struct access_deny *ret, struct str text, const char *file, struct err *err)
{
	struct access_deny deny = ACCESS_DENY_INIT;
	struct str rest = text, line;
	unsigned number = 0;

	while (next_line(&rest, &number, &line)) {
		if (deny_line(&deny, line) < 0) {
			access_deny_clear(&deny);
			return line_refuse(err, file, number,
					   "a line is user:NAME, token:NAME, from:ADDRESS or from:ADDRESS/BITS");
		}
	}
	access_deny_clear(ret);
	*ret = deny;
	return 0;
}

bool access_denies(const struct access_deny *deny, const struct access_asker *asker)
{
	for (size_t i = 0; i < deny->count; i++)
		if (who_is(&deny->names[i], asker))
			return true;
	return false;
}

/* credentials */

/* "SCHEME token", the token without spaces. */
static bool scheme_is(struct str field, struct str scheme, struct str *ret)
{
	struct str rest;

	if (field.n <= scheme.n || !str_eq_nocase((struct str){ field.s, scheme.n }, scheme) || field.s[scheme.n] != ' ')
		return false;
	rest = str_trim((struct str){ field.s + scheme.n, field.n - scheme.n });
	if (rest.n == 0 || memchr(rest.s, ' ', rest.n) != NULL || memchr(rest.s, '\t', rest.n) != NULL)
		return false;
	*ret = rest;
	return true;
}

static bool has_control(struct str text)
{
	for (size_t i = 0; i < text.n; i++)
		if ((unsigned char)text.s[i] < ' ' || text.s[i] == 0x7f)
			return true;
	return false;
}

static int basic_parse(struct str text, struct buf *scratch, struct access_credentials *ret)
{
	size_t padding = text.n - (size_t)(str_ends(text, STR("==")) ? 2 : str_ends(text, STR("=")) ? 1 : 0);
	size_t n = padding * 3 / 4;
	struct access_credentials it = { .scheme = ACCESS_BASIC };

	buf_reset(scratch);
	if (n > ACCESS_NAME_BYTES + 1 + ACCESS_PASSWORD_BYTES ||
	    base64_decode(text, (uint8_t *)buf_reserve(scratch, n + 1), n) < 0)
		return -1;
	scratch->len = n;
	it.password = buf_str(scratch);
	if (!str_cut(&it.password, ':', &it.user) || it.password.s == NULL || has_control(it.user) ||
	    has_control(it.password) || it.user.n == 0 || it.user.n > ACCESS_NAME_BYTES ||
	    it.password.n > ACCESS_PASSWORD_BYTES)
		return -1;
	*ret = it;
	return 0;
}

/* RFC 6750, section 2.1. */
static bool is_bearer_token(struct str text)
{
	size_t n = text.n;

	while (n > 0 && text.s[n - 1] == '=')
		n--;
	for (size_t i = 0; i < n; i++)
		if (!is_hash_byte(text.s[i]) && memchr("-_~+", text.s[i], 4) == NULL)
			return false;
	return n > 0;
}

int access_credentials_parse(struct str field, struct buf *scratch, struct access_credentials *ret)
{
	struct str text;

	if (scheme_is(field, STR("Basic"), &text))
		return basic_parse(text, scratch, ret);
	if (!scheme_is(field, STR("Bearer"), &text) || !is_bearer_token(text))
		return -1;
	*ret = (struct access_credentials){ .scheme = ACCESS_BEARER, .token = text };
	return 0;
}
