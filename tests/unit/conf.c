/* conf: every key with its default, what each may be, and what is refused where */
#include "conf.h"

#include "buf.h"

#include "unit.h"

#define BASE "node:\n  store: /s\n"

static bool refused(const char *text, const char *where, const char *what)
{
	struct conf conf = CONF_INIT;
	struct err err = ERR_INIT;
	bool ok = conf_parse(&conf, str_of(text), "/c/x.yaml", &err) == -1 &&
		  strstr(err.text, where) == err.text && strstr(err.text, what) != NULL &&
		  conf.node.store == NULL;

	if (!ok)
		fprintf(stderr, "  text \"%s\" gave \"%s\"\n", text, err.text);
	conf_clear(&conf);
	return ok;
}

static bool listens(const struct conf_listen *l, const char *want)
{
	char text[ADDRESS_TEXT];

	return l->given && strcmp(address_format(text, &l->address), want) == 0;
}

static void defaults(void)
{
	struct conf conf = CONF_INIT;
	struct err err = ERR_INIT;

	CHECK(conf_parse(&conf, STR(BASE), "/c/x.yaml", &err) == 0);
	CHECK(conf.node.name != NULL && conf.node.name[0] != '\0');
	CHECK(strcmp(conf.node.address, "127.0.0.1") == 0);
	CHECK(strcmp(conf.node.store, "/s") == 0);
	CHECK(strcmp(conf.node.run, "/s/run") == 0);
	CHECK(listens(&conf.listen.http[0], "127.0.0.1:4720") && !conf.listen.http[1].given);
	CHECK(conf.listen.http_unix == NULL);
	CHECK(!conf.listen.https[0].given && conf.tls.certificates.count == 0 && conf.tls.keys.count == 0);
	CHECK(conf.tls.client_ca == NULL && conf.limits.handshakes == 256);
	CHECK(!conf.listen.discovery.given && !conf.listen.versions.given);
	CHECK(conf.group.key_file == NULL && conf.group.seed_count == 0);
	CHECK(conf.group.multicast == NULL);
	CHECK(conf.group.delta == CONF_DELTA_AUTO);
	CHECK(conf.node.region[0] == '\0' && conf.node.weight == 1 && conf.node.home);
	CHECK(conf.replication.homes == 3 && conf.replication.copies == 2);
	CHECK(conf.keep.versions == 100 && conf.keep.days == 0);
	CHECK(conf.timeouts.check_ms == 250 && conf.timeouts.pull_ms == 1000);
	CHECK(conf.timeouts.store_ms == 1000 && conf.timeouts.push_ms == 1000);
	CHECK(conf.limits.max_body == 0 && conf.limits.min_free == UINT64_C(16) << 20);
	CHECK(conf.limits.header_timeout_ms == 10000 && conf.limits.idle_timeout_ms == 60000);
	CHECK(conf.limits.connections == 1024 && conf.limits.idle_exit_ms == 60000);
	CHECK(conf.limits.min_rate == 1024 && conf.limits.per_source == 256);
	CHECK(conf.limits.buffers == UINT64_C(64) << 20 && conf.limits.prefer_wait_ms == 60000);
	CHECK(conf.hosts.count == 0 && conf.sites.count == 0);
	CHECK(!conf.access_open);
	conf_clear(&conf);
}

