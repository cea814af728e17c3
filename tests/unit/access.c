/* access - rules, users, tokens, who is shut out, and credentials */
#include "access.h"

#include "digest.h"
#include "mem.h"
#include "unit.h"

static const struct access_asker anyone = ACCESS_ANYONE_ASKS;

static struct access_asker user(const char *name)
{
	return (struct access_asker){ .user = str_of(name) };
}

/* A rule as "PATH WHO,WHO RIGHT,RIGHT". */
static int rule_add(struct access_rules *rules, const char *text)
{
	struct access_rule *rule = access_rules_add(rules, 1);
	struct str rest = str_of(text), path, who, one;

	str_cut(&rest, ' ', &path);
	str_cut(&rest, ' ', &who);
	if (access_rule_set_path(rule, path) < 0)
		return -1;
	while (str_cut(&who, ',', &one))
		if (access_rule_add_who(rule, one) < 0)
			return -1;
	while (rest.n > 0 && str_cut(&rest, ',', &one))
		if (access_rule_add_right(rule, one) < 0)
			return -1;
	return 0;
}

static void rules_make(struct access_rules *rules, const char *const *texts, size_t count)
{
	*rules = (struct access_rules)ACCESS_RULES_INIT;
	for (size_t i = 0; i < count; i++)
		CHECK(rule_add(rules, texts[i]) == 0);
}

#define RULES(rules, ...) \
	do { \
		static const char *const texts[] = { __VA_ARGS__ }; \
		rules_make(rules, texts, sizeof texts / sizeof texts[0]); \
	} while (0)

static unsigned rights(const struct access_rules *rules, struct access_asker asker, const char *path)
{
	return access_rights(rules, &asker, str_of(path));
}

static void test_longest(void)
{
	struct access_rules rules;

	RULES(&rules, "/ anyone read,list", "/docs/ users read", "/docs/ user:ada write", "/docs/secret user:eve read",
	      "/docs/secret/open/ anyone read");
	CHECK(rights(&rules, anyone, "") == (ACCESS_READ | ACCESS_LIST));
	CHECK(rights(&rules, anyone, "a/b") == (ACCESS_READ | ACCESS_LIST));
	/* The longest decides alone: what is above it adds nothing. */
	CHECK(rights(&rules, anyone, "docs") == 0);
	CHECK(rights(&rules, anyone, "docs/x") == 0);
	CHECK(rights(&rules, user("bob"), "docs/x") == ACCESS_READ);
	/* Those at the same path add up. */
	CHECK(rights(&rules, user("ada"), "docs/x") == (ACCESS_READ | ACCESS_WRITE));
	CHECK(rights(&rules, user("ada"), "docs/secret") == 0);
	CHECK(rights(&rules, user("ada"), "docs/secret/x") == 0);
	CHECK(rights(&rules, user("eve"), "docs/secret/x") == ACCESS_READ);
	CHECK(rights(&rules, anyone, "docs/secret/open/x") == ACCESS_READ);
	/* By whole components, and by bytes. */
	CHECK(rights(&rules, anyone, "docs2/x") == (ACCESS_READ | ACCESS_LIST));
	CHECK(rights(&rules, anyone, "doc") == (ACCESS_READ | ACCESS_LIST));
	CHECK(rights(&rules, anyone, "Docs/x") == (ACCESS_READ | ACCESS_LIST));
	access_rules_clear(&rules);
	/* Nothing is said: nothing may be done. */
	RULES(&rules, "/a/ anyone read");
	CHECK(rights(&rules, user("ada"), "") == 0 && rights(&rules, user("ada"), "b") == 0);
	access_rules_clear(&rules);
	/* A rule without rights shuts. */
	RULES(&rules, "/ anyone read", "/shut/ anyone ");
	CHECK(rights(&rules, anyone, "x") == ACCESS_READ && rights(&rules, anyone, "shut/x") == 0);
	access_rules_clear(&rules);
}

