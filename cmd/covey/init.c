/*
 * covey init - the configuration and the key of a node of a group
 *
 * The text is that of conf/covey.yaml, which is part of this program, with
 * the lines that belong to the node changed.  It is written only once the
 * reader of configurations has accepted it.  A file that a person changed is
 * known by differing from what would have been written for what it says.
 */
#include "group_key.h"
#include "local.h"

#include "file.h"
#include "seal.h"

#include <ctype.h>
#include <errno.h>
#include <grp.h>
#include <sodium.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#define KEY_NAME "group.key"	/* beside the configuration */
#define KEY_BYTES 4096		/* of a key file, at most */
#define CONF_BYTES (256u << 10)
#define DISCOVERY_PORT "4721"

extern const char covey_sample[];	/* conf/covey.yaml, put there by the Makefile */

/* What makes one node's text differ from another's. */
struct wanted {
	const char *address;
	const char *seed;		/* "HOST:PORT", or NULL: the first node */
	bool open;
	bool at_home;			/* as CONF_FILE, its store and sockets where the units have them */
};

struct init {
	struct wanted wanted;
	const char *file;
	char *directory;		/* of file; owned */
	char *key_file;			/* owned */
	char *seed;			/* owned */
	struct buf text;		/* to write */
	struct conf conf;		/* what it says */
	struct buf old;			/* what stands there */
	bool there;			/* something does */
	struct conf old_conf;		/* what that says; CONF_INIT: nothing valid */
	bool force;
};

static void init_clear(struct init *init)
{
	free(init->directory);
	free(init->key_file);
	free(init->seed);
	buf_clear(&init->text);
	buf_clear(&init->old);
	conf_clear(&init->conf);
	conf_clear(&init->old_conf);
}

/* the text */

/* The comment behind a value stays in its column, if the value leaves room. */
static void add_line(struct buf *to, const char *value, struct str line)
{
	const char *comment = memmem(line.s + 2, line.n - 2, "  #", 3);
	size_t column = comment ? (size_t)(comment - line.s) + 2 : 0;

	buf_adds(to, value);
	if (comment == NULL)
		return;
	for (size_t n = strlen(value); n + 1 < column; n++)
		buf_addc(to, ' ');
	buf_addf(to, " %.*s", (int)(line.n - column), line.s + column);
}

static void add_text(struct buf *to, const struct wanted *wanted)
{
	struct buf address = BUF_INIT, seeds = BUF_INIT;
	struct str rest = str_of(covey_sample), line;

	buf_addf(&address, "  address: %s", wanted->address);
	buf_addf(&seeds, "  seeds: [ '%s' ]", wanted->seed ? wanted->seed : "");

	const struct {
		struct str line;	/* what it begins with in the sample */
		const char *value;	/* what it becomes, or NULL: it stays */
	} changes[] = {
		{ STR("  address: "), address.data },
		{ STR("  store: "), wanted->at_home ? NULL : "  store: store" },
		{ STR("  run: "), wanted->at_home ? NULL : "  run: store/run" },
		{ STR("# group:"), "group:" },
		{ STR("#   key_file: "), wanted->at_home ? "  key_file: /etc/covey/" KEY_NAME
							 : "  key_file: " KEY_NAME },
		{ STR("#   seeds: "), wanted->seed ? seeds.data : NULL },
		{ STR("# access: "), wanted->open ? "access: open" : NULL },
	};

	while (str_cut(&rest, '\n', &line)) {
		const char *value = NULL;

		for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++)
			if (str_starts(line, changes[i].line))
				value = changes[i].value;
		if (value != NULL)
			add_line(to, value, line);
		else
			buf_addstr(to, line);
		if (rest.s != NULL)
			buf_addc(to, '\n');
	}
	buf_clear(&address);
	buf_clear(&seeds);
}

/* "attic", "192.0.2.1:5721", "fd00::1" -> as group.seeds has it, or NULL */
static char *seed_of(const char *host)
{
	struct buf seed = BUF_INIT;
	size_t colons = 0;

	for (const char *c = host; *c != '\0'; c++) {
		if (!isalnum((unsigned char)*c) && !strchr(".-_:[]", *c))
			return NULL;
		colons += *c == ':';
	}
	if (host[0] == '[')
		buf_addf(&seed, "%s%s", host, strstr(host, "]:") ? "" : ":" DISCOVERY_PORT);
	else if (colons == 1)
		buf_adds(&seed, host);
	else
		buf_addf(&seed, colons ? "[%s]:" DISCOVERY_PORT : "%s:" DISCOVERY_PORT, host);
	return buf_take(&seed);
}