static void everything(void)
{
	static const char text[] =
		"# all of it\n"
		"node: {name: a.b-c_1, address: '::1', store: data, run: ./r,\n"
		"  region: eu.west-1_b, weight: 16, home: no}\n"
		"listen:\n  http: 5000\n  https: [5003, '[::1]:5004']\n  discovery: '[::1]:5001'\n  versions: 127.0.0.1:5002\n"
		"group:\n  key_file: /etc/key\n  seeds: [a.example:1, '[::1]:2', 10.0.0.1:3,\n"
		"    'http://b.example:4', 'http://[::1]:5']\n"
		"  multicast: 239.1.2.3:4\n"
		"  delta: off\n"
		"tls: {certificate: [a.crt, /b.crt], key: [./a.key, b.key], client_ca: ca}\n"
		"replication: {homes: 7, copies: 1}\nkeep: {versions: 1, days: 30}\n"
		"timeouts: {check: 10ms, store: 3s, push: 4s, pull: 2min}\n"
		"limits: {max_body: 10G, min_free: 0, header_timeout: 1, idle_timeout: 1h,\n"
		"  connections: 7, handshakes: 5, idle_exit: 0, min_rate: 0, per_source: 0, buffers: 1M, prefer_wait: 1h}\n"
		"hosts: [Files.Example.org, nas]\nsites: [/www, /a/b/, /]\n"
		"access: open\n";
	struct conf conf = CONF_INIT;
	struct err err = ERR_INIT;

	CHECK(conf_parse(&conf, STR(text), "/usr/x.yaml", &err) == 0);
	if (err.kind != ERR_NONE)
		fprintf(stderr, "  %s\n", err.text);
	CHECK(strcmp(conf.node.name, "a.b-c_1") == 0);
	CHECK(strcmp(conf.node.store, "/usr/data") == 0 && strcmp(conf.node.run, "/usr/r") == 0);
	CHECK(listens(&conf.listen.http[0], "[::1]:5000"));
	CHECK(listens(&conf.listen.https[0], "[::1]:5003") && listens(&conf.listen.https[1], "[::1]:5004"));
	CHECK(!conf.listen.https[2].given && conf.limits.handshakes == 5);
	CHECK(conf.tls.certificates.count == 2 && strcmp(conf.tls.certificates.texts[0], "/usr/a.crt") == 0);
	CHECK(strcmp(conf.tls.certificates.texts[1], "/b.crt") == 0 && conf.tls.keys.count == 2);
	CHECK(strcmp(conf.tls.keys.texts[0], "/usr/a.key") == 0 && strcmp(conf.tls.client_ca, "/usr/ca") == 0);
	CHECK(listens(&conf.listen.discovery, "[::1]:5001"));
	CHECK(listens(&conf.listen.versions, "127.0.0.1:5002"));
	CHECK(strcmp(conf.node.region, "eu.west-1_b") == 0);
	CHECK(conf.node.weight == 16 && !conf.node.home);
	CHECK(conf.group.seed_count == 5 && strcmp(conf.group.seeds[1], "[::1]:2") == 0);
	CHECK(strcmp(conf.group.seeds[3], "http://b.example:4") == 0);
	CHECK(conf.replication.homes == 7 && conf.replication.copies == 1);
	CHECK(conf.keep.versions == 1 && conf.keep.days == 30);
	CHECK(strcmp(conf.group.key_file, "/etc/key") == 0);
	CHECK(strcmp(conf.group.multicast, "239.1.2.3:4") == 0);
	CHECK(conf.group.delta == CONF_DELTA_OFF);
	CHECK(conf.timeouts.check_ms == 10 && conf.timeouts.pull_ms == 120000);
	CHECK(conf.timeouts.store_ms == 3000 && conf.timeouts.push_ms == 4000);
	CHECK(conf.limits.max_body == UINT64_C(10) << 30 && conf.limits.min_free == 0);
	CHECK(conf.limits.header_timeout_ms == 1000 && conf.limits.idle_timeout_ms == 3600000);
	CHECK(conf.limits.connections == 7 && conf.limits.idle_exit_ms == 0);
	CHECK(conf.limits.min_rate == 0 && conf.limits.per_source == 0);
	CHECK(conf.limits.buffers == 1 << 20 && conf.limits.prefer_wait_ms == 3600000);
	CHECK(conf.hosts.count == 2 && strcmp(conf.hosts.texts[0], "files.example.org") == 0);
	CHECK(conf.sites.count == 3 && strcmp(conf.sites.texts[0], "www") == 0);
	CHECK(strcmp(conf.sites.texts[1], "a/b") == 0 && strcmp(conf.sites.texts[2], "") == 0);
	CHECK(conf.access_open);
	/* Used again, it forgets what was before. */
	CHECK(conf_parse(&conf, STR(BASE "limits:\n"), "/c/x.yaml", &err) == 0);
	CHECK(conf.group.seed_count == 0 && !conf.access_open);
	conf_clear(&conf);
}

