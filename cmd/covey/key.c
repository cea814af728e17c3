/*
 * key - covey key: a fresh key for a group, and the change of the key, node by node
 *
 * A change goes over all nodes three times: add, switch, drop.  At any moment
 * nodes that are one step apart understand each other, so nothing has to stop.
 * What a person wrote beside the keys in the file stays there.
 */
#include "local.h"

#include "file.h"
#include "identity.h"
#include "seal.h"

#include <limits.h>
#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>

enum { KEY_CONF };

struct key_file {
	char path[PATH_MAX];		/* without links */
	struct file_access access;
	struct buf text;
	struct seal_keys keys;
	struct str lines[SEAL_KEYS];	/* of the text, those with the keys */
};

static void key_file_clear(struct key_file *f)
{
	if (f->text.data != NULL)
		explicit_bzero(f->text.data, f->text.cap);
	buf_clear(&f->text);
	explicit_bzero(&f->keys, sizeof f->keys);
}

static void find_lines(struct key_file *f)
{
	struct str rest = buf_str(&f->text), line;
	size_t n = 0;

	while (n < f->keys.count && str_cut(&rest, '\n', &line)) {
		struct str word = str_trim(line);

		if (word.n > 1 && word.s[0] != '#')
			f->lines[n++] = line;
	}
}

static int key_file_read(struct key_file *f, const struct conf *conf, struct err *err)
{
	const char *path = conf->group.key_file;
	struct stat st;

	if (path == NULL)
		return err_set(err, ERR_ABSENT, "this node has no group.key_file: it is a group of one");
	if (realpath(path, f->path) == NULL || stat(f->path, &st) < 0)
		return err_sys(err, "open %s", path);
	f->access = (struct file_access){ st.st_uid, st.st_gid, st.st_mode & 07777 };
	if (file_read(f->path, IDENTITY_KEY_FILE_BYTES, &f->text, err) < 0)
		return -1;
	if (seal_keys_parse(buf_str(&f->text), &f->keys, err) < 0)
		return err_context(err, "%s", f->path);
	find_lines(f);
	return 0;
}

static void show(const struct seal_keys *keys)
{
	static const char *const parts[SEAL_KEYS] = { "seals and opens", "opens" };
	char name[SEAL_KEY_NAME];

	for (size_t i = 0; i < keys->count; i++)
		printf("%s  %s\n", seal_key_name(name, keys, i), parts[i]);
}

/* The text is used up.  What it says is shown. */
static int key_file_write(const struct key_file *f, struct buf *text, struct err *err)
{
	struct seal_keys keys = SEAL_KEYS_INIT;
	int rc = seal_keys_parse(buf_str(text), &keys, err);

	if (rc == 0)
		rc = file_replace_as(f->path, buf_str(text), &f->access, err);
	if (rc == 0)
		show(&keys);
	explicit_bzero(text->data, text->cap);
	buf_clear(text);
	explicit_bzero(&keys, sizeof keys);
	return rc;
}

/* the verbs */

static int verb_show(struct key_file *f, struct err *err)
{
	(void)err;
	show(&f->keys);
	return 0;
}

static int read_key(struct buf *to, struct seal_keys *ret, struct err *err)
{
	if (file_read_opened(STDIN_FILENO, "standard input", IDENTITY_KEY_FILE_BYTES, to, err) < 0)
		return -1;
	if (seal_keys_parse(buf_str(to), ret, err) < 0)
		return err_context(err, "standard input");
	if (ret->count > 1)
		return err_set(err, ERR_INVALID, "standard input: more than one key: only the new one is wanted");
	return 0;
}

static void add_below(struct buf *to, const struct key_file *f, const struct seal_keys *key)
{
	char hex[2 * SEAL_KEY_BYTES + 1];

	buf_addstr(to, buf_str(&f->text));
	if (to->len > 0 && to->data[to->len - 1] != '\n')
		buf_addc(to, '\n');
	str_to_hex(hex, key->list[0].bytes, SEAL_KEY_BYTES);
	buf_addf(to, "%s\n", hex);
	explicit_bzero(hex, sizeof hex);
}

/* The key from standard input, and where it stands in the file: keys.count, if it is not there. */
static int given_find(const struct key_file *f, struct seal_keys *ret_key, size_t *ret_place, struct err *err)
{
	struct buf given = BUF_INIT;
	size_t place = 0;
	int rc = read_key(&given, ret_key, err);

	while (rc == 0 && place < f->keys.count &&
	       sodium_memcmp(f->keys.list[place].bytes, ret_key->list[0].bytes, SEAL_KEY_BYTES) != 0)
		place++;
	*ret_place = place;
	if (given.data != NULL)
		explicit_bzero(given.data, given.cap);
	buf_clear(&given);
	return rc;
}

/* Each verb may be said again on all nodes: where it is done already it changes nothing. */
static int verb_add(struct key_file *f, struct err *err)
{
	struct seal_keys key = SEAL_KEYS_INIT;
	struct buf text = BUF_INIT;
	size_t place;
	int rc = given_find(f, &key, &place, err);

	if (rc == 0 && place < f->keys.count) {
		show(&f->keys);
	} else if (rc == 0 && f->keys.count == SEAL_KEYS) {
		rc = err_set(err, ERR_CONFLICT, "%s has two keys already: bring the change that was begun to its "
			     "end first", f->path);
	} else if (rc == 0) {
		add_below(&text, f, &key);
		rc = key_file_write(f, &text, err);
	}
	explicit_bzero(&key, sizeof key);
	return rc;
}

