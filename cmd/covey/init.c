/*
 * init - covey init: the configuration and the key of a node of a group
 *
 * The text is that of conf/covey.yaml, which is part of this program, with
 * the lines that belong to the node changed.  It is written only once the
 * reader of configurations has accepted it.  A file was changed by a person
 * if it differs from what init writes for the same values.
 */
#include "local.h"

#include "file.h"
#include "seal.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <sodium.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#define KEY_NAME "group.key"	/* beside the configuration */
#define KEY_BYTES 4096		/* of a key file, at most */
#define CONF_BYTES (256u << 10)
#define KEY_MASK 0770		/* of the mode of a file that is there, what may stay */
#define CONF_MASK 0777
#define DISCOVERY_PORT "4721"

extern const char covey_sample[];	/* conf/covey.yaml, put there by the Makefile */

/* What makes one node's text differ from another's. */
struct wanted {
	const char *address;
	const char *seed;		/* "HOST:PORT", or NULL: the first node */
	bool open;
	bool at_home;			/* as CONF_FILE, its store and sockets where the units have them */
};

/* A file that may be there already. */
struct existing {
	int fd;				/* -1: it is not; owned */
	struct stat stat;
	struct buf text;
};
#define EXISTING_INIT { .fd = -1 }

struct init {
	struct wanted wanted;
	const char *file;
	char *directory;		/* of file; owned */
	bool made_directory;
	char *key_file;			/* owned */
	char *seed;			/* owned */
	struct buf text;		/* to write */
	struct conf conf;		/* what it says */
	struct existing old;		/* in its place */
	struct conf old_conf;		/* what that says; CONF_INIT: nothing valid */
	struct existing key;
	bool force;
};

static void existing_clear(struct existing *existing)
{
	if (existing->fd >= 0)
		close(existing->fd);
	if (existing->text.data != NULL)
		sodium_memzero(existing->text.data, existing->text.len);
	buf_clear(&existing->text);
}

static void init_clear(struct init *init)
{
	free(init->directory);
	free(init->key_file);
	free(init->seed);
	buf_clear(&init->text);
	existing_clear(&init->old);
	existing_clear(&init->key);
	conf_clear(&init->conf);
	conf_clear(&init->old_conf);
}

/* the text */

/* The comment behind a value keeps its column if the value leaves room. */
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

/*
 * Only a value that YAML cannot take for something else is put into the
 * text.  *ret has the port of discovery.
 */
static int check_address(const char *text, struct address *ret, struct err *err)
{
	struct buf with_port = BUF_INIT;
	int rc;

	buf_addf(&with_port, strchr(text, ':') ? "[%s]:" DISCOVERY_PORT : "%s:" DISCOVERY_PORT, text);
	rc = address_parse(buf_str(&with_port), ret, NULL);
	buf_clear(&with_port);
	if (rc < 0 || address_is_any(ret))
		return err_set(err, ERR_INVALID,
			       "--address %.80s: not the numeric address of one machine, such as "
			       "192.0.2.1 or fd00::1", text);
	return 0;
}

/* Whether the reader of configurations accepts it. */
static bool is_seed(const char *seed)
{
	struct conf conf = CONF_INIT;
	struct buf text = BUF_INIT;
	bool is;

	buf_addf(&text, "{ node: { store: /s }, group: { seeds: [ '%s' ] } }", seed);
	is = conf_parse(&conf, buf_str(&text), "seed", NULL) == 0;
	buf_clear(&text);
	conf_clear(&conf);
	return is;
}

/* A name need not resolve yet: it is looked up when the node runs. */
static int check_seed(const char *join, const char *seed, const struct address *own,
		      struct err *err)
{
	struct address address;

