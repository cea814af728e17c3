/* sockets - the descriptors a role listens on: handed over, or opened */
#include "sockets.h"

#include "buf.h"

#include <fcntl.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

int sockets_fd(const struct sockets *sockets, const char *name)
{
	for (size_t i = 0; i < sockets->count; i++)
		if (str_eq(str_of(sockets->list[i].name), str_of(name)))
			return sockets->list[i].fd;
	return -1;
}

static void add(struct sockets *sockets, const char *name, int fd)
{
	if (sockets->count == SOCKETS_MAX)
		abort();	/* the role's table is longer */
	sockets->list[sockets->count].name = name;
	sockets->list[sockets->count++].fd = fd;
}

void sockets_clear(struct sockets *sockets)
{
	for (size_t i = 0; i < sockets->count; i++)
		close(sockets->list[i].fd);
	*sockets = (struct sockets)SOCKETS_INIT;
}

/* Where the configuration wants the socket; NULL: nowhere, or not an internet address. */
static const struct conf_listen *listen_of(const struct conf *conf, const char *name)
{
	if (str_eq(str_of(name), STR("http")))
		return &conf->listen.http;
	if (str_eq(str_of(name), STR("discovery")))
		return &conf->listen.discovery;
	if (str_eq(str_of(name), STR("versions")))
		return &conf->listen.versions;
	return NULL;
}

static void local_path(struct buf *to, const char *run, const char *name)
{
	buf_addf(to, "%s/%s.sock", run, name);
}

/* what was handed over */

/* covey-generator lets alone what is open, so this takes all three. */
#define REOPEN "; to have systemd open that: systemctl stop 'covey*', daemon-reload, start covey.target"

static int check_inet(int fd, const struct service_socket *want, const struct conf *conf,
		      struct err *err)
{
	bool tcp = want->kind == SERVICE_TCP;
	const struct conf_listen *listen = listen_of(conf, want->name);
	char is[ADDRESS_TEXT], should[ADDRESS_TEXT];
	struct address address;

	if (sd_is_socket(fd, AF_UNSPEC, tcp ? SOCK_STREAM : SOCK_DGRAM, tcp ? 1 : -1) <= 0)
		return err_set(err, ERR_INVALID, "adopt socket \"%s\": not a %s socket", want->name,
			       tcp ? "listening TCP" : "UDP");
	if (sock_address(fd, &address, err) < 0)
		return -1;
	if (listen == NULL || !listen->given)
		return err_set(err, ERR_INVALID,
			       "adopt socket \"%s\" at %s: the configuration has no listen.%s",
			       want->name, address_format(is, &address), want->name);
	if (address_port(&listen->address) == 0)
		address_set_port(&address, 0);	/* any port will do */
	if (!address_eq(&address, &listen->address))
		return err_set(err, ERR_INVALID, "adopt socket \"%s\" at %s: listen.%s says %s" REOPEN,
			       want->name, address_format(is, &address), want->name,
			       address_format(should, &listen->address));
	if (!conf->access_open && !address_is_loopback(&address))
		return err_set(err, ERR_DENIED,
			       "adopt socket \"%s\" at %s: beyond loopback without \"access: open\"",
			       want->name, address_format(is, &address));
	return 0;
}

static int check_local(int fd, const struct service_socket *want, const char *run, struct err *err)
{
	struct buf path = BUF_INIT;
	int result = 0;

	local_path(&path, run, want->name);
	if (sd_is_socket_unix(fd, SOCK_SEQPACKET, 1, path.data, 0) <= 0)
		result = err_set(err, ERR_INVALID,
				 "adopt socket \"%s\": not a SOCK_SEQPACKET listener at %s" REOPEN,
				 want->name, path.data);
	buf_clear(&path);
	return result;
}

static const struct service_socket *find(const struct service_socket *wanted, const char *name)
{
	for (; wanted->name != NULL; wanted++)
		if (str_eq(str_of(wanted->name), str_of(name)))
			return wanted;
	return NULL;
}

static int adopt(struct sockets *sockets, int fd, const char *name,
		 const struct service_socket *wanted, const struct conf *conf, const char *run,
		 struct err *err)
{
	const struct service_socket *want = find(wanted, name);
	int flags = fcntl(fd, F_GETFL);

	if (want == NULL || sockets_fd(sockets, name) >= 0)
		return err_set(err, ERR_INVALID, "adopt socket \"%s\": %s", name,
			       want == NULL ? "this role has none of that name" :
					      "there are two of that name");
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return err_sys(err, "adopt socket \"%s\"", name);
	if ((want->kind == SERVICE_UNIX ? check_local(fd, want, run, err) :
					  check_inet(fd, want, conf, err)) < 0)
		return -1;
	add(sockets, want->name, fd);
	sockets->handed = true;
	return 0;
}

static int adopt_all(struct sockets *sockets, const struct service_socket *wanted,
		     const struct conf *conf, const char *run, struct err *err)
{
	char **names = NULL;
	int n = sd_listen_fds_with_names(1, &names), result = 0;

	for (int i = 0; i < n && result == 0; i++)
		result = adopt(sockets, SD_LISTEN_FDS_START + i, names[i], wanted, conf, run, err);
	for (int i = 0; i < n; i++)
		free(names[i]);
	free(names);
	return result;
}

/* what was not */

static int open_one(const struct service_socket *want, const struct conf *conf, const char *run,
		    struct err *err)
{
	const struct conf_listen *listen = listen_of(conf, want->name);
	struct buf path = BUF_INIT;
	int fd;

	if (want->kind == SERVICE_TCP)
		return sock_listen_tcp(&listen->address, err);
	if (want->kind == SERVICE_UDP)
		return sock_bind_udp(&listen->address, err);
	local_path(&path, run, want->name);
	fd = sock_listen_unix(path.data, err);
	buf_clear(&path);
	return fd;
}

int sockets_open(struct sockets *sockets, const struct service_socket *wanted,
		 const struct conf *conf, const char *run, struct err *err)
{
	if (adopt_all(sockets, wanted, conf, run, err) < 0)
		return -1;
	for (; wanted->name != NULL; wanted++) {
		const struct conf_listen *listen = listen_of(conf, wanted->name);
		int fd;

		if (sockets_fd(sockets, wanted->name) >= 0)
			continue;
		if (wanted->kind != SERVICE_UNIX && !listen->given) {
			if (wanted->optional)
				continue;
			return err_set(err, ERR_INVALID, "open socket: the configuration has no listen.%s",
				       wanted->name);
		}
		fd = open_one(wanted, conf, run, err);
		if (fd < 0)
			return -1;
		add(sockets, wanted->name, fd);
	}
	return 0;
}
