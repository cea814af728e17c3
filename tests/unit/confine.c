/* confine: who is confined opens, makes and removes what it was given, and nothing else, in any thread. */
#include "unit.h"

#include "buf.h"
#include "confine.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static char top[] = "/tmp/covey-confine.XXXXXX";

static bool can_open(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC, 0600);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static bool is_denied(int result)
{
	return result < 0 && errno == EACCES;
}

static void *in_thread(void *data)
{
	(void)data;
	CHECK(!can_open("outside", O_RDONLY) && errno == EACCES);
	CHECK(can_open("store/tree/f", O_RDWR));
	return NULL;
}

static void links_and_renames(void)
{
	int body = open("store/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	char self[40];

	CHECK(body >= 0);
	snprintf(self, sizeof self, "/proc/self/fd/%d", body);
	CHECK(linkat(AT_FDCWD, self, AT_FDCWD, "store/tree/linked", AT_SYMLINK_FOLLOW) == 0);
	CHECK(can_open(self, O_RDONLY));
	CHECK(link("store/tree/linked", "store/tmp/again") == 0);
	CHECK(rename("store/tree/linked", "store/tmp/moved") == 0);
	CHECK(symlink("nowhere", "store/tree/pointer") == 0);
	CHECK(mkdir("store/tree/d", 0700) == 0 && rmdir("store/tree/d") == 0);
	CHECK(unlink("store/tmp/moved") == 0 && truncate("store/tree/f", 0) == 0);
	CHECK(link("store/tree/f", "taken") < 0);
	CHECK(is_denied(rename("outside", "store/tree/f")) || errno == EXDEV);
	close(body);
}

static void connects(const char *socket_path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(a.sun_path, sizeof a.sun_path, "%s", socket_path);
	CHECK(connect(fd, (const struct sockaddr *)&a, sizeof a) == 0);
	close(fd);
}

static int confined(int outside)
{
	struct confine *c = confine_new(NULL);
	pthread_t thread;
	char byte;

	confine_write(c, "store");
	confine_scratch(c, "scratch");
	confine_read(c, "keys");
	confine_read(c, "one.file");
	confine_read(c, "/proc/self");
	confine_read(c, "not.there");
	CHECK(can_open("outside", O_RDONLY));
	CHECK(confine_enter(c, NULL) == 0);
	confine_free(c);
	CHECK(!can_open("outside", O_RDONLY) && errno == EACCES);
	CHECK(!can_open("outside", O_WRONLY) && errno == EACCES);
	CHECK(!can_open("/etc/passwd", O_RDONLY) && errno == EACCES);
	CHECK(!can_open("store/../outside", O_RDONLY) && errno == EACCES);
	CHECK(!can_open("store/tree/to.outside", O_RDONLY) && errno == EACCES);
	CHECK(!can_open(".", O_RDONLY | O_DIRECTORY) && errno == EACCES);
	CHECK(is_denied(unlink("outside")) && is_denied(mkdir("new", 0700)));
	CHECK(can_open("keys/group.key", O_RDONLY));
	CHECK(!can_open("keys/group.key", O_WRONLY) && errno == EACCES);
	CHECK(can_open("one.file", O_RDONLY));
	CHECK(is_denied(rename("keys/group.key", "keys/other")));
	CHECK(can_open("store/tree/f", O_RDWR | O_CREAT | O_TRUNC));
	CHECK(pread(outside, &byte, 1, 0) == 1);		/* it was open before */
	CHECK(is_denied(execl("/bin/true", "true", (char *)NULL)));
	CHECK(can_open("scratch", O_TMPFILE | O_RDWR) && is_denied(open("scratch/named", O_RDWR | O_CREAT, 0600)));
	CHECK(!can_open("keys", O_TMPFILE | O_RDWR) && errno == EACCES);
	links_and_renames();
	connects("outside.sock");
	CHECK(pthread_create(&thread, NULL, in_thread, NULL) == 0);
	pthread_join(thread, NULL);
	return UNIT_RESULT();
}

static void write_file(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	CHECK(fd >= 0 && write(fd, "x", 1) == 1);
	close(fd);
}

static int listen_at(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
	CHECK(bind(fd, (const struct sockaddr *)&a, sizeof a) == 0 && listen(fd, 1) == 0);
	return fd;
}

int main(void)
{
	static const char *const leave[] = { "store/tree/f", "store/tree/pointer", "store/tree/to.outside",
					     "store/tmp/again", "store/tree", "store/tmp", "store", "keys/group.key",
					     "keys", "scratch", "outside", "outside.sock", "one.file" };
	struct err why = ERR_INIT;
	struct confine *c = confine_new(&why);
	int status = 1, outside, listener;
	pid_t child;

	if (c == NULL) {
		printf("NOT RUN: %s\n", why.kind == ERR_NONE ? "this is a sanitized build" : why.text);
		return 77;
	}
	confine_free(c);
	CHECK(mkdtemp(top) != NULL && chdir(top) == 0);
	CHECK(mkdir("store", 0700) == 0 && mkdir("store/tree", 0700) == 0 && mkdir("store/tmp", 0700) == 0);
	CHECK(mkdir("keys", 0700) == 0 && mkdir("scratch", 0700) == 0);
	write_file("keys/group.key");
	write_file("outside");
	write_file("one.file");
	CHECK(symlink("../../outside", "store/tree/to.outside") == 0);
	listener = listen_at("outside.sock");
	outside = open("outside", O_RDONLY | O_CLOEXEC);
	fflush(NULL);
	child = fork();
	if (child == 0)
		_exit(confined(outside));
	CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
	CHECK(can_open("outside", O_WRONLY));			/* the child alone was confined */
	close(listener);
	close(outside);
	for (size_t i = 0; i < sizeof leave / sizeof leave[0]; i++)
		CHECK(remove(leave[i]) == 0);
	CHECK(rmdir(top) == 0);
	return UNIT_RESULT();
}