	if (seed == NULL || !is_seed(seed))
		return err_set(err, ERR_INVALID,
			       "--join %.80s: not HOST, HOST:PORT, a numeric address or [ADDRESS]:PORT",
			       join);
	if (address_parse(str_of(seed), &address, NULL) < 0)
		return 0;
	if (address_is_any(&address))
		return err_set(err, ERR_INVALID, "--join %.80s: not the address of one machine: "
			       "name a node of the group", join);
	if (address_eq(&address, own))
		return err_set(err, ERR_INVALID,
			       "--join %.80s: this node's own address: name another node, or leave "
			       "--join away on the first", join);
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

/* the files that are there */

static int existing_read(struct existing *to, const char *path, int flags, size_t cap,
			 struct err *err)
{
	to->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | flags);
	if (to->fd < 0 && errno == ENOENT)
		return 0;
	if (to->fd < 0 && errno == ELOOP)
		return err_set(err, ERR_INVALID, "open %s: a symbolic link: put the file itself there",
			       path);
	if (to->fd < 0)
		return err_sys(err, "open %s", path);
	if (fstat(to->fd, &to->stat) < 0)
		return err_sys(err, "stat %s", path);
	if (!S_ISREG(to->stat.st_mode))
		return err_set(err, ERR_CONFLICT, "read %s: not a plain file: remove it", path);
	return file_read_opened(to->fd, path, cap, &to->text, err);
}

/* The key may get another owner and mode, so a link, which may lead to another user's file, is refused. */
static int read_existing(struct init *init, struct err *err)
{
	if (existing_read(&init->old, init->file, 0, CONF_BYTES, err) < 0 ||
	    existing_read(&init->key, init->key_file, O_NOFOLLOW, KEY_BYTES, err) < 0)
		return -1;
	if (init->old.fd >= 0)
		conf_parse(&init->old_conf, buf_str(&init->old.text), init->file, NULL);
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

/* Whether the file is as it was installed, or as init wrote it. */
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

	if (str_eq(buf_str(&init->old.text), str_of(covey_sample)))
		return true;
	if (conf->node.address == NULL)
		return false;
	add_text(&text, &as_it_says);
	ours = str_eq(buf_str(&init->old.text), buf_str(&text));
	buf_clear(&text);
	return ours;
}

static struct file_access access_of(const struct existing *existing, unsigned mask)
{
	return (struct file_access){ existing->stat.st_uid, existing->stat.st_gid,
				     existing->stat.st_mode & mask };
}

static int keep_old(const struct existing *existing, unsigned mask, const char *file,
		    struct err *err)
{
	const struct file_access access = access_of(existing, mask);
	struct buf path = BUF_INIT;
	int rc;

	buf_addf(&path, "%s.old", file);
	rc = file_replace_as(path.data, buf_str(&existing->text), &access, err);
	if (rc == 0)
		printf("kept    %s, as it was\n", path.data);
	buf_clear(&path);
	return rc;
}

/* the key */

/* The settings of the terminal: as they were, and without echo. */
static struct termios loud, quiet;

static const int ending[] = { SIGINT, SIGQUIT, SIGTERM, SIGTSTP };
#define ENDING (sizeof ending / sizeof ending[0])

static void on_ending(int number);
static const struct sigaction loudly = {
	.sa_handler = on_ending,
	.sa_flags = SA_NODEFER | SA_RESTART,
};

/*
 * The signal has its usual effect, after the terminal shows again what is
 * typed.  Only after a stop does the handler go on.
 */
static void on_ending(int number)
{
	const struct sigaction by_default = { .sa_handler = SIG_DFL };
	int sys = errno;

	tcsetattr(STDIN_FILENO, TCSANOW, &loud);
	sigaction(number, &by_default, NULL);
	raise(number);
	sigaction(number, &loudly, NULL);
	tcsetattr(STDIN_FILENO, TCSANOW, &quiet);
	errno = sys;
}

static int read_hidden(const char *seed, struct buf *to, struct err *err)
{
	struct sigaction was[ENDING];
	char line[KEY_BYTES];
	bool got;

	if (tcgetattr(STDIN_FILENO, &loud) < 0)
		return err_sys(err, "ask for the key");
	quiet = loud;
	quiet.c_lflag &= ~(tcflag_t)ECHO;
	for (size_t i = 0; i < ENDING; i++)
		sigaction(ending[i], &loudly, &was[i]);
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);	/* and what is asked for comes after that */
	fprintf(stderr, "The group's key, " KEY_NAME " of %s (it is not shown): ", seed);
	got = fgets(line, sizeof line, stdin) != NULL;
	quiet.c_lflag = loud.c_lflag;	/* for a stop from here on */
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &loud);
	for (size_t i = 0; i < ENDING; i++)
		sigaction(ending[i], &was[i], NULL);
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

