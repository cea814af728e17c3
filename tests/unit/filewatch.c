/* filewatch: however a path comes to lead to other bytes, it is told; what is beside it is not. */
#include "unit.h"

#include "buf.h"
#include "filewatch.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static struct loop *loop;
static unsigned calls;
static struct timer patience;
static char top[] = "/tmp/covey-filewatch.XXXXXX";

static void on_change(void *data)
{
	(void)data;
	calls++;
	loop_stop(loop);
}

static void on_patience(struct timer *timer)
{
	(void)timer;
	loop_stop(loop);
}

/* The loop, until a change is told, or nothing was for so long. */
static bool is_told(uint64_t ms)
{
	unsigned before = calls;

	patience.fire = on_patience;
	timer_start(loop, &patience, ms);
	CHECK(loop_run(loop, NULL) == 0);
	timer_stop(&patience);
	return calls > before;
}

#define SOON 20000			/* told much sooner; a machine may be busy */
#define A_WHILE 400

/* What is still to be told of the last step. */
static void settle(void)
{
	while (is_told(A_WHILE))
		;
}

static char *in_top(const char *name)
{
	struct buf path = BUF_INIT;

	buf_addf(&path, "%s/%s", top, name);
	return buf_take(&path);
}

static void write_file(const char *name, const char *text)
{
	char *path = in_top(name);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
	free(path);
}

static void rename_in_top(const char *from, const char *to)
{
	char *a = in_top(from), *b = in_top(to);

	CHECK(rename(a, b) == 0);
	free(a);
	free(b);
}

static void make_directory(const char *name)
{
	char *path = in_top(name);

	CHECK(mkdir(path, 0700) == 0);
	free(path);
}

static void remove_file(const char *name)
{
	char *path = in_top(name);

	CHECK(remove(path) == 0);
	free(path);
}

static void link_to(const char *target, const char *name)
{
	char *path = in_top(name);

	CHECK(symlink(target, path) == 0);
	free(path);
}

static struct filewatch *watch_file(const char *name)
{
	struct filewatch *w = filewatch_new(loop, on_change, NULL);
	char *path = in_top(name);

	filewatch_add(w, path);
	free(path);
	return w;
}

static void test_plain(void)
{
	struct filewatch *w;

	make_directory("plain");
	write_file("plain/key", "one");
	w = watch_file("plain/key");
	CHECK(!is_told(A_WHILE));
	write_file("plain/key", "two");			/* in place, of the same length */
	CHECK(is_told(SOON));
	settle();
	write_file("plain/key.new", "three");
	CHECK(!is_told(A_WHILE));			/* a name beside it */
	rename_in_top("plain/key.new", "plain/key");
	CHECK(is_told(SOON));
	settle();
	remove_file("plain/key");
	CHECK(is_told(SOON));
	settle();
	write_file("plain/key", "four");
	CHECK(is_told(SOON));
	settle();
	filewatch_free(w);
}

/* /etc/letsencrypt: live/x/key -> ../../archive/x/key1 */
static void test_links(void)
{
	struct filewatch *w;

	make_directory("live");
	make_directory("archive");
	write_file("archive/key1", "one");
	write_file("archive/key2", "two");
	link_to("../archive/key1", "live/key");
	w = watch_file("live/key");
	write_file("archive/key2", "two again");
	CHECK(!is_told(A_WHILE));
	link_to("../archive/key2", "live/key.new");
	rename_in_top("live/key.new", "live/key");
	CHECK(is_told(SOON));
	settle();
	write_file("archive/key2", "two once more");	/* it leads there now */
	CHECK(is_told(SOON));
	settle();
	write_file("archive/key1", "nobody's");
	CHECK(!is_told(A_WHILE));
	filewatch_free(w);
}

/* Kubernetes: key -> ..data/key, ..data -> ..1 */
static void test_linked_directory(void)
{
	struct filewatch *w;

	make_directory("pod");
	make_directory("pod/..1");
	make_directory("pod/..2");
	write_file("pod/..1/key", "one");
	write_file("pod/..2/key", "two");
	link_to("..1", "pod/..data");
	link_to("..data/key", "pod/key");
	w = watch_file("pod/key");
	CHECK(!is_told(A_WHILE));
	link_to("..2", "pod/..data_tmp");
	rename_in_top("pod/..data_tmp", "pod/..data");
	CHECK(is_told(SOON));
	settle();
	write_file("pod/..2/key", "three");
	CHECK(is_told(SOON));
	settle();
	filewatch_free(w);
}

static void test_missing_directory(void)
{
	struct filewatch *w = watch_file("later/on/key");

	CHECK(!is_told(A_WHILE));
	make_directory("later");
	make_directory("later/on");
	settle();
	write_file("later/on/key", "one");
	CHECK(is_told(SOON));
	settle();
	rename_in_top("later", "earlier");		/* two above the file */
	CHECK(is_told(SOON));
	settle();
	make_directory("later");
	make_directory("later/on");
	settle();
	write_file("later/on/key", "two");
	CHECK(is_told(SOON));
	settle();
	filewatch_free(w);
}

/* A loop of links leads nowhere, and nobody turns in it for ever. */
static void test_endless(void)
{
	struct filewatch *w;

	link_to("round", "round");
	w = watch_file("round");
	CHECK(!is_told(A_WHILE));
	remove_file("round");
	write_file("round", "one");
	CHECK(is_told(SOON));
	settle();
	filewatch_free(w);
}

static char way_text[4096];

static void add_step(void *data, const char *directory, const char *name, bool turns)
{
	size_t n = strlen(way_text);

	(void)data;
	snprintf(way_text + n, sizeof way_text - n, "%s %s%s\n", directory, name, turns ? " turns" : "");
}

static void test_way(void)
{
	struct buf want = BUF_INIT;
	char *path = in_top("pod//./..1/../key");

	filewatch_way(path, add_step, NULL);
	buf_addf(&want, "/ tmp\n/tmp %s\n%s pod\n%s/pod ..1\n%s/pod key turns\n%s/pod ..data turns\n"
		 "%s/pod ..2\n%s/pod/..2 key turns\n", top + 5, top, top, top, top, top, top);
	CHECK(strcmp(way_text, want.data) == 0);
	buf_clear(&want);
	free(path);
}

/* Where the kernel tells nothing, because there is no descriptor for it, it is looked for. */
static void test_looked_for(void)
{
	char *path = in_top("plain/key");
	struct rlimit limit, none;
	struct filewatch *w;

	CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	none = (struct rlimit){ .rlim_cur = 0, .rlim_max = limit.rlim_max };
	CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
	w = watch_file("plain/key");
	CHECK(truncate(path, 1) == 0);
	CHECK(is_told(SOON));
	CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	filewatch_free(w);
	free(path);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *walk)
{
	(void)st;
	(void)type;
	(void)walk;
	return remove(path);
}

int main(void)
{
	CHECK(mkdtemp(top) != NULL);
	loop = loop_new(NULL);
	CHECK(loop != NULL);
	test_plain();
	test_links();
	test_linked_directory();
	test_way();
	test_missing_directory();
	test_endless();
	test_looked_for();
	loop_free(loop);
	CHECK(nftw(top, remove_one, 8, FTW_DEPTH | FTW_PHYS) == 0);
	return UNIT_RESULT();
}
