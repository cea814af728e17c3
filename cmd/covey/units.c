/*
 * covey units - the drop-ins that fit systemd's units to a configuration
 *
 * The units as installed serve conf/covey.yaml.  systemd opens the sockets,
 * so it must know where a configuration differs, and a group has more to
 * start than a node alone.  This prints the drop-ins, each headed by its
 * file, or writes them below a directory, as covey-generator has it do.
 * Where nothing differs nothing is printed.
 */
#include "command.h"

#include "buf.h"
#include "conf.h"
#include "file.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#define UNITS "/etc/systemd/system"
#define DROP_IN "50-address.conf"

/* As the units have it. */
#define SHIPPED_CONFIG "/etc/covey/covey.yaml"
#define SHIPPED_STORE "/var/lib/covey"
#define SHIPPED_RUN "/run/covey"

struct internet_unit {
	const char *unit;
	const char *kind;		/* the setting of systemd.socket(5) */
	const char *shipped;
};

static const struct internet_unit http = { "covey-httpd.socket", "ListenStream", "127.0.0.1:4720" };
static const struct internet_unit inetd = { "covey-httpd-inetd.socket", "ListenStream",
					    "127.0.0.1:4720" };
static const struct internet_unit discovery = { "covey-discoverd-udp.socket", "ListenDatagram",
						"127.0.0.1:4721" };
static const struct internet_unit versions = { "covey-versiond-udp.socket", "ListenDatagram",
					       "127.0.0.1:4722" };

static const struct internet_unit https = { "covey-httpd-https.socket", "ListenStream", "127.0.0.1:4743" };

#define UNIX_UNIT "covey-httpd-unix.socket"
#define SHIPPED_UNIX "/run/covey/http.sock"

static const struct {
	const char *unit;
	const char *socket;		/* in node.run */
} local_units[] = {
	{ "covey-discoverd.socket", "discover.sock" },
	{ "covey-versiond.socket", "version.sock" },
	{ "covey-syncd.socket", "sync.sock" },
};
#define LOCAL_UNITS (sizeof local_units / sizeof local_units[0])

/* What a group starts besides covey-httpd. */
#define GROUP_WANTS "covey-discoverd.service covey-versiond.socket covey-versiond-udp.socket " \
		    "covey-syncd.socket"

struct units {
	const struct conf *conf;
	const char *config;		/* its file, absolute */
	const char *directory;		/* to write below; NULL: print, each headed by its file */
};

static int write_drop_in(const char *directory, const char *unit, struct str text, struct err *err)
{
	struct buf path = BUF_INIT;
	int rc;

	buf_addf(&path, "%s/%s.d", directory, unit);
	if (mkdir(path.data, 0755) < 0 && errno != EEXIST) {
		rc = err_sys(err, "make directory %s", path.data);
	} else {
		buf_adds(&path, "/" DROP_IN);
		rc = file_replace(path.data, text, 0644, err);
	}
	buf_clear(&path);
	return rc;
}

/* The text is used up. */
static int put_drop_in(const struct units *units, const char *unit, struct buf *text,
		       struct err *err)
{
	int rc = 0;

	if (units->directory != NULL)
		rc = write_drop_in(units->directory, unit, buf_str(text), err);
	else
		printf("# " UNITS "/%s.d/" DROP_IN "\n%s\n", unit, text->data);
	buf_clear(text);
	return rc;
}

/* A percent sign begins a specifier in every setting. */
static void add_plain(struct buf *to, const char *text)
{
	for (; *text != '\0'; text++)
		buf_adds(to, *text == '%' ? "%%" : (char[]){ *text, '\0' });
}

/* In settings that are lists of words, and in tmpfiles.d(5). */
static void add_word(struct buf *to, const char *text)
{
	if (strpbrk(text, " \t\"'\\") == NULL) {
		add_plain(to, text);
		return;
	}
	buf_addc(to, '"');
	for (; *text != '\0'; text++) {
		if (*text == '"' || *text == '\\')
			buf_addc(to, '\\');
		add_plain(to, (char[]){ *text, '\0' });
	}
	buf_addc(to, '"');
}