static void test_user_place(void)
{
	struct access_rules rules;
	char longest[ACCESS_NAME_BYTES + 2];

	RULES(&rules, "/ users read", "/home/{user}/ users write", "/{user}/own/ users delete");
	CHECK(rights(&rules, user("ada"), "home/ada") == ACCESS_WRITE);
	CHECK(rights(&rules, user("ada"), "home/ada/x/y") == ACCESS_WRITE);
	CHECK(rights(&rules, user("ada"), "home/bob/x") == ACCESS_READ);
	CHECK(rights(&rules, user("ada"), "home/adam/x") == ACCESS_READ);
	CHECK(rights(&rules, user("ada"), "home/{user}/x") == ACCESS_READ);
	CHECK(rights(&rules, user("ada"), "ada/own/x") == ACCESS_DELETE);
	CHECK(rights(&rules, anyone, "home/ada/x") == 0);
	/* A token of that name is no user. */
	CHECK(rights(&rules, (struct access_asker){ .token = STR("ada") }, "home/ada/x") == 0);
	/* Names that are no plain component stand for nothing. */
	CHECK(rights(&rules, user(".covey"), ".covey/own") == 0);
	CHECK(rights(&rules, user("a/b"), "home/a/b/x") == ACCESS_READ);
	CHECK(rights(&rules, user(".."), "home/../x") == ACCESS_READ);
	CHECK(rights(&rules, user(""), "home/x") == ACCESS_READ);
	memset(longest, 'a', sizeof longest);
	longest[sizeof longest - 1] = '\0';
	CHECK(!access_name_valid(str_of(longest)));
	longest[sizeof longest - 2] = '\0';
	CHECK(access_name_valid(str_of(longest)) && access_name_is_place(str_of(longest)));
	CHECK(!access_name_is_place(STR(".")) && !access_name_is_place(STR(".x")) && access_name_is_place(STR("a@b.c+d")));
	access_rules_clear(&rules);
}

static void test_service_pages(void)
{
	struct access_rules rules;
	const struct access_asker prometheus = { .certificate = STR("prometheus") };

	RULES(&rules, "/ anyone read,list,write,delete", "/ user:root admin", "/.covey/metrics cert:prometheus read",
	      "/.covey/metrics token:m metrics", "/x/ anyone admin,metrics,read");
	CHECK(rights(&rules, anyone, ".covey/status") == 0);
	CHECK(rights(&rules, user("root"), ".covey/status") == ACCESS_ADMIN);
	CHECK(rights(&rules, prometheus, ".covey/metrics") == ACCESS_READ);
	CHECK(rights(&rules, prometheus, ".covey/status") == 0);
	CHECK(rights(&rules, (struct access_asker){ .token = STR("m") }, ".covey/metrics") == ACCESS_METRICS);
	CHECK(rights(&rules, user("root"), ".covey/metrics") == 0);	/* the longer path decides alone */
	CHECK(rights(&rules, anyone, "x/y") == ACCESS_READ);
	CHECK(rights(&rules, anyone, ".coveyx") == (ACCESS_READ | ACCESS_LIST | ACCESS_WRITE | ACCESS_DELETE));
	access_rules_clear(&rules);
}

static int look_up(bool group, const char *name, uint32_t *ret)
{
	if (strcmp(name, group ? "staff" : "ada") != 0)
		return -1;
	*ret = group ? 50 : 1000;
	return 0;
}

static void test_who(void)
{
	const uint32_t gids[] = { 4, 50 };
	const struct access_asker ada = { .local = true, .uid = 1000 }, eve = { .local = true, .uid = 0, .gids = gids,
									       .gid_count = 2 };
	struct access_rules rules;

	RULES(&rules, "/u unix:user=ada read", "/g unix:group=staff read", "/n unix:user=nobody_here,unix:group=none read",
	      "/l user:a,token:b read");
	CHECK(rights(&rules, ada, "u") == 0);		/* not looked up yet */
	access_rules_resolve(&rules, look_up);
	CHECK(rights(&rules, ada, "u") == ACCESS_READ && rights(&rules, eve, "u") == 0);
	CHECK(rights(&rules, ada, "g") == 0 && rights(&rules, eve, "g") == ACCESS_READ);
	/* Of uid 0 alone nothing follows, and who is not found is nobody, not root. */
	CHECK(rights(&rules, eve, "n") == 0 && rights(&rules, anyone, "u") == 0);
	CHECK(rights(&rules, user("a"), "l") == ACCESS_READ && rights(&rules, user("b"), "l") == 0);
	CHECK(rights(&rules, (struct access_asker){ .token = STR("b") }, "l") == ACCESS_READ);
	access_rules_clear(&rules);
}