/* The text up to its second key's line, with that of the first, or without; then the rest. */
static void rewrite(struct buf *to, const struct key_file *f, bool exchange)
{
	struct str first = f->lines[0], second = f->lines[1];
	const char *begin = f->text.data, *end = begin + f->text.len, *behind = second.s + second.n;

	buf_add(to, begin, (size_t)(first.s - begin));
	buf_addstr(to, exchange ? second : first);
	buf_add(to, first.s + first.n, (size_t)(second.s - first.s) - first.n);
	if (exchange)
		buf_addstr(to, first);
	else if (behind < end)
		behind++;		/* with its end */
	buf_add(to, behind, (size_t)(end - behind));
}

static int verb_rewrite(struct key_file *f, bool exchange, struct err *err)
{
	struct buf text = BUF_INIT;

	rewrite(&text, f, exchange);
	return key_file_write(f, &text, err);
}

static int given_place(const struct key_file *f, size_t *ret_place, struct err *err)
{
	struct seal_keys key = SEAL_KEYS_INIT;
	int rc = given_find(f, &key, ret_place, err);

	explicit_bzero(&key, sizeof key);
	if (rc == 0 && *ret_place == f->keys.count)
		return err_set(err, ERR_CONFLICT, "%s has not the key from standard input: say covey key add on every "
			       "node first", f->path);
	return rc;
}

static int verb_switch(struct key_file *f, struct err *err)
{
	size_t place;

	if (given_place(f, &place, err) < 0)
		return -1;
	if (place > 0)
		return verb_rewrite(f, true, err);
	show(&f->keys);
	return 0;
}

static int verb_drop(struct key_file *f, struct err *err)
{
	size_t place;

	if (given_place(f, &place, err) < 0)
		return -1;
	if (place > 0)
		return err_set(err, ERR_CONFLICT, "%s: the other key seals still: say covey key switch on every node first",
			       f->path);
	if (f->keys.count > 1)
		return verb_rewrite(f, false, err);
	show(&f->keys);
	return 0;
}

static const struct verb {
	const char *name;
	int (*run)(struct key_file *, struct err *);
} verbs[] = {
	{ "show", verb_show },
	{ "add", verb_add },
	{ "switch", verb_switch },
	{ "drop", verb_drop },
};

static int run_verb(const struct arguments *args, const struct conf *conf)
{
	struct key_file f = { .text = BUF_INIT, .keys = SEAL_KEYS_INIT };
	struct err err = ERR_INIT;
	int rc = key_file_read(&f, conf, &err);

	for (size_t i = 0; rc == 0 && i < sizeof verbs / sizeof verbs[0]; i++)
		if (strcmp(args->operands[0], verbs[i].name) == 0)
			rc = verbs[i].run(&f, &err);
	key_file_clear(&f);
	return rc < 0 ? command_fail(&err) : 0;
}

/* For `covey key new >FILE`: the shell made a file that everybody can read. */
static void close_to_others(void)
{
	struct stat st;

	if (fstat(STDOUT_FILENO, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & S_IRWXO) != 0 &&
	    fchmod(STDOUT_FILENO, st.st_mode & 07770) < 0)
		fprintf(stderr, "covey: others can read the file with the key: say chmod o= FILE\n");
}

static int print_new(void)
{
	char text[GROUP_KEY_TEXT];

	close_to_others();
	group_key_new(text);
	fputs(text, stdout);
	return 0;
}

static int key_run(const struct arguments *args)
{
	if (strcmp(args->operands[0], "new") == 0)
		return print_new();
	for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
		if (strcmp(args->operands[0], verbs[i].name) == 0)
			return local_run(args, args->values[KEY_CONF], run_verb);
	return command_misused(args->command, "%s: neither new, show, add, switch nor drop", args->operands[0]);
}

static const struct command_option options[] = {
	[KEY_CONF] = OPTION_CONF, OPTION_END,
};

const struct command command_key = {
	.name = "key",
	.operands = "new | show | add | switch | drop",
	.summary = "Print a fresh group key, or change the key of a group",
	.details = "All nodes of a group have the same file group.key_file, readable by them alone.\n"
		   "It has a line for each key: the first one seals, all of them open. A node takes the\n"
		   "file as it is as soon as it has changed. To change the key of a group, make a new\n"
		   "one with new, and go over all nodes three times, each time with the new key on\n"
		   "standard input; what is done already is left as it is:\n"
		   "  add      puts the new key below the one that is there\n"
		   "  switch   has the new key seal, and the old one open\n"
		   "  drop     takes out the old key\n"
		   "Begin the next step only when all nodes have done the one before. A node that is\n"
		   "away keeps its file: bring that up to date before it is started again. show prints\n"
		   "what the keys of the file are called, and covey status (keys) those that a node uses.",
	.options = options,
	.least = 1,
	.most = 1,
	.run = key_run,
};
