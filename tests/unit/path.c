/* path: what a request can name, and what it cannot */
#include "path.h"
#include "unit.h"

static void takes(const char *target, const char *expected, bool slash)
{
	struct buf path = BUF_INIT, again = BUF_INIT;
	struct err err = ERR_INIT;
	bool got = !slash;

	buf_adds(&path, "=");
	CHECK(path_from_target(&path, &got, str_of(target), &err) == 0);
	CHECK(got == slash);
	CHECK(path.data[0] == '=' && str_eq(str_of(path.data + 1), str_of(expected)));
	CHECK(path_check(str_of(path.data + 1), NULL) == 0);
	path_to_target(&again, str_of(expected), slash);
	buf_reset(&path);
	CHECK(path_from_target(&path, &got, buf_str(&again), NULL) == 0);
	CHECK(got == slash && str_eq(buf_str(&path), str_of(expected)));
	buf_clear(&path);
	buf_clear(&again);
}

static void refuses(struct str target, enum err_kind kind)
{
	struct buf path = BUF_INIT;
	struct err err = ERR_INIT;
	bool slash = true;

	buf_adds(&path, "=");
	CHECK(path_from_target(&path, &slash, target, &err) < 0);
	if (err.kind != kind)
		fprintf(stderr, "%.*s: kind %d\n", STR_ARG(target), err.kind);
	CHECK(err.kind == kind);
	CHECK(path.len == 1 && slash);
	buf_clear(&path);
}

static void targets(void)
{
	takes("/", "", true);
	takes("/a", "a", false);
	takes("/a/", "a", true);
	takes("/docs/a%20b.pdf", "docs/a b.pdf", false);
	takes("/%2ea/...", ".a/...", false);
	takes("/a/.covey", "a/.covey", false);
	takes("/.covey2", ".covey2", false);
	takes("/,a/,", ",a/,", false);
	takes("/%ff%C3%a4/", "\xff\xc3\xa4", true);
	takes("/a%0Ab%25", "a\nb%", false);
	takes("//", "", true);
	takes("/.", "", true);
	takes("/./", "", true);
	takes("//a", "a", false);
	takes("/a//b", "a/b", false);
	takes("/a//", "a", true);
	takes("/a/./b", "a/b", false);
	takes("/./a/.//./b/.", "a/b", true);

	refuses(STR(""), ERR_INVALID);
	refuses(STR("a"), ERR_INVALID);
	refuses(STR("/.."), ERR_INVALID);
	refuses(STR("/../a"), ERR_INVALID);
	refuses(STR("/a/../b"), ERR_INVALID);
	refuses(STR("/a/.."), ERR_INVALID);
	refuses(STR("/a/%2e%2E/b"), ERR_INVALID);
	refuses(STR("/a/.%2e/b"), ERR_INVALID);
	refuses(STR("/a/%2e/b"), ERR_INVALID);
	refuses(STR("/a%2Fb"), ERR_INVALID);
	refuses(STR("/a%00b"), ERR_INVALID);
	refuses(STR("/a%"), ERR_INVALID);
	refuses(STR("/a%2"), ERR_INVALID);
	refuses(STR("/a%zz"), ERR_INVALID);
	refuses((struct str){ "/a\0b", 4 }, ERR_INVALID);
	refuses(STR("/.covey"), ERR_DENIED);
	refuses(STR("/.covey/"), ERR_DENIED);
	refuses(STR("//.covey/x"), ERR_DENIED);
	refuses(STR("/./.covey/x"), ERR_DENIED);
	refuses(STR("/%2ecovey/x"), ERR_DENIED);
}

/* "/a/a/..." with components of n bytes, total bytes of path. */
static void lengths(size_t n, size_t total, bool fits)
{
	struct buf target = BUF_INIT, path = BUF_INIT;
	struct err err = ERR_INIT;
	bool slash;

	buf_addc(&target, '/');
	for (size_t i = 1; i <= total; i++)
		buf_addc(&target, i % (n + 1) == 0 ? '/' : 'a');
	CHECK((path_from_target(&path, &slash, buf_str(&target), &err) == 0) == fits);
	if (!fits)
		CHECK(err.kind == ERR_TOO_LARGE);
	CHECK((path_check((struct str){ target.data + 1, total }, NULL) == 0) == fits);
	buf_clear(&target);
	buf_clear(&path);
}