static void test_bad_rules(void)
{
	static const char *const paths[] = { "", "docs", "//", "/a//b", "/a/../b", "/./a", "/a/..", "/u-{user}/", "/{user}x" },
				*const whos[] = { "", "Anyone", "user:", "user", "user:a b", "user:a:b", "group:x", "unix:ada",
						  "unix:user=", "token:a/b", "users:ada", "cert:" },
				*const mays[] = { "", "Read", "all", "reads", "*" };
	struct access_rules rules = ACCESS_RULES_INIT;
	struct access_rule *rule = access_rules_add(&rules, 7);
	char longest[1002] = "/";

	for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
		CHECK(access_rule_set_path(rule, str_of(paths[i])) == -1);
	memset(longest + 1, 'a', 1000);
	CHECK(access_rule_set_path(rule, str_of(longest)) == -1);
	for (size_t i = 0; i < sizeof whos / sizeof whos[0]; i++)
		CHECK(access_rule_add_who(rule, str_of(whos[i])) == -1);
	for (size_t i = 0; i < sizeof mays / sizeof mays[0]; i++)
		CHECK(access_rule_add_right(rule, str_of(mays[i])) == -1);
	CHECK(rule->path == NULL && rule->who_count == 0 && rule->rights == 0 && rule->line == 7);
	for (unsigned i = 0; i < ACCESS_RIGHTS; i++)
		CHECK(access_rule_add_right(rule, str_of(access_right_name(i))) == 0 && rule->rights == (2u << i) - 1);
	access_rules_clear(&rules);
}

static bool shows(const struct access_rules *rules, struct access_asker asker, const char *path)
{
	return access_shows(rules, &asker, str_of(path));
}

static void test_shows(void)
{
	struct access_rules rules;
	const struct access_asker ada = user("ada");

	RULES(&rules, "/ anyone list", "/pub/ anyone read", "/a/b/c/ user:ada read", "/home/{user}/ users write",
	      "/drop/ user:ada write", "/shut/ anyone ");
	CHECK(shows(&rules, anyone, "pub") && shows(&rules, anyone, "x"));
	CHECK(!shows(&rules, anyone, "drop") && !shows(&rules, ada, "drop"));	/* writing is not reading */
	CHECK(!shows(&rules, anyone, "shut"));
	access_rules_clear(&rules);
	RULES(&rules, "/ anyone ", "/a/b/c/ user:ada read", "/home/{user}/ users write");
	CHECK(!shows(&rules, anyone, "a") && shows(&rules, ada, "a") && shows(&rules, ada, "a/b"));
	CHECK(shows(&rules, ada, "a/b/c") && shows(&rules, ada, "a/b/c/d") && !shows(&rules, ada, "a/x"));
	CHECK(shows(&rules, ada, "home") && !shows(&rules, anyone, "home") && !shows(&rules, ada, "home/bob"));
	CHECK(access_varies_below(&rules, STR("")) && access_varies_below(&rules, STR("home")) &&
	      access_varies_below(&rules, STR("a")) && !access_varies_below(&rules, STR("a/b/c")) &&
	      !access_varies_below(&rules, STR("home/x")) && !access_varies_below(&rules, STR("z")));
	CHECK(access_gives_below(&rules, &ada, STR(""), ACCESS_WRITE) && !access_gives_below(&rules, &ada, STR("a"), ACCESS_WRITE));
	CHECK(!access_gives_below(&rules, &anyone, STR(""), ACCESS_WRITE));
	access_rules_clear(&rules);
}

#define BCRYPT "$2y$05$IShn8iCxVqPNBnBBXwQrXe3DoUQ4mmGQL1XGxpTpJzMH.v3bVYJLy"
#define SHA512 "$6$saltsalt$qFmFH.bQmmtXzyBY0s9v7Oicd2z4XSIecDzlB5KiA2/jctKu9YterLp8wwnSq.qc.eoxqOmSuNp2xS0ktL3nh/"
#define SHA256 "$5$rounds=5000$saltsalt$2wbXpNdBl8zYxCQy8cYyB7bwYI6wLKfvlYdxmvDt4c/"
#define YESCRYPT "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$X3DX6M94c7o.9agCG9G317fhZg9SqC.5i5rd.RhAtQ7"

