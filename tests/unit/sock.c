/* Unit test of sock: addresses, listeners, packets and the descriptors they carry. */
#include "sock.h"

#include "unit.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static struct err err;

static void check_address(const char *text, bool loopback, bool any, uint16_t port)
{
	struct address a = { .len = 0 };
	char back[ADDRESS_TEXT];

	CHECK(address_parse(str_of(text), &a, &err) == 0);
	CHECK(strcmp(address_format(back, &a), text) == 0);
	CHECK(address_is_loopback(&a) == loopback);
	CHECK(address_is_any(&a) == any);
	CHECK(address_port(&a) == port);
	CHECK(address_eq(&a, &a));
}

static void test_addresses(void)
{
	static const char *const bad[] = { "", ":", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536",
					   "127.0.0.1:+1", "::1:80", "[::1]", "[::1:80", "host:80",
					   "1.2.3.4.5:80", "[127.0.0.1]:80", "127.0.0.1:80 ", " 1.1.1.1:1",
					   "[]:80", "[fffff::1]:80" };
	struct address a = { .len = 77 }, b;

	check_address("127.0.0.1:4720", true, false, 4720);
	check_address("127.9.9.9:1", true, false, 1);
	check_address("0.0.0.0:80", false, true, 80);
	check_address("192.0.2.1:65535", false, false, 65535);
	check_address("[::1]:4720", true, false, 4720);
	check_address("[::]:0", false, true, 0);
	check_address("[2001:db8::7]:99", false, false, 99);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		CHECK(address_parse(str_of(bad[i]), &a, &err) == -1 && err.kind == ERR_INVALID);
	CHECK(a.len == 77);
	CHECK(address_parse(STR("127.0.0.1:1"), &a, &err) == 0);
	b = a;
	address_set_port(&b, 2);
	CHECK(!address_eq(&a, &b) && address_port(&b) == 2);
}

static void test_inet(void)
{
	struct address a, bound;
	int fd, second;

	CHECK(address_parse(STR("127.0.0.1:0"), &a, &err) == 0);
	fd = sock_listen_tcp(&a, &err);
	CHECK(fd >= 0);
	CHECK(sock_address(fd, &bound, &err) == 0);
	CHECK(address_is_loopback(&bound) && address_port(&bound) != 0);
	second = sock_listen_tcp(&bound, &err);
	CHECK(second == -1 && strstr(err.text, "bind 127.0.0.1:") != NULL);
	close(fd);
	fd = sock_bind_udp(&a, &err);
	CHECK(fd >= 0);
	close(fd);
}

/* A connected pair through the listener at path. */
static void pair(const char *path, int *listener, int *client, int *server)
{
	*listener = sock_listen_unix(path, &err);
	CHECK(*listener >= 0);
	*client = sock_connect_unix(path, &err);
	CHECK(*client >= 0);
	*server = accept(*listener, NULL, NULL);
	CHECK(*server >= 0);
}

static void test_packets(int client, int server)
{
	int fds[2], got[SOCK_FDS_MAX];
	size_t n = 0, count = 99;
	char to[64] = { 0 };

	CHECK(sock_send(client, "hello", 5, NULL, 0, &err) == 0);
	CHECK(sock_recv(server, to, sizeof to, &n, got, &count, &err) == 1);
	CHECK(n == 5 && count == 0 && memcmp(to, "hello", 5) == 0);

	CHECK(pipe(fds) == 0);
	CHECK(sock_send(client, "fds", 3, fds, 2, &err) == 0);
	CHECK(sock_recv(server, to, sizeof to, &n, got, &count, &err) == 1);
	CHECK(n == 3 && count == 2);
	CHECK(write(got[1], "x", 1) == 1 && read(fds[0], to, 1) == 1 && to[0] == 'x');
	close(got[0]), close(got[1]);

	n = 42;
	CHECK(sock_send(client, to, sizeof to, fds, 1, &err) == 0);
	CHECK(sock_recv(server, to, sizeof to - 1, &n, got, &count, &err) == -1);
	CHECK(err.kind == ERR_TOO_LARGE && n == 42);
	CHECK(sock_send(client, to, 1, fds, 1, &err) == 0);
	CHECK(sock_recv(server, to, sizeof to, &n, NULL, NULL, &err) == -1);
	CHECK(sock_send(client, to, 1, fds, SOCK_FDS_MAX + 1, &err) == -1);
	close(fds[0]), close(fds[1]);
}

static void test_unix(const char *dir)
{
	char path[256], longer[300];
	int listener, client, server, again;
	struct stat st;
	size_t n;
	char to[8];

	snprintf(path, sizeof path, "%s/s.sock", dir);
	CHECK(sock_connect_unix(path, &err) == -1 && err.kind == ERR_ABSENT);
	pair(path, &listener, &client, &server);
	CHECK(stat(path, &st) == 0 && (st.st_mode & 0777) == 0660);
	CHECK(sock_listen_unix(path, &err) == -1 && err.kind == ERR_EXISTS);
	test_packets(client, server);

	CHECK(sock_recv(client, to, sizeof to, &n, NULL, NULL, &err) == -1);
	CHECK(err.kind == ERR_TIMEOUT);
	close(server);
	CHECK(sock_recv(client, to, sizeof to, &n, NULL, NULL, &err) == 0);
	CHECK(sock_send(client, "x", 1, NULL, 0, &err) == -1 && err.kind == ERR_AWAY);
	close(client);
	close(listener);
	CHECK(sock_connect_unix(path, &err) == -1 && err.kind == ERR_AWAY);
	again = sock_listen_unix(path, &err);	/* the stale one is replaced */
	CHECK(again >= 0);
	close(again);
	unlink(path);

	snprintf(longer, sizeof longer, "%s/%0120d", dir, 0);
	CHECK(sock_listen_unix(longer, &err) == -1 && err.kind == ERR_INVALID);
	CHECK(sock_connect_unix(longer, &err) == -1 && err.kind == ERR_INVALID);
}

int main(void)
{
	char dir[] = "/tmp/covey-sock-XXXXXX";

	CHECK(mkdtemp(dir) != NULL);
	test_addresses();
	test_inet();
	test_unix(dir);
	rmdir(dir);
	return UNIT_RESULT();
}