/* The key from standard input, if it brings one.  A terminal is not asked when a key is there. */
static int read_given(const struct init *init, struct buf *to, struct seal_keys *ret,
		      struct err *err)
{
	struct err why = ERR_INIT;

	if (init->wanted.seed == NULL)
		return 0;
	if (isatty(STDIN_FILENO)) {
		if (init->key.fd < 0 && read_hidden(init->wanted.seed, to, err) < 0)
			return -1;
	} else if (read_all(to, err) < 0) {
		return -1;
	}
	if (to->len > 0 && seal_keys_parse(buf_str(to), ret, &why) < 0)
		return err_set(err, why.kind, "standard input: %s: it must be " KEY_NAME
			       " of a node of the group%s", why.text,
			       init->key.fd < 0 ? "" : ", or </dev/null: a key is there");
	return 0;
}

static bool has_all(const struct seal_keys *keys, const struct seal_keys *others)
{
	for (size_t i = 0; i < others->count; i++) {
		bool has = false;

		for (size_t j = 0; j < keys->count; j++)
			has |= sodium_memcmp(keys->list[j].bytes, others->list[i].bytes,
					     SEAL_KEY_BYTES) == 0;
		if (!has)
			return false;
	}
	return true;
}

/* The group of the services, if this process may give files to it. */
static const struct group *services(void)
{
	return geteuid() == 0 ? getgrnam("covey") : NULL;
}