static void rules(void)
{
	static const char text[] = BASE
		"listen: {http: '0.0.0.0:80'}\n"
		"trust_proxy: [127.0.0.1, 10.0.0.0/8]\n"
		"access:\n"
		"  users: users\n"
		"  tokens: /t\n"
		"  rules:\n"
		"  - {path: /, who: anyone, may: read}\n"
		"  - path: '/home/{user}/'\n"
		"    who: [users, 'token:x']\n"
		"    may: [read, write]\n"
		"  - {path: /shut, who: anyone, may: []}\n";
	struct conf conf = CONF_INIT;
	struct err err = ERR_INIT;
	const struct access_rule *rule;

	CHECK(conf_parse(&conf, STR(text), "/c/x.yaml", &err) == 0);
	if (err.kind != ERR_NONE)
		fprintf(stderr, "  %s\n", err.text);
	CHECK(conf.access.given && !conf.access_open && conf_may_be_reached(&conf));
	CHECK(strcmp(conf.access.users, "/c/users") == 0 && strcmp(conf.access.tokens, "/t") == 0);
	CHECK(conf.access.deny == NULL && conf.trust_proxy.count == 2 && conf.access.rules.count == 3);
	rule = conf.access.rules.list;
	CHECK(strcmp(rule[0].path, "") == 0 && rule[0].rights == ACCESS_READ && rule[0].who_count == 1 && rule[0].line == 9);
	CHECK(strcmp(rule[1].path, "home/{user}") == 0 && rule[1].of_user && rule[1].who_count == 2 && rule[1].depth == 2);
	CHECK(rule[1].rights == (ACCESS_READ | ACCESS_WRITE) && strcmp(rule[1].who[1].name, "x") == 0);
	CHECK(rule[2].rights == 0 && strcmp(rule[2].path, "shut") == 0);
	conf_clear(&conf);

	CHECK(refused(BASE "access: {users: u}\n", "/c/x.yaml:3: ", "access.rules: must be given"));
	CHECK(refused(BASE "access: {rules: []}\n", "/c/x.yaml:3: ", "access.rules: must be given"));
	CHECK(refused(BASE "access: {rules: read}\n", "/c/x.yaml:3: ", "access.rules: expected a list"));
	CHECK(refused(BASE "access: {rules: [read]}\n", "/c/x.yaml:3: ", "access.rules: expected a list"));
	CHECK(refused(BASE "access: {rules: [{path: /, who: anyone}]}\n", "/c/x.yaml:3: ", "access.rules.may: must be given"));
	CHECK(refused(BASE "access:\n  rules:\n  - {path: /, may: read}\n  - {path: /, who: anyone, may: read}\n", "/c/x.yaml:6: ",
		      "access.rules.who: must be given: the rule on line 5"));
	CHECK(refused(BASE "access: {rules: [{path: /, path: /a}]}\n", "/c/x.yaml:3: ", "access.rules.path: given"));
	CHECK(refused(BASE "access: {rules: [{path: a}]}\n", "/c/x.yaml:3: ", "access.rules.path: \"a\" is not a path"));
	CHECK(refused(BASE "access: {rules: [{path: [/]}]}\n", "/c/x.yaml:3: ", "access.rules.path: expected a path"));
	CHECK(refused(BASE "access: {rules: [{who: all}]}\n", "/c/x.yaml:3: ", "access.rules.who: \"all\" is not anyone"));
	CHECK(refused(BASE "access: {rules: [{may: [read, all]}]}\n", "/c/x.yaml:3: ", "access.rules.may: \"all\" is not read"));
	CHECK(refused(BASE "access: {rules: [{colour: red}]}\n", "/c/x.yaml:3: ", "access.rules.colour: no such key"));
	CHECK(refused(BASE "access: {open: yes}\n", "/c/x.yaml:3: ", "access.open: no such key"));
	CHECK(refused(BASE "access: [open]\n", "/c/x.yaml:3: ", "access: expected"));
	CHECK(refused(BASE "access: open\naccess: {rules: []}\n", "/c/x.yaml:4: ", "access: given on line 3"));
	CHECK(refused(BASE "trust_proxy: 127.0.0.1\n", "/c/x.yaml:3: ", "trust_proxy: expected a list"));
	CHECK(refused(BASE "trust_proxy: [localhost]\n", "/c/x.yaml:3: ", "trust_proxy: \"localhost\" is not"));
	CHECK(refused(BASE "listen: {http: '0.0.0.0:80'}\n", "/c/x.yaml:3: ", "access: {rules: ...}"));
}