static bool users_refused(const char *text, const char *where, const char *what)
{
	struct access_users users = ACCESS_USERS_INIT;
	struct err err = ERR_INIT;
	bool ok = access_users_parse(&users, str_of(text), "/u", &err) == -1 && users.list == NULL &&
		  strstr(err.text, where) == err.text && strstr(err.text, what) != NULL;

	if (!ok)
		fprintf(stderr, "  \"%s\" gave \"%s\"\n", text, err.text);
	access_users_clear(&users);
	return ok;
}

static void test_users(void)
{
	struct access_users users = ACCESS_USERS_INIT;
	struct err err = ERR_INIT;
	const uint8_t secret[16] = { 1 };
	bool both[2] = { false, false };

	CHECK(access_users_parse(&users, STR("# people\n\nbob:" BCRYPT "\r\nada:" SHA512 "\ncyd:" SHA256 "\ndan:" YESCRYPT),
				 "/u", &err) == 0);
	if (err.kind != ERR_NONE)
		fprintf(stderr, "  %s\n", err.text);
	CHECK(users.count == 4);
	CHECK(access_users_find(&users, STR("ada")) != NULL && access_users_find(&users, STR("ad")) == NULL);
	CHECK(access_users_find(&users, STR("ADA")) == NULL && access_users_find(&users, STR("")) == NULL);
	CHECK(strcmp(access_users_find(&users, STR("bob"))->hash, BCRYPT) == 0);
	/* An unknown one costs what some known one does, always the same. */
	CHECK(access_users_cost(&users, STR("ada"), secret) == access_users_find(&users, STR("ada")));
	CHECK(access_users_cost(&users, STR("eve"), secret) != NULL &&
	      access_users_cost(&users, STR("eve"), secret) == access_users_cost(&users, STR("eve"), secret));
	for (int i = 0; i < 64; i++) {
		char name[16];

		snprintf(name, sizeof name, "n%d", i);
		both[access_users_cost(&users, str_of(name), secret) == access_users_find(&users, STR("ada"))] = true;
	}
	CHECK(both[0] && both[1]);
	/* Of nobody nothing is known. */
	CHECK(access_users_parse(&users, STR("# none\n"), "/u", &err) == 0 && users.count == 0);
	CHECK(access_users_cost(&users, STR("eve"), secret) == NULL);
	access_users_clear(&users);

	CHECK(users_refused("ada:" BCRYPT "\nbob:$1$abc$defghijklmnopqrstuvwx.\n", "/u:2: user bob: MD5-crypt", "yescrypt"));
	CHECK(users_refused("a:$apr1$x$y", "/u:1: ", "Apache's MD5"));
	CHECK(users_refused("a:abJnggxhB/yWI", "/u:1: ", "DES-crypt"));
	CHECK(users_refused("a:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=", "/u:1: ", "plain SHA-1"));
	CHECK(users_refused("a:secret", "/u:1: ", "password in clear"));
	CHECK(users_refused("a:", "/u:1: ", "no hash"));
	CHECK(users_refused("a:$argon2id$v=19$m=65536", "/u:1: ", "Argon2"));
	CHECK(users_refused("a:$2y$05$IShn8iCx", "/u:1: ", "not whole"));
	CHECK(users_refused("a:$2y$31$IShn8iCxVqPNBnBBXwQrXe3DoUQ4mmGQL1XGxpTpJzMH.v3bVYJLy", "/u:1: ", "cost"));
	CHECK(users_refused("a:$6$salt$short", "/u:1: ", "not whole"));
	CHECK(users_refused("a:$6$rounds=999999999$saltsalt$x", "/u:1: ", "rounds"));
	CHECK(users_refused("a:$y$j9T$salt", "/u:1: ", "not whole"));
	CHECK(users_refused("a:" SHA512 ":x", "/u:1: ", "not whole"));
	CHECK(users_refused("a b:" BCRYPT, "/u:1: ", "a name has"));
	CHECK(users_refused(BCRYPT, "/u:1: ", "a name has"));
	CHECK(users_refused("a:" BCRYPT "\nb:" BCRYPT "\na:" SHA512, "/u:3: user a", "twice"));
}

