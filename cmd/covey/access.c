/* access - token and access: the tokens of this node, and what its rules give */
#include "access_file.h"
#include "calendar.h"
#include "clock.h"
#include "digest.h"
#include "file.h"
#include "local.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define TOKEN_PREFIX "covey_"	/* so that whoever looks for secrets in texts finds it */
#define TOKEN_BYTES 32
#define TOKEN_TEXT (sizeof TOKEN_PREFIX + sodium_base64_ENCODED_LEN(TOKEN_BYTES, sodium_base64_VARIANT_URLSAFE_NO_PADDING))
#define DAYS_MAX 36500
#define DAY_S UINT64_C(86400)

/* the file of tokens */

struct token_file {
	const char *path;
	int fd;				/* owned, and locked; what stands at path */
	struct stat stat;
	struct buf text;
	struct access_tokens tokens;
};
#define TOKEN_FILE_INIT { .fd = -1, .text = BUF_INIT, .tokens = ACCESS_TOKENS_INIT }

static void token_file_clear(struct token_file *f)
{
	if (f->fd >= 0)
		close(f->fd);
	buf_clear(&f->text);
	access_tokens_clear(&f->tokens);
}

/* 1: it is locked, and still what stands there; 0: another one took its place meanwhile */
static int token_file_lock(struct token_file *f, struct err *err)
{
	struct stat now;

	f->fd = open(f->path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
	if (f->fd < 0)
		return err_sys(err, "open %s", f->path);
	if (flock(f->fd, LOCK_EX) < 0 || fstat(f->fd, &f->stat) < 0)
		return err_sys(err, "lock %s", f->path);
	if (stat(f->path, &now) == 0 && now.st_dev == f->stat.st_dev && now.st_ino == f->stat.st_ino)
		return 1;
	close(f->fd);
	f->fd = -1;
	return 0;
}

static int token_file_open(struct token_file *f, const struct conf *conf, struct err *err)
{
	int rc = 0;

	f->path = conf->access.tokens;
	if (f->path == NULL)
		return err_set(err, ERR_INVALID,
			       "the configuration names no file of tokens: add access.tokens, see covey.yaml(5)");
	while (rc == 0)
		rc = token_file_lock(f, err);
	if (rc < 0 || file_read_opened(f->fd, f->path, ACCESS_FILE_BYTES, &f->text, err) < 0)
		return -1;
	return access_tokens_parse(&f->tokens, buf_str(&f->text), f->path, err);
}

static int token_file_write(const struct token_file *f, struct str text, struct err *err)
{
	const struct file_access access = { f->stat.st_uid, f->stat.st_gid, f->stat.st_mode & 0777 };

	return file_replace_as(f->path, text, &access, err);
}

static const struct access_token *token_find(const struct token_file *f, const char *name)
{
	for (size_t i = 0; i < f->tokens.count; i++)
		if (strcmp(f->tokens.list[i].name, name) == 0)
			return &f->tokens.list[i];
	return NULL;
}

/* covey token new */

/* A date, or a number of days from today on. */
static int expiry_of(const char *text, uint64_t *ret, struct err *err)
{
	uint64_t days, today = clock_wall_ns() / 1000000000 / DAY_S;

	if (text == NULL) {
		*ret = 0;
		return 0;
	}
	if (str_u64(str_of(text), DAYS_MAX, &days) == 0) {
		*ret = (today + days + 1) * DAY_S;
		return 0;
	}
	if (access_expiry_parse(str_of(text), ret) == 0 && (*ret == 0 || *ret > today * DAY_S))
		return 0;
	return err_set(err, ERR_INVALID, "--expires %.40s: not a day to come, such as 2027-01-31, nor a number of days", text);
}

static void token_make(char text[TOKEN_TEXT])
{
	unsigned char bytes[TOKEN_BYTES];
	size_t n = strlen(TOKEN_PREFIX);

	randombytes_buf(bytes, sizeof bytes);
	memcpy(text, TOKEN_PREFIX, n);
	sodium_bin2base64(text + n, TOKEN_TEXT - n, bytes, sizeof bytes, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	sodium_memzero(bytes, sizeof bytes);
}

static void token_add_line(struct buf *to, const char *name, const char *token, uint64_t expires)
{
	char hex[2 * 32 + 1];
	uint8_t sha256[32];

	digest_of(token, strlen(token), sha256);
	str_to_hex(hex, sha256, sizeof sha256);
	if (to->len > 0 && to->data[to->len - 1] != '\n')
		buf_addc(to, '\n');
	buf_addf(to, "%s:%s:", name, hex);
	access_expiry_format(to, expires);
	buf_addc(to, '\n');
}

static int token_new(struct token_file *f, const char *name, const char *until, struct err *err)
{
	char token[TOKEN_TEXT];
	uint64_t expires;
	int rc;

	if (!access_name_valid(str_of(name)))
		return err_set(err, ERR_INVALID, "make token: a name has up to 64 letters, digits, '.', '-', '_', '@' and '+'");
	if (token_find(f, name) != NULL)
		return err_set(err, ERR_EXISTS, "make token %s: there is one: revoke it first, or choose another name", name);
	if (expiry_of(until, &expires, err) < 0)
		return -1;
	token_make(token);
	token_add_line(&f->text, name, token, expires);
	rc = token_file_write(f, buf_str(&f->text), err);
	if (rc == 0)
		puts(token);
	sodium_memzero(token, sizeof token);
	return rc;
}

/* covey token list, revoke */

static int token_list(const struct token_file *f)
{
	uint64_t now = clock_wall_ns() / 1000000000;

	for (size_t i = 0; i < f->tokens.count; i++) {
		const struct access_token *token = &f->tokens.list[i];
		struct buf line = BUF_INIT;

		buf_addf(&line, "%-20s  ", token->name);
		access_expiry_format(&line, token->expires);
		puts(buf_str(&line).s);
		if (token->expires != 0 && token->expires <= now)
			command_say("token %s has expired", token->name);
		buf_clear(&line);
	}
	return 0;
}

static int token_revoke(const struct token_file *f, const char *name, struct err *err)
{
	struct str rest = buf_str(&f->text), line;
	struct buf text = BUF_INIT;
	size_t n = strlen(name);
	int rc;

	if (token_find(f, name) == NULL)
		return err_set(err, ERR_ABSENT, "revoke token %.80s: there is none of that name", name);
	while (str_cut(&rest, '\n', &line)) {
		if (line.n > n && memcmp(line.s, name, n) == 0 && line.s[n] == ':')
			continue;
		buf_addstr(&text, line);
		if (rest.s != NULL)
			buf_addc(&text, '\n');
	}
	rc = token_file_write(f, buf_str(&text), err);
	buf_clear(&text);
	return rc;
}

enum { TOKEN_EXPIRES, TOKEN_CONF };

static int token_do(const struct arguments *args, struct token_file *f, struct err *err)
{
	const char *verb = args->operands[0];

	if (strcmp(verb, "list") == 0)
		return token_list(f);
	if (strcmp(verb, "revoke") == 0)
		return token_revoke(f, args->operands[1], err);
	return token_new(f, args->operands[1], args->values[TOKEN_EXPIRES], err);
}

static int token_run_by(const struct arguments *args, const struct conf *conf)
{
	struct token_file f = TOKEN_FILE_INIT;
	struct err err = ERR_INIT;
	int status = 0;

	if (token_file_open(&f, conf, &err) < 0 || token_do(args, &f, &err) < 0)
		status = command_fail(&err);
	token_file_clear(&f);
	return status;
}

static int token_run(const struct arguments *args)
{
	const char *verb = args->operands[0];
	bool list = strcmp(verb, "list") == 0, new = strcmp(verb, "new") == 0;

	if (!list && !new && strcmp(verb, "revoke") != 0)
		return command_misused(args->command, "%s: only \"new\", \"list\" and \"revoke\" are known", verb);
	if (args->count != (list ? 1 : 2))
		return command_misused(args->command, list ? "list takes no name" : "the token's name is missing");
	if (args->values[TOKEN_EXPIRES] != NULL && !new)
		return command_misused(args->command, "--expires is for \"new\"");
	return local_run(args, args->values[TOKEN_CONF], token_run_by);
}

static const struct command_option token_options[] = {
	[TOKEN_EXPIRES] = { "expires", 0, "DATE|DAYS", "its last day, such as 2027-01-31, or how many days from today" },
	[TOKEN_CONF] = OPTION_CONF,
	OPTION_END,
};

const struct command command_token = {
	.name = "token",
	.operands = "new|list|revoke [NAME]",
	.summary = "Make, list or revoke the tokens that programs show",
	.details = "new prints the token, once: access.tokens keeps its SHA-256 alone.\n"
		   "Programs send it as \"Authorization: Bearer TOKEN\"; covey takes it from COVEY_TOKEN.\n"
		   "What it may is said by rules with \"who: token:NAME\". Nodes notice within 10 s.",
	.options = token_options,
	.least = 1,
	.most = 2,
	.run = token_run,
};

/* covey access check */

enum { ACCESS_OF_USER, ACCESS_OF_TOKEN, ACCESS_OF_CERT, ACCESS_CONF };

static void add_rights(struct buf *to, unsigned rights)
{
	const char *comma = "";

	for (unsigned i = 0; i < ACCESS_RIGHTS; i++)
		if (rights & 1u << i) {
			buf_addf(to, "%s%s", comma, access_right_name(i));
			comma = ", ";
		}
	if (rights == 0)
		buf_adds(to, "nothing");
}

static void show_rule(const char *file, const struct access_rule *rule, const char *what)
{
	struct buf rights = BUF_INIT;

	add_rights(&rights, rule->rights);
	printf("%s:%u: /%s: %s: %s\n", file, rule->line, rule->path, rights.data, what);
	buf_clear(&rights);
}

static void explain(const char *file, const struct access_rules *rules, const struct access_asker *asker, struct str path)
{
	struct buf rights = BUF_INIT;
	size_t deepest = 0;

	for (size_t i = 0; i < rules->count; i++)
		if (access_rule_contains(&rules->list[i], asker, path) && rules->list[i].depth > deepest)
			deepest = rules->list[i].depth;
	for (size_t i = 0; i < rules->count; i++) {
		const struct access_rule *rule = &rules->list[i];

		if (!access_rule_contains(rule, asker, path))
			show_rule(file, rule, "is for other paths");
		else if (rule->depth < deepest)
			show_rule(file, rule, "does not count, for another rule has a longer path");
		else
			show_rule(file, rule, access_rule_names(rule, asker) ? "counts" : "is for others");
	}
	add_rights(&rights, access_rights(rules, asker, path));
	printf("may: %s\n", rights.data);
	buf_clear(&rights);
}

/* "/docs/a", and "/.covey/status", which is no path of the store. */
static int access_path(struct buf *to, const char *text)
{
	struct str path = str_of(text);

	while (str_starts(path, STR("/")))
		path = (struct str){ path.s + 1, path.n - 1 };
	if (!str_starts(path, STR(".covey")))
		return command_path(to, text);
	buf_addstr(to, path);
	return 0;
}

static int access_run(const struct arguments *args)
{
	const char *file = args->values[ACCESS_CONF] ? args->values[ACCESS_CONF] : conf_default();
	const struct access_asker asker = { .user = str_of(args->values[ACCESS_OF_USER]),
					    .token = str_of(args->values[ACCESS_OF_TOKEN]),
					    .certificate = str_of(args->values[ACCESS_OF_CERT]) };
	struct access_file access = ACCESS_FILE_INIT;
	struct buf path = BUF_INIT;
	struct err err = ERR_INIT;
	int status;

	if (strcmp(args->operands[0], "check") != 0)
		return command_misused(args->command, "%s: only \"check\" is known", args->operands[0]);
	buf_adds(&path, "");
	status = access_path(&path, args->operands[1]);
	if (status == 0 && access_file_load(&access, file, &err) < 0)
		status = command_fail(&err) == EX_NOPERM ? EX_NOPERM : EX_CONFIG;
	else if (status == 0 && !access.conf.access.given)
		puts("may: everything, as everybody who reaches this node: there are no rules");
	else if (status == 0)
		explain(file, &access.conf.access.rules, &asker, buf_str(&path));
	access_file_clear(&access);
	buf_clear(&path);
	return status;
}

static const struct command_option access_options[] = {
	[ACCESS_OF_USER] = { "user", 0, "NAME", "as this user, who has shown the password" },
	[ACCESS_OF_TOKEN] = { "token", 0, "NAME", "as whoever shows the token of this name" },
	[ACCESS_OF_CERT] = { "cert", 0, "NAME", "as whoever shows a certificate of this name" },
	[ACCESS_CONF] = OPTION_CONF,
	OPTION_END,
};

const struct command command_access = {
	.name = "access",
	.operands = "check PATH",
	.summary = "Explain what the rules of this node let somebody do at a path",
	.details = "Without an option it is for somebody who shows no credentials. It also finds what is\n"
		   "wrong in the files that access names.",
	.options = access_options,
	.least = 2,
	.most = 2,
	.run = access_run,
};
