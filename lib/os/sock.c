/* sock - addresses, and the sockets covey listens and talks on */
#include "sock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* addresses */

static struct sockaddr_in *v4(struct address *a)
{
	return (struct sockaddr_in *)(void *)&a->sa;
}

static struct sockaddr_in6 *v6(struct address *a)
{
	return (struct sockaddr_in6 *)(void *)&a->sa;
}

static const struct sockaddr_in *const_v4(const struct address *a)
{
	return (const struct sockaddr_in *)(const void *)&a->sa;
}

static const struct sockaddr_in6 *const_v6(const struct address *a)
{
	return (const struct sockaddr_in6 *)(const void *)&a->sa;
}

/* The host as C text without brackets; -1 when it is too long. */
static int copy_host(char to[INET6_ADDRSTRLEN], struct str host)
{
	if (host.n == 0 || host.n >= INET6_ADDRSTRLEN || memchr(host.s, '\0', host.n) != NULL)
		return -1;
	memcpy(to, host.s, host.n);
	to[host.n] = '\0';
	return 0;
}

static int set_host(struct address *a, struct str host)
{
	bool bracketed = host.n >= 2 && host.s[0] == '[' && host.s[host.n - 1] == ']';
	char text[INET6_ADDRSTRLEN];

	if (bracketed)
		host = (struct str){ host.s + 1, host.n - 2 };
	if (copy_host(text, host) < 0)
		return -1;
	memset(a, 0, sizeof *a);
	if (!bracketed) {
		a->len = sizeof *v4(a);
		v4(a)->sin_family = AF_INET;
		return inet_pton(AF_INET, text, &v4(a)->sin_addr) == 1 ? 0 : -1;
	}
	a->len = sizeof *v6(a);
	v6(a)->sin6_family = AF_INET6;
	return inet_pton(AF_INET6, text, &v6(a)->sin6_addr) == 1 ? 0 : -1;
}

int address_parse(struct str text, struct address *ret, struct err *err)
{
	const char *colon = text.n ? memrchr(text.s, ':', text.n) : NULL;
	struct address a;
	uint64_t port;

	if (colon == NULL ||
	    set_host(&a, (struct str){ text.s, (size_t)(colon - text.s) }) < 0 ||
	    str_u64((struct str){ colon + 1, text.n - (size_t)(colon + 1 - text.s) }, UINT16_MAX,
		    &port) < 0)
		return err_set(err, ERR_INVALID,
			       "read address %.*s: wanted ADDRESS:PORT or [ADDRESS]:PORT, in numbers",
			       (int)(text.n < 100 ? text.n : 100), text.s ? text.s : "");
	address_set_port(&a, (uint16_t)port);
	*ret = a;
	return 0;
}

const char *address_format(char to[ADDRESS_TEXT], const struct address *a)
{
	char host[INET6_ADDRSTRLEN] = "";

	if (a->len == 0)
		snprintf(to, ADDRESS_TEXT, "-");
	else if (a->sa.ss_family == AF_INET &&
		 inet_ntop(AF_INET, &const_v4(a)->sin_addr, host, sizeof host) != NULL)
		snprintf(to, ADDRESS_TEXT, "%s:%u", host, address_port(a));
	else if (a->sa.ss_family == AF_INET6 &&
		 inet_ntop(AF_INET6, &const_v6(a)->sin6_addr, host, sizeof host) != NULL)
		snprintf(to, ADDRESS_TEXT, "[%s]:%u", host, address_port(a));
	else
		snprintf(to, ADDRESS_TEXT, "?");
	return to;
}

bool address_eq(const struct address *a, const struct address *b)
{
	if (a->len == 0 || b->len == 0)
		return a->len == b->len;
	if (a->sa.ss_family != b->sa.ss_family || address_port(a) != address_port(b))
		return false;
	if (a->sa.ss_family == AF_INET)
		return const_v4(a)->sin_addr.s_addr == const_v4(b)->sin_addr.s_addr;
	if (a->sa.ss_family == AF_INET6)
		return memcmp(&const_v6(a)->sin6_addr, &const_v6(b)->sin6_addr,
			      sizeof const_v6(a)->sin6_addr) == 0;
	return false;
}