/* All that are given of the list.  wants: a unit to start with it, or NULL. */
static int put_internet(const struct units *units, const struct internet_unit *unit,
			const struct conf_listen *list, size_t count, const char *wants, struct err *err)
{
	char address[ADDRESS_TEXT];
	struct buf text = BUF_INIT;
	size_t given = 0;
	bool differs;

	while (given < count && list[given].given)
		given++;
	differs = given > 1 ||
		  (given == 1 && strcmp(address_format(address, &list->address), unit->shipped) != 0);
	if (wants != NULL)
		buf_addf(&text, "[Unit]\nWants=%s\n", wants);
	if (differs)
		buf_addf(&text, "[Socket]\n%s=\n", unit->kind);
	for (size_t i = 0; differs && i < given; i++)
		buf_addf(&text, "%s=%s\n", unit->kind, address_format(address, &list[i].address));
	if (differs)
		buf_adds(&text, "FreeBind=yes\n");
	return text.len > 0 ? put_drop_in(units, unit->unit, &text, err) : 0;
}

static int put_unix(const struct units *units, struct err *err)
{
	const char *path = units->conf->listen.http_unix;
	struct buf text = BUF_INIT;

	if (path == NULL || strcmp(path, SHIPPED_UNIX) == 0)
		return 0;
	buf_adds(&text, "[Socket]\nListenStream=\nListenStream=");
	add_plain(&text, path);
	buf_addc(&text, '\n');
	return put_drop_in(units, UNIX_UNIT, &text, err);
}

/* The listeners of covey-httpd: the units of the others start with the first one's, and hand over beside it. */
static int put_http(const struct units *units, struct err *err)
{
	const struct conf *conf = units->conf;
	struct buf others = BUF_INIT, text = BUF_INIT;
	int rc;

	if (conf->listen.https[0].given)
		buf_adds(&others, https.unit);
	if (conf->listen.http_unix != NULL)
		buf_addf(&others, "%s" UNIX_UNIT, others.len > 0 ? " " : "");
	rc = put_internet(units, &http, conf->listen.http, CONF_LISTENS_MAX, others.data, err);
	if (rc == 0)
		rc = put_internet(units, &https, conf->listen.https, CONF_LISTENS_MAX, NULL, err);
	if (rc == 0)
		rc = put_unix(units, err);
	if (rc == 0 && others.len > 0) {
		buf_addf(&text, "[Service]\nSockets=%s\n", others.data);
		rc = put_drop_in(units, "covey-httpd.service", &text, err);
	}
	buf_clear(&others);
	buf_clear(&text);
	return rc;
}

static int put_locals(const struct units *units, struct err *err)
{
	const char *run = units->conf->node.run;
	struct buf text = BUF_INIT;

	if (strcmp(run, SHIPPED_RUN) == 0)
		return 0;
	for (size_t i = 0; i < LOCAL_UNITS; i++) {
		buf_adds(&text, "[Socket]\nListenSequentialPacket=\nListenSequentialPacket=");
		add_plain(&text, run);
		buf_addf(&text, "/%s\n", local_units[i].socket);
		if (put_drop_in(units, local_units[i].unit, &text, err) < 0)
			return -1;
	}
	return 0;
}

static bool in_home(const char *path)
{
	static const char *const homes[] = { "/home/", "/root/", "/run/user/" };

	for (size_t i = 0; i < sizeof homes / sizeof homes[0]; i++)
		if (strncmp(path, homes[i], strlen(homes[i])) == 0)
			return true;
	return false;
}

/* For the directories that were moved; a generator may not make them, so this is only printed. */
static void print_moved(const char *const moved[2])
{
	struct buf text = BUF_INIT;

	for (size_t i = 0; i < 2; i++)
		if (moved[i] != NULL) {
			buf_adds(&text, "d ");
			add_word(&text, moved[i]);
			buf_adds(&text, " 0750 covey covey -\n");
		}
	if (text.len > 0)
		printf("# /etc/tmpfiles.d/covey-moved.conf\n%s\n", text.data);
	buf_clear(&text);
}