#define HASH_OF_ABC "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define HASH_OF_X "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"

static void test_tokens(void)
{
	static const char *const bad[] = {
		"a", "a:", "a:" HASH_OF_ABC, "a:" HASH_OF_ABC ":", "a:" HASH_OF_ABC ":2027-02-30", "a:" HASH_OF_ABC ":2027-2-3",
		"a:" HASH_OF_ABC ":tomorrow", "a:ba78:never", "a b:" HASH_OF_ABC ":never", ":" HASH_OF_ABC ":never",
		"a:" HASH_OF_ABC ":never:x", "a:" HASH_OF_ABC ":never\na:" HASH_OF_X ":never",
	};
	struct access_tokens tokens = ACCESS_TOKENS_INIT;
	struct buf text = BUF_INIT;
	struct err err = ERR_INIT;
	uint64_t expires = 1;

	CHECK(access_tokens_parse(&tokens, STR("backup:" HASH_OF_ABC ":never\nold:" HASH_OF_X ":1970-01-02\n"), "/t", &err) == 0);
	CHECK(tokens.count == 2);
	CHECK(access_tokens_find(&tokens, STR("abc"), 1u << 30) == &tokens.list[0]);
	CHECK(access_tokens_find(&tokens, STR("abd"), 0) == NULL && access_tokens_find(&tokens, STR(""), 0) == NULL);
	/* That day is the last one. */
	CHECK(access_tokens_find(&tokens, STR("x"), 2 * 86400 - 1) == &tokens.list[1]);
	CHECK(access_tokens_find(&tokens, STR("x"), 2 * 86400) == NULL);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		CHECK(access_tokens_parse(&tokens, str_of(bad[i]), "/t", &err) == -1 && strstr(err.text, "/t:") == err.text);
		CHECK(tokens.count == 2);
	}
	access_tokens_clear(&tokens);
	CHECK(access_expiry_parse(STR("2027-01-31"), &expires) == 0);
	access_expiry_format(&text, expires);
	buf_addc(&text, ' ');
	access_expiry_format(&text, 0);
	CHECK(str_eq(buf_str(&text), STR("2027-01-31 never")));
	buf_clear(&text);
}

static bool from(const struct access_nets *nets, const char *text)
{
	uint8_t source[16];

	return access_source_parse(str_of(text), source) == 0 && access_nets_have(nets, source);
}

static void test_deny(void)
{
	static const char *const bad[] = { "ada", "user:", "user:a b", "users", "anyone", "from:", "from:x", "from:1.2.3.4/33",
					   "from:1.2.3.4/", "from:::1/129", "cert:x", "unix:user=a", "from: 1.2.3.4" };
	struct access_deny deny = ACCESS_DENY_INIT;
	struct err err = ERR_INIT;
	const struct access_asker ada = user("ada"), bob = user("bob"), token = { .token = STR("ada") };

	CHECK(access_deny_parse(&deny, STR("# gone\nuser:ada\ntoken:t\nfrom:192.0.2.0/25\nfrom:2001:db8::/33\nfrom:10.0.0.1\n"),
				"/d", &err) == 0);
	CHECK(access_denies(&deny, &ada) && !access_denies(&deny, &bob) && !access_denies(&deny, &anyone) &&
	      !access_denies(&deny, &token));
	CHECK(from(&deny.from, "192.0.2.127") && !from(&deny.from, "192.0.2.128") && from(&deny.from, "::ffff:192.0.2.5"));
	CHECK(from(&deny.from, "2001:db8:7fff::1") && !from(&deny.from, "2001:db8:8000::1"));
	CHECK(from(&deny.from, "10.0.0.1") && from(&deny.from, "10.0.0.1:80") && !from(&deny.from, "10.0.0.2"));
	CHECK(from(&deny.from, "[2001:db8::1]") && from(&deny.from, "[2001:db8::1]:80") && !from(&deny.from, "unknown"));
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		CHECK(access_deny_parse(&deny, str_of(bad[i]), "/d", &err) == -1 && strstr(err.text, "/d:1: ") == err.text);
		CHECK(deny.count == 2);
	}
	access_deny_clear(&deny);
}