bool address_is_loopback(const struct address *a)
{
	if (a->sa.ss_family == AF_INET)
		return ntohl(const_v4(a)->sin_addr.s_addr) >> 24 == 127;
	if (a->sa.ss_family == AF_INET6)
		return IN6_IS_ADDR_LOOPBACK(&const_v6(a)->sin6_addr);
	return false;
}

bool address_is_any(const struct address *a)
{
	if (a->sa.ss_family == AF_INET)
		return const_v4(a)->sin_addr.s_addr == htonl(INADDR_ANY);
	if (a->sa.ss_family == AF_INET6)
		return IN6_IS_ADDR_UNSPECIFIED(&const_v6(a)->sin6_addr);
	return false;
}

uint16_t address_port(const struct address *a)
{
	if (a->sa.ss_family == AF_INET)
		return ntohs(const_v4(a)->sin_port);
	if (a->sa.ss_family == AF_INET6)
		return ntohs(const_v6(a)->sin6_port);
	return 0;
}

void address_set_port(struct address *a, uint16_t port)
{
	if (a->sa.ss_family == AF_INET)
		v4(a)->sin_port = htons(port);
	else if (a->sa.ss_family == AF_INET6)
		v6(a)->sin6_port = htons(port);
}

/* listening and connecting */

static int fail_close(int fd, struct err *err, const char *verb, const char *object)
{
	err_sys(err, "%s %s", verb, object);
	close(fd);
	return -1;
}

static int bind_inet(const struct address *a, int type, const char *text, struct err *err)
{
	int on = 1, off = 0;
	int fd = socket(a->sa.ss_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return err_sys(err, "open socket for %s", text);
	if (type == SOCK_STREAM)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (a->sa.ss_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
	if (bind(fd, (const struct sockaddr *)&a->sa, a->len) < 0)
		return fail_close(fd, err, "bind", text);
	return fd;
}

int sock_listen_tcp(const struct address *a, struct err *err)
{
	char text[ADDRESS_TEXT];
	int fd = bind_inet(a, SOCK_STREAM, address_format(text, a), err);

	if (fd >= 0 && listen(fd, SOMAXCONN) < 0)
		return fail_close(fd, err, "listen on", text);
	return fd;
}

int sock_bind_udp(const struct address *a, struct err *err)
{
	char text[ADDRESS_TEXT];

	return bind_inet(a, SOCK_DGRAM, address_format(text, a), err);
}

static int unix_address(struct sockaddr_un *to, const char *path, struct err *err)
{
	size_t n = strlen(path);

	if (n >= sizeof to->sun_path)
		return err_set(err, ERR_INVALID,
			       "name socket %s: longer than %zu bytes; set a shorter node.run", path,
			       sizeof to->sun_path - 1);
	memset(to, 0, sizeof *to);
	to->sun_family = AF_UNIX;
	memcpy(to->sun_path, path, n);
	return 0;
}

static int connect_unix(const char *path, int type, struct err *err)
{
	struct sockaddr_un a;
	int fd;

	if (unix_address(&a, path, err) < 0)
		return -1;
	fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_sys(err, "open socket for %s", path);
	if (connect(fd, (const struct sockaddr *)&a, sizeof a) < 0)
		return fail_close(fd, err, "connect to", path);
	return fd;
}

int sock_connect_unix(const char *path, struct err *err)
{
	return connect_unix(path, SOCK_SEQPACKET, err);
}

static int listen_unix(const char *path, int type, struct err *err)
{
	struct err why = ERR_INIT;
	struct sockaddr_un a;
	struct stat st;
	int fd;

	if (unix_address(&a, path, err) < 0)
		return -1;
	fd = connect_unix(path, type, &why);
	if (fd >= 0 || why.sys == EAGAIN) {	/* its queue is full */
		if (fd >= 0)
			close(fd);
		return err_set(err, ERR_EXISTS, "listen on %s: somebody else listens there", path);
	}
	if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode))
		unlink(path);
	fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_sys(err, "open socket for %s", path);
	if (bind(fd, (const struct sockaddr *)&a, sizeof a) < 0)
		return fail_close(fd, err, "bind", path);
	/* Nobody can connect before listen(), so the mode is never wider than this. */
	if (chmod(path, 0660) < 0)
		return fail_close(fd, err, "set mode of", path);
	if (listen(fd, SOMAXCONN) < 0)
		return fail_close(fd, err, "listen on", path);
	return fd;
}