/* Only what cannot be mistaken for something else of YAML's is put into the text. */
static int check_address(const char *text, struct address *ret, struct err *err)
{
	struct buf with_port = BUF_INIT;
	int rc;

	buf_addf(&with_port, strchr(text, ':') ? "[%s]:1" : "%s:1", text);
	rc = address_parse(buf_str(&with_port), ret, NULL);
	buf_clear(&with_port);
	if (rc < 0 || address_is_any(ret))
		return err_set(err, ERR_INVALID, "--address %.80s: not the numeric address of one machine",
			       text);
	return 0;
}

static int make_text(struct init *init, struct err *err)
{
	struct err why = ERR_INIT;

	add_text(&init->text, &init->wanted);
	if (conf_parse(&init->conf, buf_str(&init->text), init->file, &why) < 0)
		return err_set(err, ERR_INVALID, "%s", err_reason(&why));
	return 0;
}

/* what stands there */

static int read_old(struct init *init, struct err *err)
{
	if (file_read_any(init->file, CONF_BYTES, &init->old, &init->there, err) < 0)
		return -1;
	if (init->there)
		conf_parse(&init->old_conf, buf_str(&init->old), init->file, NULL);
	return 0;
}

static bool same_text(const char *a, const char *b)
{
	return a != NULL && b != NULL && strcmp(a, b) == 0;
}

static bool says_the_same(const struct conf *a, const struct conf *b)
{
	if (!same_text(a->node.address, b->node.address) ||
	    !same_text(a->group.key_file, b->group.key_file) ||
	    a->access_open != b->access_open || a->group.seed_count != b->group.seed_count)
		return false;
	for (size_t i = 0; i < a->group.seed_count; i++)
		if (!same_text(a->group.seeds[i], b->group.seeds[i]))
			return false;
	return true;
}

/* As it was installed, or written here. */
static bool is_ours(const struct init *init)
{
	const struct conf *conf = &init->old_conf;
	struct wanted as_it_says = {
		.address = conf->node.address,
		.seed = conf->group.seed_count ? conf->group.seeds[0] : NULL,
		.open = conf->access_open,
		.at_home = init->wanted.at_home,
	};
	struct buf text = BUF_INIT;
	bool ours;

	if (str_eq(buf_str(&init->old), str_of(covey_sample)))
		return true;
	if (conf->node.address == NULL)
		return false;
	add_text(&text, &as_it_says);
	ours = str_eq(buf_str(&init->old), buf_str(&text));
	buf_clear(&text);
	return ours;
}

static int keep_old(const struct init *init, struct err *err)
{
	struct buf path = BUF_INIT;
	int rc;

	buf_addf(&path, "%s.old", init->file);
	rc = file_replace(path.data, buf_str(&init->old), 0644, err);
	if (rc == 0)
		printf("kept    %s, as it was\n", path.data);
	buf_clear(&path);
	return rc;
}

/* the key */

static int read_hidden(const char *seed, struct buf *to, struct err *err)
{
	struct termios as_it_was, quiet;
	char line[KEY_BYTES];
	bool got;

	if (tcgetattr(STDIN_FILENO, &as_it_was) < 0)
		return err_sys(err, "ask for the key");
	quiet = as_it_was;
	quiet.c_lflag &= ~(tcflag_t)ECHO;
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);	/* and what is asked for comes after that */
	fprintf(stderr, "The group's key, " KEY_NAME " of %s (it is not shown): ", seed);
	got = fgets(line, sizeof line, stdin) != NULL;
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &as_it_was);
	fputc('\n', stderr);
	if (got)
		buf_adds(to, line);
	sodium_memzero(line, sizeof line);
	return 0;
}

static int read_all(struct buf *to, struct err *err)
{
	char text[KEY_BYTES + 1];
	size_t n = fread(text, 1, sizeof text, stdin);
	int rc = 0;

	if (ferror(stdin))
		rc = err_sys(err, "read standard input");
	else if (n == sizeof text)
		rc = err_set(err, ERR_TOO_LARGE, "read standard input: no key has %d bytes", KEY_BYTES);
	else
		buf_add(to, text, n);
	sodium_memzero(text, sizeof text);
	return rc;
}

/* A key that was handed over, or nothing. */
static int read_key(const struct init *init, struct buf *to, struct err *err)
{
	struct seal_keys keys;
	int rc = isatty(STDIN_FILENO) ? read_hidden(init->wanted.seed, to, err) : read_all(to, err);

	if (rc == 0 && to->len > 0 && seal_keys_parse(buf_str(to), &keys, err) < 0)
		rc = err_context(err, "standard input");
	sodium_memzero(&keys, sizeof keys);
	return rc;
}