static void test_nets(void)
{
	struct access_nets nets = ACCESS_NETS_INIT;

	CHECK(access_nets_add(&nets, STR("0.0.0.0/0")) == 0);
	CHECK(from(&nets, "1.2.3.4") && !from(&nets, "::1"));
	access_nets_clear(&nets);
	CHECK(access_nets_add(&nets, STR("::/0")) == 0);
	CHECK(from(&nets, "1.2.3.4") && from(&nets, "::1"));
	access_nets_clear(&nets);
}

/* "user|password", "token", or "-" */
static const char *credentials(const char *field)
{
	static struct buf text;
	struct access_credentials by;
	struct buf scratch = BUF_INIT;

	buf_reset(&text);
	buf_adds(&text, "");
	if (access_credentials_parse(str_of(field), &scratch, &by) < 0)
		buf_adds(&text, "-");
	else if (by.scheme == ACCESS_BASIC)
		buf_addf(&text, "%.*s|%.*s", STR_ARG(by.user), STR_ARG(by.password));
	else
		buf_addf(&text, "%.*s", STR_ARG(by.token));
	buf_clear(&scratch);
	return text.data;
}

#define CREDENTIALS(field, want) CHECK(strcmp(credentials(field), want) == 0)

static void test_credentials(void)
{
	struct buf field = BUF_INIT;
	char secret[600];

	CREDENTIALS("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "Aladdin|open sesame");	/* RFC 7617, section 2 */
	CREDENTIALS("basic  QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "Aladdin|open sesame");
	CREDENTIALS("Basic dGVzdDoxMjPCow==", "test|123\xc2\xa3");
	CREDENTIALS("Basic YTo=", "a|");
	CREDENTIALS("Basic YTpiOmM=", "a|b:c");
	CREDENTIALS("Basic OmI=", "-");			/* ":b" */
	CREDENTIALS("Basic YQ==", "-");			/* "a" */
	CREDENTIALS("Basic YQo6Yg==", "-");		/* "a\n:b" */
	CREDENTIALS("Basic YTpiAGM=", "-");		/* "a:b\0c" */
	CREDENTIALS("Basic YTpi=", "-");
	CREDENTIALS("Basic YTp", "-");
	CREDENTIALS("Basic Y%p", "-");
	CREDENTIALS("Basic", "-");
	CREDENTIALS("Basic ", "-");
	CREDENTIALS("Basic YTo= x", "-");
	CREDENTIALS("", "-");
	CREDENTIALS("=", "-");
	CREDENTIALS("Basic =", "-");
	CREDENTIALS("Basic ==", "-");
	CREDENTIALS("Bearer mF_9.B5f-4.1JqM", "mF_9.B5f-4.1JqM");	/* RFC 6750, section 2.1 */
	CREDENTIALS("BEARER abc==", "abc==");
	CREDENTIALS("Bearer =", "-");
	CREDENTIALS("Bearer a=b", "-");
	CREDENTIALS("Bearer a,b", "-");
	CREDENTIALS("Bearer a b", "-");
	CREDENTIALS("Bearer", "-");
	CREDENTIALS("Bearerabc", "-");
	CREDENTIALS("Digest username=\"x\"", "-");
	/* The longest password, and one byte more. */
	memset(secret, 'p', sizeof secret);
	memcpy(secret, "a:", 2);
	buf_adds(&field, "Basic ");
	base64_encode(&field, secret, 2 + ACCESS_PASSWORD_BYTES);
	CHECK(strlen(credentials(field.data)) == 2 + ACCESS_PASSWORD_BYTES);
	buf_reset(&field);
	buf_adds(&field, "Basic ");
	base64_encode(&field, secret, 3 + ACCESS_PASSWORD_BYTES);
	CREDENTIALS(field.data, "-");
	buf_clear(&field);
}

int main(void)
{
	test_longest();
	test_user_place();
	test_service_pages();
	test_who();
	test_bad_rules();
	test_shows();
	test_users();
	test_tokens();
	test_deny();
	test_nets();
	test_credentials();
	return UNIT_RESULT();
}
