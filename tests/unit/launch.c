/* launch: started when wanted, handed the right sockets, started again, ended in time */
#include "launch.h"

#include "buf.h"
#include "container.h"
#include "file.h"
#include "sock.h"
#include "unit.h"

#include <netinet/in.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[] = "/var/tmp/covey-unit-launch.XXXXXX";
static struct buf told = BUF_INIT;

static void tell(const char *line)
{
	buf_adds(&told, line);
	buf_addc(&told, '\n');
}

/* A role that is a shell script: it logs to DIR/NAME.log and does what body says. */
static char *script(const char *name, const char *body)
{
	struct buf path = BUF_INIT, text = BUF_INIT;

	buf_addf(&path, "%s/%s", dir, name);
	buf_addf(&text,
		 "#!/bin/sh\necho \"$* fds=$LISTEN_FDS names=$LISTEN_FDNAMES "
		 "pid=$([ \"$LISTEN_PID\" = $$ ] && echo own) sockets=$(cd /proc/$$/fd && "
		 "for f in [3-9] ??; do [ ! -S $f ] || printf '%%s,' $f; done)\" >>%s/%s.log\n%s\n",
		 dir, name, body);
	CHECK(file_replace(path.data, buf_str(&text), 0755, NULL) == 0);
	buf_clear(&text);
	return buf_take(&path);
}

static size_t lines_of(const char *name, struct buf *text)
{
	struct buf path = BUF_INIT;
	size_t lines = 0;

	buf_addf(&path, "%s/%s.log", dir, name);
	buf_reset(text);
	file_read(path.data, 1 << 20, text, NULL);
	for (size_t i = 0; i < text->len; i++)
		lines += text->data[i] == '\n';
	buf_clear(&path);
	return lines;
}

static int udp_socket(struct address *address)
{
	int fd;

	CHECK(address_parse(STR("127.0.0.1:0"), address, NULL) == 0);
	fd = sock_bind_udp(address, NULL);
	CHECK(fd >= 0 && sock_address(fd, address, NULL) == 0);
	return fd;
}

static void poke(const struct address *address)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	CHECK(sendto(fd, "x", 1, 0, (const struct sockaddr *)&address->sa, address->len) == 1);
	close(fd);
}

struct until {
	struct timer timer;
	struct loop *loop;
};

static void time_is_up(struct timer *timer)
{
	loop_stop(CONTAINER_OF(timer, struct until, timer)->loop);
}

static void run_for(struct loop *loop, uint64_t ms)
{
	struct until until = { .timer = { .fire = time_is_up }, .loop = loop };

	timer_start(loop, &until.timer, ms);
	CHECK(loop_run(loop, NULL) == 0);
	timer_stop(&until.timer);
}

static void add(struct launch *launch, char *program, bool at_once, int first, int second)
{
	struct launch_role role = { .program = program, .conf_file = "some file", .node = "here",
				    .at_once = at_once, .sockets = second >= 0 ? 2 : 1,
				    .names = { "one", "two" }, .fds = { first, second } };
	struct err err = ERR_INIT;

	CHECK(launch_add(launch, &role, &err) == 0);
	free(program);
}

/* One on demand that reads a datagram from its second socket and leaves; one that always fails. */
static void life(struct loop *loop, struct launch *launch)
{
	struct address one, two, other;
	int first = udp_socket(&one), second = udp_socket(&two);
	struct buf text = BUF_INIT;

	CHECK(dup(first) >= 0);	/* would be inherited, and is not to be */
	add(launch, script("reader", "dd bs=9 count=1 <&4 >/dev/null 2>&1; sleep 0.2"), false, first,
	    second);
	add(launch, script("failing", "exit 3"), true, udp_socket(&other), -1);
	run_for(loop, 200);
	CHECK(lines_of("reader", &text) == 0);	/* nobody asked */
	poke(&two);
	run_for(loop, 600);
	CHECK(lines_of("reader", &text) == 1);
	CHECK(strcmp(text.data, "-c some file fds=2 names=one:two pid=own sockets=3,4,\n") == 0);
	poke(&two);		/* it has left, and is started again */
	run_for(loop, 600);
	CHECK(lines_of("reader", &text) == 2);
	/* 0, 100, 300, 700 and 1500 ms after the start, and what starting takes. */
	CHECK(lines_of("failing", &text) >= 3 && lines_of("failing", &text) <= 5);
	CHECK(strstr(told.data, "failing") != NULL && strstr(told.data, "status 3") != NULL);
	CHECK(strstr(told.data, "reader") == NULL);
	buf_clear(&text);
}

/* One that does not hear SIGTERM holds the end up for as long as it may, no longer. */
static void end(struct loop *loop, struct launch *launch)
{
	struct address address;
	struct buf text = BUF_INIT;
	uint64_t began;

	add(launch, script("deaf", "trap '' TERM; echo ready >>$0.log; while :; do sleep 1; done"),
	    true, udp_socket(&address), -1);
	run_for(loop, 500);
	CHECK(lines_of("deaf", &text) == 2);
	began = loop_now(loop);
	launch_stop(launch, 300);
	CHECK(loop_run(loop, NULL) == 0);
	CHECK(loop_now(loop) - began >= 290 && loop_now(loop) - began < 3000);
	buf_clear(&text);
}

int main(void)
{
	struct err err = ERR_INIT;
	struct loop *loop;
	struct launch *launch;
	static const char *const names[] = { "reader", "failing", "deaf" };

	CHECK(mkdtemp(dir) != NULL);
	loop = loop_new(&err);
	launch = launch_new(loop, tell);
	life(loop, launch);
	end(loop, launch);
	launch_free(launch);
	loop_free(loop);
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		struct buf path = BUF_INIT;

		buf_addf(&path, "%s/%s", dir, names[i]);
		unlink(path.data);
		buf_adds(&path, ".log");
		unlink(path.data);
		buf_clear(&path);
	}
	CHECK(rmdir(dir) == 0);
	buf_clear(&told);
	return UNIT_RESULT();
}
