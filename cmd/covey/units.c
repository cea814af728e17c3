/*
 * covey units - the drop-ins that fit systemd's units to a configuration
 *
 * The units as installed serve conf/covey.yaml.  It is systemd that opens
 * the sockets, so where a configuration says otherwise systemd must be told
 * too: this prints, file by file, what to put where.  Where nothing differs
 * nothing is printed.
 */
#include "command.h"

#include "conf.h"

#include <stdlib.h>

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

static const struct internet_unit http = { "covey-httpd", "ListenStream", "127.0.0.1:4720" };
static const struct internet_unit inetd = { "covey-httpd-inetd", "ListenStream", "127.0.0.1:4720" };
static const struct internet_unit discovery = { "covey-discoverd-udp", "ListenDatagram",
						"127.0.0.1:4721" };
static const struct internet_unit versions = { "covey-versiond-udp", "ListenDatagram",
					       "127.0.0.1:4722" };

static const struct {
	const char *unit;
	const char *socket;		/* in node.run */
} local_units[] = {
	{ "covey-discoverd", "discover.sock" },
	{ "covey-versiond", "version.sock" },
	{ "covey-syncd", "sync.sock" },
};
#define LOCAL_UNITS (sizeof local_units / sizeof local_units[0])

/* A percent sign begins a specifier in every setting. */
static void print_plain(const char *text)
{
	for (; *text != '\0'; text++)
		fputs(*text == '%' ? "%%" : (char[]){ *text, '\0' }, stdout);
}

/* In settings that are lists of words, and in tmpfiles.d(5). */
static void print_word(const char *text)
{
	if (strpbrk(text, " \t\"'\\") == NULL) {
		print_plain(text);
		return;
	}
	putchar('"');
	for (; *text != '\0'; text++) {
		if (*text == '"' || *text == '\\')
			putchar('\\');
		print_plain((char[]){ *text, '\0' });
	}
	putchar('"');
}

static void print_internet(const struct internet_unit *unit, const struct conf_listen *listen)
{
	char text[ADDRESS_TEXT];

	if (!listen->given ||
	    strcmp(address_format(text, &listen->address), unit->shipped) == 0)
		return;
	printf("# " UNITS "/%s.socket.d/" DROP_IN "\n[Socket]\n%s=\n%s=%s\nFreeBind=yes\n\n",
	       unit->unit, unit->kind, unit->kind, text);
}

static void print_local(const char *run)
{
	for (size_t i = 0; i < LOCAL_UNITS; i++) {
		printf("# " UNITS "/%s.socket.d/" DROP_IN "\n[Socket]\n"
		       "ListenSequentialPacket=\nListenSequentialPacket=",
		       local_units[i].unit);
		print_plain(run);
		printf("/%s\n\n", local_units[i].socket);
	}
}

static bool in_home(const char *path)
{
	static const char *const homes[] = { "/home/", "/root/", "/run/user/" };

	for (size_t i = 0; i < sizeof homes / sizeof homes[0]; i++)
		if (strncmp(path, homes[i], strlen(homes[i])) == 0)
			return true;
	return false;
}

/* What the services may write, and which file they read. */
static void print_services(const struct conf *conf, const char *config)
{
	const char *moved[] = {
		strcmp(conf->node.store, SHIPPED_STORE) ? conf->node.store : NULL,
		strcmp(conf->node.run, SHIPPED_RUN) ? conf->node.run : NULL,
	};
	bool other_config = strcmp(config, SHIPPED_CONFIG) != 0;

	if (!other_config && moved[0] == NULL && moved[1] == NULL)
		return;
	puts("# " UNITS "/covey-.service.d/" DROP_IN "\n[Service]");
	if (other_config) {
		fputs("Environment=COVEY_CONFIG=", stdout);
		print_word(config);
		putchar('\n');
	}
	for (size_t i = 0; i < 2; i++)
		if (moved[i] != NULL) {
			fputs("ReadWritePaths=", stdout);
			print_word(moved[i]);
			putchar('\n');
		}
	if (in_home(conf->node.store) || in_home(conf->node.run) || in_home(config))
		puts("ProtectHome=read-only");
	putchar('\n');
	if (moved[0] == NULL && moved[1] == NULL)
		return;
	puts("# /etc/tmpfiles.d/covey-moved.conf");
	for (size_t i = 0; i < 2; i++)
		if (moved[i] != NULL) {
			fputs("d ", stdout);
			print_word(moved[i]);
			puts(" 0750 covey covey -");
		}
	putchar('\n');
}

static void print_units(const struct conf *conf, const char *config)
{
	print_internet(&http, &conf->listen.http);
	print_internet(&inetd, &conf->listen.http);
	print_internet(&discovery, &conf->listen.discovery);
	print_internet(&versions, &conf->listen.versions);
	if (strcmp(conf->node.run, SHIPPED_RUN) != 0)
		print_local(conf->node.run);
	print_services(conf, config);
}

enum { CONF };

static const struct command_option options[] = { OPTION_CONF, OPTION_END };

static int run(const struct call *call)
{
	const char *file = call->values[CONF] ? call->values[CONF] : SHIPPED_CONFIG;
	struct conf conf = CONF_INIT;
	struct err err = ERR_INIT;
	char *absolute;

	if (conf_load(&conf, file, &err) < 0)
		return command_fail(&err);
	absolute = realpath(file, NULL);
	if (absolute == NULL) {
		err_sys(&err, "resolve %s", file);
		conf_clear(&conf);
		return command_fail(&err);
	}
	print_units(&conf, absolute);
	free(absolute);
	conf_clear(&conf);
	return 0;
}

const struct command command_units = {
	.name = "units",
	.operands = "",
	.summary = "Print the drop-ins that fit systemd's units to a configuration",
	.details = "Each is headed by the file that it belongs in; nothing is printed where\n"
		   "nothing differs from the units as installed.",
	.options = options,
	.most = 0,
	.run = run,
};