/* Each type: a wrong value, and a wrong kind. */
static void wrong_types(void)
{
	static const struct {
		const char *key, *bad;
	} cases[] = {
		{ "  name", "a b" },	  { "  name", "[x]" },	     { "  name", "" },
		{ "  name", "\"a\\0b\"" }, { "  address", "host" },   { "  address", "1.2.3" },
		{ "  address", "0.0.0.0" }, { "  address", "127.0.0.1:1" },
		{ "  run", "{a: b}" },	  { "  run", "~" },	     { "  region", "eu west" },
		{ "  region", "sixteen-letters-" }, { "  region", "[a]" }, { "  weight", "0" },
		{ "  weight", "17" },	  { "  weight", "much" },    { "  home", "maybe" },
		{ "  home", "[yes]" },
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char text[120], what[40];

		snprintf(text, sizeof text, BASE "%s: %s\n", cases[i].key, cases[i].bad);
		snprintf(what, sizeof what, "node.%s: ", cases[i].key + 2);
		CHECK(refused(text, "/c/x.yaml:3: ", what));
	}
	CHECK(refused(BASE "listen: {http: 0}\n", "/c/x.yaml:3: ", "listen.http"));
	CHECK(refused(BASE "listen: {http: 65536}\n", "/c/x.yaml:3: ", "listen.http"));
	CHECK(refused(BASE "listen: {http: 'localhost:80'}\n", "/c/x.yaml:3: ", "listen.http"));
	CHECK(refused(BASE "listen: {versions: '::1:80'}\n", "/c/x.yaml:3: ", "listen.versions"));
	CHECK(refused(BASE "listen: {discovery: [1]}\n", "/c/x.yaml:3: ", "listen.discovery"));
	CHECK(refused(BASE "hosts: a\n", "/c/x.yaml:3: ", "hosts"));
	CHECK(refused(BASE "hosts: ['a:80']\n", "/c/x.yaml:3: ", "hosts"));
	CHECK(refused(BASE "hosts: ['*.example.org']\n", "/c/x.yaml:3: ", "hosts"));
	CHECK(refused(BASE "sites: /www\n", "/c/x.yaml:3: ", "sites"));
	CHECK(refused(BASE "sites: [www]\n", "/c/x.yaml:3: ", "sites"));
	CHECK(refused(BASE "sites: [/a//b]\n", "/c/x.yaml:3: ", "sites"));
	CHECK(refused(BASE "sites: [/../a]\n", "/c/x.yaml:3: ", "sites"));
	CHECK(refused(BASE "limits: {buffers: 1K}\n", "/c/x.yaml:3: ", "limits.buffers"));
	CHECK(refused(BASE "limits: {prefer_wait: 2h}\n", "/c/x.yaml:3: ", "limits.prefer_wait"));
	CHECK(refused(BASE "group: {seeds: 'a:1'}\n", "/c/x.yaml:3: ", "group.seeds"));
	CHECK(refused(BASE "group:\n  seeds:\n  - a:1\n  - b\n", "/c/x.yaml:6: ", "group.seeds"));
	CHECK(refused(BASE "group: {seeds: [[a:1]]}\n", "/c/x.yaml:3: ", "group.seeds"));
	CHECK(refused(BASE "group: {seeds: [{a: 1}]}\n", "/c/x.yaml:3: ", "group.seeds"));
	CHECK(refused(BASE "group: {seeds: ['http://a']}\n", "/c/x.yaml:3: ", "group.seeds"));
	CHECK(refused(BASE "group: {seeds: ['http://']}\n", "/c/x.yaml:3: ", "group.seeds"));
	CHECK(refused(BASE "group: {seeds: ['http://a:1/']}\n", "/c/x.yaml:3: ", "group.seeds"));
	CHECK(refused(BASE "group: {seeds: ['https://a:1']}\n", "/c/x.yaml:3: ", "group.seeds"));
	CHECK(refused(BASE "replication: {homes: 0}\n", "/c/x.yaml:3: ", "a number from 1 to 7"));
	CHECK(refused(BASE "replication: {copies: 8}\n", "/c/x.yaml:3: ", "replication.copies"));
	CHECK(refused(BASE "replication: {copies: [2]}\n", "/c/x.yaml:3: ", "replication.copies"));
	CHECK(refused(BASE "keep: {versions: 0}\n", "/c/x.yaml:3: ", "keep.versions"));
	CHECK(refused(BASE "keep: {days: -1}\n", "/c/x.yaml:3: ", "keep.days"));
	CHECK(refused(BASE "timeouts: {store: 0}\n", "/c/x.yaml:3: ", "timeouts.store"));
	CHECK(refused(BASE "group: {delta: yes}\n", "/c/x.yaml:3: ", "group.delta: \"yes\" is not auto, on or off"));
	CHECK(refused(BASE "group: {multicast: 10.0.0.1:1}\n", "/c/x.yaml:3: ", "multicast"));
	CHECK(refused(BASE "group: {key_file: [k]}\n", "/c/x.yaml:3: ", "group.key_file"));
	CHECK(refused(BASE "timeouts: {check: 0}\n", "/c/x.yaml:3: ", "timeouts.check"));
	CHECK(refused(BASE "timeouts: {pull: fast}\n", "/c/x.yaml:3: ", "timeouts.pull"));
	CHECK(refused(BASE "limits: {max_body: -1}\n", "/c/x.yaml:3: ", "limits.max_body"));
	CHECK(refused(BASE "limits: {min_free: 1X}\n", "/c/x.yaml:3: ", "limits.min_free"));
	CHECK(refused(BASE "limits: {connections: 0}\n", "/c/x.yaml:3: ", "limits.connections"));
	CHECK(refused(BASE "limits: {idle_exit: 1 day}\n", "/c/x.yaml:3: ", "limits.idle_exit"));
	CHECK(refused(BASE "access: closed\n", "/c/x.yaml:3: ", "access"));
	CHECK(refused(BASE "access: {open: yes}\n", "/c/x.yaml:3: ", "access"));
}