static void parts(void)
{
	struct buf buf = BUF_INIT;
	struct str name;

	CHECK(str_eq(path_parent(STR("docs/x/a.pdf")), STR("docs/x")));
	CHECK(str_eq(path_name(STR("docs/x/a.pdf")), STR("a.pdf")));
	CHECK(str_eq(path_parent(STR("a.pdf")), STR("")));
	CHECK(str_eq(path_name(STR("a.pdf")), STR("a.pdf")));
	CHECK(path_parent((struct str)STR_INIT).n == 0 && path_name((struct str)STR_INIT).n == 0);
	path_join(&buf, STR(""), STR("a"));
	path_join(&buf, buf_str(&(struct buf){ .data = NULL }), STR("b"));
	path_join(&buf, STR("c"), STR("d"));
	CHECK(str_eq(buf_str(&buf), STR("abc/d")));

	buf_reset(&buf);
	path_to_history(&buf, STR(",a/b,/,,c"));
	CHECK(str_eq(buf_str(&buf), STR(",,a/b,/,,,c")));
	name = STR(",,,c");
	CHECK(path_name_from_history(&name) && str_eq(name, STR(",,c")));
	name = STR("b,");
	CHECK(path_name_from_history(&name) && str_eq(name, STR("b,")));
	name = STR(",");
	CHECK(!path_name_from_history(&name));
	name = STR(",2026");
	CHECK(!path_name_from_history(&name));
	buf_clear(&buf);
}

/* Published: other programs may have to find the same homes. */
static void partitions(void)
{
	char longest[PATH_BYTES];

	memset(longest, 'x', sizeof longest);
	CHECK(path_partition_of_directory(STR("")) == 3922);
	CHECK(path_partition_of_directory(STR("a")) == 44);
	CHECK(path_partition_of_directory(STR("docs")) == 572);
	CHECK(path_partition_of_directory(STR("docs/2026")) == 3815);
	CHECK(path_partition_of_directory(STR("\xff\xc3\xa4")) == 3970);
	CHECK(path_partition_of_directory((struct str){ longest, sizeof longest }) == 2626);
	CHECK(path_partition(STR("docs/2026/a.pdf")) == 3815);
	CHECK(path_partition(STR("docs")) == 3922);
}

/* The path of a directory's gate is one of what records are about, and no other's. */
static void gates(void)
{
	struct str parent = path_parent(STR("docs/x/"));
	char longest[PATH_BYTES + 1];
	struct buf buf = BUF_INIT;

	CHECK(path_is_gate(STR("docs/")) && path_is_gate(STR("docs/x/")));
	CHECK(!path_is_gate(STR("docs")) && !path_is_gate(STR("")) && !path_is_gate(STR("/")));
	CHECK(path_check_record(STR("docs/x/"), NULL) == 0 &&
	      path_check_record(STR("docs/x"), NULL) == 0 && path_check_record(STR(""), NULL) == 0);
	CHECK(path_check(STR("docs/"), NULL) < 0);
	CHECK(path_check_record(STR("/"), NULL) < 0 && path_check_record(STR("docs//"), NULL) < 0);
	CHECK(path_check_record(STR("../"), NULL) < 0 && path_check_record(STR(".covey/"), NULL) < 0);
	for (size_t i = 0; i < PATH_BYTES; i++)
		longest[i] = i % 10 == 9 ? '/' : 'x';
	longest[PATH_BYTES] = '/';
	CHECK(path_check_record((struct str){ longest, PATH_BYTES }, NULL) == 0);
	longest[PATH_BYTES - 1] = 'x';
	CHECK(path_check_record((struct str){ longest, PATH_BYTES + 1 }, NULL) < 0);
	CHECK(str_eq(parent, STR("docs/x")) && path_name(STR("docs/x/")).n == 0);
	path_to_gate(&buf, STR("docs/x"));
	CHECK(str_eq(buf_str(&buf), STR("docs/x/")));
	CHECK(path_partition(buf_str(&buf)) == path_partition(STR("docs/x/a.pdf")));
	buf_clear(&buf);
}

int main(void)
{
	targets();
	lengths(254, 254, true);
	lengths(255, 255, false);
	lengths(200, 900, true);
	lengths(200, 901, false);
	parts();
	gates();
	partitions();
	CHECK(path_hash(STR("")) == UINT64_C(0xcbf29ce484222325));
	CHECK(path_hash(STR("foobar")) == UINT64_C(0x85944171f73967e8));
	return UNIT_RESULT();
}