static int write_key(const struct init *init, struct str text, struct err *err)
{
	const struct group *group = services();
	const struct file_access own = { FILE_OWN_USER, FILE_OWN_GROUP, 0600 };
	const struct file_access theirs = { 0, group ? group->gr_gid : 0, 0640 };

	return file_replace_as(init->key_file, text, group ? &theirs : &own, err);
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

static int take_key(const struct init *init, struct str given, struct err *err)
{
	if (init->key.fd >= 0 && keep_old(&init->key, KEY_MASK, init->key_file, err) < 0)
		return -1;
	if (write_key(init, given, err) < 0)
		return -1;
	printf("wrote   %s, the key that was given\n", init->key_file);
	return 0;
}

/*
 * Readable by the services, where there are some, and by nobody else.
 * 1: it was so already, 0: it is now
 */
static int adjust_key_access(const struct init *init, struct err *err)
{
	const struct file_access is = access_of(&init->key, 0777);
	const struct group *group = services();
	struct file_access wanted = access_of(&init->key, KEY_MASK);
	const char *whose = "its owner's";

	if (group != NULL) {
		wanted = (struct file_access){ 0, group->gr_gid, 0640 };
		whose = "root:covey";
	}
	if (is.owner == wanted.owner && is.group == wanted.group && is.mode == wanted.mode)
		return 1;
	if (file_set_access(init->key.fd, &wanted, init->key_file, err) < 0)
		return err_context(err, "make the key %s, mode %o", whose, wanted.mode);
	printf("changed %s: now %s, mode %o%s\n", init->key_file, whose, wanted.mode,
	       is.mode & S_IRWXO ? "; everybody on this machine could use it" : "");
	return 0;
}

/* 1: it was there already, as it should be, 0: it is now */
static int place_key_by(const struct init *init, const struct seal_keys *there,
			const struct seal_keys *given, struct str text, struct err *err)
{
	if (there->count > 0 && has_all(there, given))
		return adjust_key_access(init, err);
	if (there->count > 0 && !init->force)
		return err_set(err, ERR_EXISTS,
			       "standard input: another key than %s: this node has one of another "
			       "group: keep it by </dev/null, or say --force, which keeps it beside, "
			       "as .old", init->key_file);
	if (given->count > 0)
		return take_key(init, text, err);
	if (init->wanted.seed == NULL)
		return make_key(init, err);
	return err_set(err, ERR_ABSENT,
		       "read the group's key: neither %s nor standard input has one: "
		       "ssh HOST sudo cat %s | sudo covey init ...", init->key_file, init->key_file);
}

static int place_key(const struct init *init, struct err *err)
{
	struct seal_keys there = SEAL_KEYS_INIT, given = SEAL_KEYS_INIT;
	struct buf text = BUF_INIT;
	struct err why = ERR_INIT;
	int rc;

	if (init->key.fd >= 0 && seal_keys_parse(buf_str(&init->key.text), &there, &why) < 0)
		return err_set(err, why.kind, "%s: %s: remove it, or put the group's key there",
			       init->key_file, why.text);
	rc = read_given(init, &text, &given, err);
	if (rc == 0)
		rc = place_key_by(init, &there, &given, buf_str(&text), err);
	if (text.data != NULL)
		sodium_memzero(text.data, text.len);
	buf_clear(&text);
	sodium_memzero(&there, sizeof there);
	sodium_memzero(&given, sizeof given);
	return rc;
}

/* asking */

static bool init_agreed(const char *address)
{
	fprintf(stderr, "Whoever reaches %s, port 4720, may then read and write every file, until rules in place of\n"
			"\"access: open\" say who may do what: see access in covey.yaml(5).\n", address);
	return command_agreed(stderr);
}

/* Beyond loopback access must be asked for; what the old configuration says is not asked again. */
static int decide_access(struct init *init, const struct address *address, bool asked_for,
			 struct err *err)
{
	const struct conf *old = &init->old_conf;

	if (address_is_loopback(address) && !asked_for)
		return 0;
	if (old->access.given && !asked_for)
		return err_set(err, ERR_DENIED,
			       "nothing was changed: %s has rules, which init does not write: edit it, or, if "
			       "everybody may read and write, say --open", init->file);
	init->wanted.open = asked_for ||
			    (old->access_open && same_text(old->node.address, init->wanted.address)) ||
			    (isatty(STDIN_FILENO) && init_agreed(init->wanted.address));
	if (init->wanted.open)
		return 0;
	return err_set(err, ERR_DENIED,
		       "nothing was changed: whoever reaches %s could read and write every file: write "
		       "rules into %s, see access in covey.yaml(5), or, if that is meant, say --open",
		       init->wanted.address, init->file);
}

/* the command */

static void name_files(struct init *init, const char *file)
{
	struct buf key_file = BUF_INIT;

	init->file = file ? file : CONF_FILE;
	init->wanted.at_home = strcmp(init->file, CONF_FILE) == 0;
	init->directory = file_directory(init->file);
	buf_addf(&key_file, "%s/" KEY_NAME, init->directory);
	init->key_file = buf_take(&key_file);
}

static int prepare_directory(struct init *init, struct err *err)
{
	init->made_directory = mkdir(init->directory, 0755) == 0;
	if (!init->made_directory && errno != EEXIST)
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
	if (join != NULL) {
		init->seed = seed_of(join);
		if (check_seed(join, init->seed, &parsed, err) < 0)
			return -1;
	}
	init->wanted.seed = init->seed;
	if (prepare_directory(init, err) < 0 || read_existing(init, err) < 0 ||
	    decide_access(init, &parsed, open, err) < 0)
		return -1;
	return make_text(init, err);
}

static bool is_as_asked(const struct init *init)
{
	return init->old.fd >= 0 && says_the_same(&init->conf, &init->old_conf);
}

/* This is checked before anything is written. */
static int may_replace(const struct init *init, struct err *err)
{
	if (init->old.fd < 0 || init->force || is_as_asked(init) || is_ours(init))
		return 0;
	return err_set(err, ERR_EXISTS,
		       "replace %s: it is not as init writes it: somebody changed it, or it comes "
		       "from another version: edit it, or say --force, which keeps it beside, as .old",
		       init->file);
}

/* 1: it was there already, 0: it is now */
static int write_conf(const struct init *init, struct err *err)
{
	struct file_access access = { FILE_OWN_USER, FILE_OWN_GROUP, 0644 };

	if (is_as_asked(init))
		return 1;
	if (init->old.fd >= 0) {
		access = access_of(&init->old, CONF_MASK);
		if (!is_ours(init) && keep_old(&init->old, CONF_MASK, init->file, err) < 0)
			return -1;
	}
	if (file_replace_as(init->file, buf_str(&init->text), &access, err) < 0)
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
		     "  sudo systemctl stop 'covey*'\n"
		     "  sudo systemctl daemon-reload\n"
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

/* The units open sockets at any address (FreeBind=), so no other program would warn. */
static void warn_of_address(const struct init *init)
{
	struct address address;
	struct err err = ERR_INIT;
	int fd;

	if (check_address(init->wanted.address, &address, &err) < 0)
		return;
	address_set_port(&address, 0);
	fd = sock_bind_udp(&address, &err);
	if (fd >= 0)
		close(fd);
	else if (err.sys == EADDRNOTAVAIL)
		fprintf(stderr, "covey: no interface of this machine has %s: until one has, no other node "
				"reaches this one\n", init->wanted.address);
}

static int write_all(const struct init *init, struct err *err)
{
	int key, conf;

	if (may_replace(init, err) < 0)
		return -1;
	key = place_key(init, err);
	if (key < 0)
		return -1;
	conf = write_conf(init, err);
	if (conf < 0)
		return -1;
	if (key == 1 && conf == 0)
		printf("kept    %s, the key that was there\n", init->key_file);
	if (key == 1 && conf == 1)
		printf("nothing changes: %s and %s are as asked\n", init->file, init->key_file);
	warn_of_address(init);
	print_next(init);
	return 0;
}

enum { ADDRESS, JOIN, OPEN, FORCE, CONF };

static int run(const struct arguments *args)
{
	struct init init = {
		.conf = CONF_INIT, .old = EXISTING_INIT, .old_conf = CONF_INIT, .key = EXISTING_INIT,
	};
	struct err err = ERR_INIT;
	int status = 0;

	if (args->values[ADDRESS] == NULL)
		return command_misused(args->command, "--address is missing; a node alone, on loopback, "
						      "needs no init");
	init.force = args->values[FORCE] != NULL;
	name_files(&init, args->values[CONF]);
	if (prepare(&init, args->values[ADDRESS], args->values[JOIN], args->values[OPEN] != NULL,
		    &err) < 0 ||
	    write_all(&init, &err) < 0) {
		if (init.made_directory)
			rmdir(init.directory);	/* unless something is in it */
		status = command_fail(&err);
		if (err.sys == EACCES || (err.sys == EPERM && geteuid() != 0)) {
			fprintf(stderr, "covey: run it with sudo\n");
			status = EX_NOPERM;
		}
	}
	init_clear(&init);
	return status;
}

static const struct command_option options[] = {
	[ADDRESS] = { "address", 'a', "ADDRESS", "numeric address by which other nodes reach this one" },
	[JOIN] = { "join", 'j', "HOST", "any node of the group; without it this is the first" },
	[OPEN] = { "open", 0, NULL, "whoever reaches the address may read and write" },
	[FORCE] = { "force", 0, NULL, "replace what somebody changed, or another key; keep it as .old" },
	[CONF] = OPTION_CONF,
	OPTION_END,
};

const struct command command_init = {
	.name = "init",
	.operands = "",
	.summary = "Write the configuration and the key of a node of a group",
	.details = "The key is group.key beside the configuration. The first node makes it; one that\n"
		   "joins reads it from standard input, has it already, or asks for it:\n"
		   "  ssh HOST sudo cat /etc/covey/group.key |\n"
		   "  sudo covey init --open --address ADDRESS --join HOST\n"
		   "With --open whoever reaches the node may read and write, until you put rules in place of\n"
		   "\"access: open\": covey.yaml(5) has them, and covey access check explains them.\n"
		   "A configuration elsewhere than in /etc/covey has its store beside it.",
	.options = options,
	.most = 0,
	.run = run,
};