static void wrong_files(void)
{
	CHECK(refused("", "/c/x.yaml:1: ", "node.store"));
	CHECK(refused("- a\n", "/c/x.yaml:1: ", "expected keys"));
	CHECK(refused("node\n", "/c/x.yaml:1: ", "expected keys"));
	CHECK(refused("node: x\n", "/c/x.yaml:1: ", "node: expected keys"));
	CHECK(refused(BASE "\ncolour: red\n", "/c/x.yaml:4: ", "colour: no such key"));
	CHECK(refused(BASE "  colour: red\n", "/c/x.yaml:3: ", "node.colour: no such key"));
	CHECK(refused("node.store: /s\n", "/c/x.yaml:1: ", "one word"));
	CHECK(refused(BASE "  store: /t\n", "/c/x.yaml:3: ", "given on line 2 already"));
	CHECK(refused(BASE "node: {name: x}\n", "/c/x.yaml:3: ", "given on line 1 already"));
	CHECK(refused("node: &a {store: /s}\n", "/c/x.yaml:1: ", "anchors"));
	CHECK(refused("node: {store: &a /s, run: *a}\n", "/c/x.yaml:1: ", "anchors"));
	CHECK(refused(BASE "  run: *a\n", "/c/x.yaml:3: ", "aliases"));
	CHECK(refused(BASE "  run: !!str /r\n", "/c/x.yaml:3: ", "tags"));
	CHECK(refused(BASE "---\nnode: {store: /t}\n", "/c/x.yaml:3: ", "second document"));
	CHECK(refused(BASE "x: [[[[[[[[[[[[[[[[[[\n", "/c/x.yaml:3: ", "no such key"));
	CHECK(refused(BASE "\tname: x\n", "/c/x.yaml:3: ", "not YAML"));
	CHECK(refused("# \xff\nnode: {store: /s}\n", "/c/x.yaml:1: ", "not YAML"));
	CHECK(refused("a: b\n#\n# \x01\n", "/c/x.yaml:", "not YAML"));
	CHECK(refused("? [a, b]\n: c\n", "/c/x.yaml:1: ", "one word"));
	CHECK(refused("<<: {a: b}\n", "/c/x.yaml:1: ", "one word"));
}