int sock_listen_unix(const char *path, struct err *err)
{
	return listen_unix(path, SOCK_SEQPACKET, err);
}

int sock_listen_unix_stream(const char *path, struct err *err)
{
	return listen_unix(path, SOCK_STREAM, err);
}

int sock_address(int fd, struct address *ret, struct err *err)
{
	struct address a = { .len = sizeof a.sa };

	if (getsockname(fd, (struct sockaddr *)&a.sa, &a.len) < 0)
		return err_sys(err, "read address of descriptor %d", fd);
	*ret = a;
	return 0;
}

/* packets */

union control {
	char bytes[CMSG_SPACE(sizeof(int) * SOCK_FDS_MAX)];
	struct cmsghdr align;
};

int sock_send(int fd, const void *bytes, size_t n, const int *fds, size_t fd_count, struct err *err)
{
	struct iovec iov = { .iov_len = n };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	union control control;

	if (fd_count > SOCK_FDS_MAX)
		return err_set(err, ERR_TOO_LARGE, "send packet: more than %d descriptors",
			       SOCK_FDS_MAX);
	memcpy(&iov.iov_base, &bytes, sizeof bytes);	/* sendmsg() only reads it */
	if (fd_count > 0) {
		struct cmsghdr *head = &control.align;

		memset(&control, 0, sizeof control);
		msg.msg_control = control.bytes;
		msg.msg_controllen = CMSG_SPACE(sizeof *fds * fd_count);
		head->cmsg_level = SOL_SOCKET;
		head->cmsg_type = SCM_RIGHTS;
		head->cmsg_len = CMSG_LEN(sizeof *fds * fd_count);
		memcpy(CMSG_DATA(head), fds, sizeof *fds * fd_count);
	}
	while (sendmsg(fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
		if (errno == EAGAIN)
			return err_set(err, ERR_TIMEOUT, "send packet: the queue is full");
		if (errno != EINTR)
			return err_sys(err, "send packet");
	}
	return 0;
}

/* What came along; fds has room for SOCK_FDS_MAX, which is all the control buffer can hold. */
static size_t take_fds(struct msghdr *msg, int *fds)
{
	size_t count = 0;

	for (struct cmsghdr *head = CMSG_FIRSTHDR(msg); head != NULL; head = CMSG_NXTHDR(msg, head)) {
		size_t n = head->cmsg_len - CMSG_LEN(0);

		if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS)
			continue;
		memcpy(fds + count, CMSG_DATA(head), n);
		count += n / sizeof *fds;
	}
	return count;
}

int sock_recv(int fd, void *to, size_t cap, size_t *ret_n, int *ret_fds, size_t *ret_fd_count,
	      struct err *err)
{
	union control control;
	struct iovec iov = { .iov_base = to, .iov_len = cap };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control.bytes,
			      .msg_controllen = sizeof control.bytes };
	int fds[SOCK_FDS_MAX];
	size_t count;
	ssize_t n;

	do
		n = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN)
		return err_set(err, ERR_TIMEOUT, "receive packet: none is there");
	if (n < 0)
		return err_sys(err, "receive packet");
	count = take_fds(&msg, fds);
	if (n > 0 && !(msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) &&
	    (count == 0 || ret_fds != NULL)) {
		*ret_n = (size_t)n;
		if (ret_fds != NULL) {
			memcpy(ret_fds, fds, sizeof *fds * count);
			*ret_fd_count = count;
		}
		return 1;
	}
	for (size_t i = 0; i < count; i++)
		close(fds[i]);
	if (n == 0)
		return 0;
	return err_set(err, ERR_TOO_LARGE, "receive packet: too long, or with descriptors unasked");
}