/* Readable by the services, where there are some, and by nobody else. */
static int write_key(const struct init *init, struct str text, struct err *err)
{
	const struct group *group = getgrnam("covey");

	if (file_replace(init->key_file, text, 0600, err) < 0)
		return -1;
	if (group == NULL || geteuid() != 0)
		return 0;
	if (chown(init->key_file, (uid_t)-1, group->gr_gid) < 0 || chmod(init->key_file, 0640) < 0)
		return err_sys(err, "give %s to the group covey", init->key_file);
	return 0;
}

static int make_key(const struct init *init, struct err *err)
{
	char text[GROUP_KEY_TEXT];
	int rc;

	group_key_new(text);
	rc = write_key(init, str_of(text), err);
	sodium_memzero(text, sizeof text);
	if (rc == 0)
		printf("wrote   %s, a new key: every node of the group must have it\n", init->key_file);
	return rc;
}

static int take_key(const struct init *init, struct err *err)
{
	struct buf given = BUF_INIT;
	int rc = read_key(init, &given, err);

	if (rc == 0 && given.len == 0)
		rc = err_set(err, ERR_ABSENT,
			     "read the group's key: neither %s nor standard input has one: "
			     "ssh HOST sudo cat %s | sudo covey init ...",
			     init->key_file, init->key_file);
	if (rc == 0)
		rc = write_key(init, buf_str(&given), err);
	if (rc == 0)
		printf("wrote   %s, the key that was given\n", init->key_file);
	if (given.data != NULL)
		sodium_memzero(given.data, given.len);
	buf_clear(&given);
	return rc;
}

/* 1: it was there already, 0: it is now */
static int settle_key(const struct init *init, struct err *err)
{
	struct seal_keys keys;
	struct buf text = BUF_INIT;
	bool there = false;
	int rc = file_read_any(init->key_file, KEY_BYTES, &text, &there, err);

	if (rc == 0 && there && seal_keys_parse(buf_str(&text), &keys, err) < 0)
		rc = err_context(err, "%s", init->key_file);
	if (text.data != NULL)
		sodium_memzero(text.data, text.len);
	sodium_memzero(&keys, sizeof keys);
	buf_clear(&text);
	if (rc < 0 || there)
		return rc < 0 ? -1 : 1;
	return init->wanted.seed ? take_key(init, err) : make_key(init, err);
}

/* asking */

static bool agreed(const char *address)
{
	char line[16] = "";

	fprintf(stderr, "Whoever reaches %s, port 4720, may then read and write every file.\n"
			"Type yes to go on: ", address);
	return fgets(line, sizeof line, stdin) != NULL && strcmp(line, "yes\n") == 0;
}

/* Beyond loopback only if that is meant; what was said once is not asked again. */
static int settle_access(struct init *init, const struct address *address, bool asked_for,
			 struct err *err)
{
	const struct conf *old = &init->old_conf;

	if (address_is_loopback(address) && !asked_for)
		return 0;
	init->wanted.open = asked_for ||
			    (old->access_open && same_text(old->node.address, init->wanted.address)) ||
			    (isatty(STDIN_FILENO) && agreed(init->wanted.address));
	if (init->wanted.open)
		return 0;
	return err_set(err, ERR_DENIED,
		       "nothing was changed: whoever reaches %s could read and write every file: if "
		       "that is meant, say --open", init->wanted.address);
}

/* the command */

static int find_place(struct init *init, const char *file, struct err *err)
{
	struct buf key_file = BUF_INIT;

	init->file = file ? file : CONF_FILE;
	init->wanted.at_home = strcmp(init->file, CONF_FILE) == 0;
	init->directory = file_directory(init->file);
	buf_addf(&key_file, "%s/" KEY_NAME, init->directory);
	init->key_file = buf_take(&key_file);
	if (mkdir(init->directory, 0755) < 0 && errno != EEXIST)
		return err_sys(err, "make directory %s", init->directory);
	if (access(init->directory, W_OK) < 0)
		return err_sys(err, "write in %s", init->directory);
	return 0;
}

static int prepare(struct init *init, const char *address, const char *join, bool open,
		   struct err *err)
{
	struct address parsed;