/* Deep and long input is refused at once. */
static void hostile(void)
{
	struct buf text = BUF_INIT;
	struct conf conf = CONF_INIT;
	struct err err = ERR_INIT;

	for (int i = 0; i < 100000; i++)
		buf_adds(&text, "[");
	CHECK(conf_parse(&conf, buf_str(&text), "x", &err) == -1);
	buf_reset(&text);
	for (int i = 0; i < 30000; i++)
		buf_adds(&text, "{a: ");
	CHECK(conf_parse(&conf, buf_str(&text), "x", &err) == -1);
	buf_reset(&text);
	while (text.len < 300000)
		buf_adds(&text, "# long\n");
	CHECK(conf_parse(&conf, buf_str(&text), "x", &err) == -1);
	CHECK(err.kind == ERR_TOO_LARGE);
	buf_clear(&text);
}

static void listening(void)
{
	struct conf conf = CONF_INIT;
	struct err err = ERR_INIT;
	struct buf text = BUF_INIT;

	CHECK(refused(BASE "listen: {http: '0.0.0.0:80'}\n", "/c/x.yaml:3: listen.http",
		      "access: open"));
	CHECK(refused(BASE "listen: {http: '[::]:80'}\n", "/c/x.yaml:3: ", "access: open"));
	CHECK(refused(BASE "  address: 192.0.2.1\n", "/c/x.yaml:3: listen.http", "access: open"));
	CHECK(refused(BASE "listen: {versions: '192.0.2.1:80'}\ngroup: {key_file: k}\n",
		      "/c/x.yaml:3: listen.versions", "access: open"));
	CHECK(refused(BASE "listen: {versions: 4721}\ngroup: {key_file: k}\n", "/c/x.yaml:3: ",
		      "same address"));
	CHECK(conf_parse(&conf, STR(BASE "listen: {versions: '192.0.2.1:80'}\n"), "x", &err) == 0);
	CHECK(!conf.listen.versions.given);
	CHECK(conf_parse(&conf, STR("access: open\n" BASE "  address: 192.0.2.1\n"
				    "group: {key_file: k}\n"), "x", &err) == 0);
	CHECK(listens(&conf.listen.http[0], "192.0.2.1:4720"));
	CHECK(listens(&conf.listen.discovery, "192.0.2.1:4721"));
	CHECK(conf_parse(&conf, STR(BASE "listen:\n  http: [5000, '[::1]:80']\n  unix: h.sock\n"), "/usr/x.yaml", &err) == 0);
	CHECK(listens(&conf.listen.http[0], "127.0.0.1:5000") && listens(&conf.listen.http[1], "[::1]:80"));
	CHECK(!conf.listen.http[2].given && strcmp(conf.listen.http_unix, "/usr/h.sock") == 0);
	buf_adds(&text, BASE "  run: /");
	for (int i = 0; i < 100; i++)
		buf_addc(&text, 'r');
	CHECK(refused(text.data, "/c/x.yaml:3: node.run: ", "too long"));
	buf_clear(&text);
	conf_clear(&conf);
}

int main(void)
{
	struct conf conf = CONF_INIT;
	struct err err = ERR_INIT;

	defaults();
	everything();
	rules();
	wrong_types();
	wrong_files();
	hostile();
	listening();
	CHECK(conf_load(&conf, "/nonexistent/x.yaml", &err) == -1 && err.kind == ERR_ABSENT);
	CHECK(conf_load(&conf, "/", &err) == -1);
	conf_clear(&conf);
	return UNIT_RESULT();
}