/* What the services may write, and which files they read. */
static int put_services(const struct units *units, struct err *err)
{
	const struct conf *conf = units->conf;
	const char *config = units->config;
	const char *const moved[2] = {
		strcmp(conf->node.store, SHIPPED_STORE) ? conf->node.store : NULL,
		strcmp(conf->node.run, SHIPPED_RUN) ? conf->node.run : NULL,
	};
	bool other_config = strcmp(config, SHIPPED_CONFIG) != 0;
	struct buf text = BUF_INIT;

	if (!other_config && moved[0] == NULL && moved[1] == NULL)
		return 0;
	if (moved[0] != NULL) {
		buf_adds(&text, "[Unit]\nRequiresMountsFor=");
		add_word(&text, moved[0]);
		buf_addc(&text, '\n');
	}
	buf_adds(&text, "[Service]\n");
	if (other_config) {
		buf_adds(&text, "Environment=COVEY_CONFIG=");
		add_word(&text, config);
		buf_addc(&text, '\n');
	}
	for (size_t i = 0; i < 2; i++)
		if (moved[i] != NULL) {
			buf_adds(&text, "ReadWritePaths=");
			add_word(&text, moved[i]);
			buf_addc(&text, '\n');
		}
	if (in_home(conf->node.store) || in_home(conf->node.run) || in_home(config))
		buf_adds(&text, "ProtectHome=read-only\n");
	if (put_drop_in(units, "covey-.service", &text, err) < 0)
		return -1;
	if (units->directory == NULL)
		print_moved(moved);
	return 0;
}

static int put_group(const struct units *units, struct err *err)
{
	struct buf text = BUF_INIT;

	if (units->conf->group.key_file == NULL)
		return 0;
	buf_adds(&text, "[Unit]\nWants=" GROUP_WANTS "\n");
	return put_drop_in(units, "covey.target", &text, err);
}

static int put_units(const struct units *units, struct err *err)
{
	const struct conf *conf = units->conf;

	if (put_http(units, err) < 0 ||
	    put_internet(units, &inetd, conf->listen.http, CONF_LISTENS_MAX, NULL, err) < 0 ||
	    put_internet(units, &discovery, &conf->listen.discovery, 1, NULL, err) < 0 ||
	    put_internet(units, &versions, &conf->listen.versions, 1, NULL, err) < 0 ||
	    put_locals(units, err) < 0 || put_services(units, err) < 0)
		return -1;
	return put_group(units, err);
}

enum { CONF, WRITE };

static const struct command_option options[] = {
	OPTION_CONF,
	{ "write", 0, "DIR", "write them below DIR, which must exist, instead of printing them" },
	OPTION_END,
};

static int run(const struct arguments *args)
{
	const char *file = args->values[CONF] ? args->values[CONF] : SHIPPED_CONFIG;
	struct conf conf = CONF_INIT;
	struct err err = ERR_INIT;
	struct units units = { .conf = &conf, .directory = args->values[WRITE] };
	char *absolute = NULL;
	int rc = conf_load(&conf, file, &err);

	if (rc == 0) {
		absolute = realpath(file, NULL);
		rc = absolute != NULL ? 0 : err_sys(&err, "resolve %s", file);
	}
	if (rc == 0) {
		units.config = absolute;
		rc = put_units(&units, &err);
	}
	free(absolute);
	conf_clear(&conf);
	return rc == 0 ? 0 : command_fail(&err);
}

const struct command command_units = {
	.name = "units",
	.operands = "",
	.summary = "Print the drop-ins that fit systemd's units to a configuration",
	.details = "Each is headed by the file that it belongs in. Nothing is printed where nothing\n"
		   "differs from the units as installed. For /etc/covey/covey.yaml systemd does this by\n"
		   "itself, at boot, and at systemctl daemon-reload while no socket of covey is open.",
	.options = options,
	.most = 0,
	.run = run,
};