	init->wanted.address = address;
	if (check_address(address, &parsed, err) < 0)
		return -1;
	if (join != NULL && (init->seed = seed_of(join)) == NULL)
		return err_set(err, ERR_INVALID, "--join %.80s: not a host", join);
	init->wanted.seed = init->seed;
	if (read_old(init, err) < 0 || settle_access(init, &parsed, open, err) < 0)
		return -1;
	return make_text(init, err);
}

static bool is_as_asked(const struct init *init)
{
	return init->there && says_the_same(&init->conf, &init->old_conf);
}

/* What a person has to answer for comes before anything is written. */
static int may_replace(const struct init *init, struct err *err)
{
	if (!init->there || init->force || is_as_asked(init) || is_ours(init))
		return 0;
	return err_set(err, ERR_EXISTS,
		       "replace %s: somebody changed it: edit it, or say --force, which keeps it as "
		       "%s.old", init->file, init->file);
}

/* 1: it was there already, 0: it is now */
static int write_conf(const struct init *init, struct err *err)
{
	if (is_as_asked(init))
		return 1;
	if (init->there && !is_ours(init) && keep_old(init, err) < 0)
		return -1;
	if (file_replace(init->file, buf_str(&init->text), 0644, err) < 0)
		return -1;
	printf("wrote   %s\n", init->file);
	return 0;
}

static void print_next(const struct init *init)
{
	const struct wanted *wanted = &init->wanted;
	const char *open = wanted->open ? " --open" : "";

	if (wanted->at_home && access("/run/systemd/system", F_OK) == 0)
		puts("next:\n"
		     "  sudo systemctl daemon-reload\n"
		     "  sudo systemctl stop 'covey*'\n"
		     "  sudo systemctl enable --now covey.target");
	else
		printf("next:\n  covey up -c %s\n", init->file);
	if (wanted->seed != NULL)
		return;
	puts("then, for each other node, with its own address:");
	if (wanted->at_home)
		printf("  ssh %s sudo cat %s | sudo covey init%s --address ADDRESS --join %s\n",
		       wanted->address, init->key_file, open, wanted->address);
	else
		printf("  covey init%s --address ADDRESS --join %s -c FILE <%s\n", open,
		       wanted->address, init->key_file);
}

static int write_all(const struct init *init, struct err *err)
{
	int key, conf;

	if (may_replace(init, err) < 0)
		return -1;
	key = settle_key(init, err);
	if (key < 0)
		return -1;
	conf = write_conf(init, err);
	if (conf < 0)
		return -1;
	if (key == 1 && conf == 0)
		printf("kept    %s, the key that was there\n", init->key_file);
	if (key == 1 && conf == 1)
		printf("nothing changes: %s and %s are as asked\n", init->file, init->key_file);
	print_next(init);
	return 0;
}

enum { ADDRESS, JOIN, OPEN, FORCE, CONF };

static int run(const struct call *call)
{
	struct init init = { .conf = CONF_INIT, .old_conf = CONF_INIT };
	struct err err = ERR_INIT;
	int status = 0;

	if (call->values[ADDRESS] == NULL)
		return command_misused(call->command, "--address is missing; a node alone, on loopback, "
						      "needs no init");
	init.force = call->values[FORCE] != NULL;
	if (find_place(&init, call->values[CONF], &err) < 0 ||
	    prepare(&init, call->values[ADDRESS], call->values[JOIN], call->values[OPEN] != NULL,
		    &err) < 0 ||
	    write_all(&init, &err) < 0) {
		status = command_fail(&err);
		if (err.sys == EACCES) {
			fprintf(stderr, "covey: run it with sudo\n");
			status = EX_NOPERM;
		}
	}
	init_clear(&init);
	return status;
}

static const struct command_option options[] = {
	[ADDRESS] = { "address", 'a', "ADDRESS", "numeric; by which other nodes reach this one" },
	[JOIN] = { "join", 'j', "HOST", "any node of the group; without it this is the first" },
	[OPEN] = { "open", 0, NULL, "whoever reaches the address may read and write" },
	[FORCE] = { "force", 0, NULL, "replace a file that somebody changed, and keep it as .old" },
	[CONF] = OPTION_CONF,
	OPTION_END,
};

const struct command command_init = {
	.name = "init",
	.operands = "",
	.summary = "Write the configuration and the key of a node of a group",
	.details = "The key is group.key beside the configuration. The first node makes it; one that\n"
		   "joins has it already, reads it from standard input, or asks for it:\n"
		   "  ssh HOST sudo cat /etc/covey/group.key |\n"
		   "  sudo covey init --open --address ADDRESS --join HOST\n"
		   "A configuration elsewhere than in /etc/covey has its store beside it.",
	.options = options,
	.most = 0,
	.run = run,
};
