/*
 * access - who may do what: rules, users, tokens, and the credentials of a request
 *
 * Pure: texts in, decisions out; no files, sockets or clocks.  A rule has a
 * path, who it is for, and what they may:
 *
 *	{ path: "/home/{user}/", who: users, may: [read, list, write] }
 *
 * Of the rules whose path contains a path, by whole components, those with the
 * most components decide alone.  Among them the rights of all that name the
 * asker add up; where none does, there are none.  `{user}` stands for the
 * asker's own name, and a rule with it contains nothing for whoever is no user,
 * or has a name that is no plain component (access_name_is_place()).
 *
 * Paths are as path.h has them, "docs/a.pdf", and ".covey/metrics" for a service
 * page.  There only admin and metrics count, and read of a rule whose own path is
 * there: a rule for / that lets anyone read opens no service page.  Elsewhere admin
 * and metrics count for nothing.
 *
 * A decision depends on the rules, the asker and the path alone, never on what
 * is stored there.
 */
#ifndef COVEY_ACCESS_H
#define COVEY_ACCESS_H

#include "buf.h"
#include "err.h"
#include "sock.h"
#include "str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ACCESS_RULES_MAX 256
#define ACCESS_NAME_BYTES 64		/* of a user, a token, a certificate */
#define ACCESS_PASSWORD_BYTES 511	/* longer ones are wrong: crypt(3) takes no more */
#define ACCESS_FILE_BYTES (4u << 20)	/* of a file of users, tokens or those that are shut out */

/* Rights, to be added up. */
enum {
	ACCESS_READ = 1,		/* a file's newest content */
	ACCESS_LIST = 2,		/* the names in a directory */
	ACCESS_HISTORY = 4,		/* which versions and deletions there were; with read, their content */
	ACCESS_APPEND = 8,		/* new files, versions and directories */
	ACCESS_WRITE = 16,		/* the same */
	ACCESS_DELETE = 32,		/* files, and empty directories */
	ACCESS_RESTORE = 64,		/* make an older version the newest */
	ACCESS_ADMIN = 128,		/* the service pages */
	ACCESS_METRICS = 256,		/* /.covey/metrics */
};
#define ACCESS_RIGHTS 9
const char *access_right_name(unsigned place);	/* of the bit 1 << place: "read" */

/* who asks */

struct access_asker {
	struct str user, token, certificate;	/* names; s NULL: none */
	bool local;				/* by a Unix socket, with these: */
	uint32_t uid;
	const uint32_t *gids;
	size_t gid_count;
};
#define ACCESS_ANYONE_ASKS { .user = STR_INIT }

/* rules */

enum access_kind {
	ACCESS_ANYONE,			/* anyone */
	ACCESS_USERS,			/* users: whoever has shown to be one */
	ACCESS_USER,			/* user:NAME */
	ACCESS_TOKEN,			/* token:NAME */
	ACCESS_CERTIFICATE,		/* cert:NAME */
	ACCESS_UNIX_USER,		/* unix:user=NAME */
	ACCESS_UNIX_GROUP,		/* unix:group=NAME */
};

struct access_who {
	enum access_kind kind;
	char *name;			/* owned; or NULL */
	bool resolved;			/* of this machine, with this */
	uint32_t id;
};

struct access_rule {
	char *path;			/* owned; NULL: not given yet */
	size_t depth;			/* its components */
	bool of_user;			/* one of them is {user} */
	struct access_who *who;		/* owned */
	size_t who_count;
	unsigned rights;
	unsigned line;			/* where it is written */
};

struct access_rules {
	struct access_rule *list;	/* owned */
	size_t count;
};
#define ACCESS_RULES_INIT { .list = NULL }
void access_rules_clear(struct access_rules *);

/* A new rule, last; to be filled by these.  Each: 0, or -1 and nothing was changed. */
struct access_rule *access_rules_add(struct access_rules *, unsigned line);
int access_rule_set_path(struct access_rule *, struct str);	/* "/home/{user}/" */
int access_rule_add_who(struct access_rule *, struct str);	/* "user:ada" */
int access_rule_add_right(struct access_rule *, struct str);	/* "read" */

/* Users and groups of this machine are looked up once: 0 with *ret, or -1, when such a rule names nobody. */
void access_rules_resolve(struct access_rules *, int (*look_up)(bool group, const char *name, uint32_t *ret));

unsigned access_rights(const struct access_rules *, const struct access_asker *, struct str path);

/* Whether some rule for a path below this one, but not for itself, gives the asker one of these rights. */
bool access_gives_below(const struct access_rules *, const struct access_asker *, struct str path, unsigned rights);
/* Whether there are rules for paths below this one: what is there may be judged in another way. */
bool access_varies_below(const struct access_rules *, struct str path);
/* Whether the asker may know of the name: may read or list it, or something below it. */
bool access_shows(const struct access_rules *, const struct access_asker *, struct str path);

/* For who explains a decision: what it is made of. */
bool access_rule_contains(const struct access_rule *, const struct access_asker *, struct str path);
bool access_rule_names(const struct access_rule *, const struct access_asker *);

/* names */

/* Of a user or a token: letters, digits, . - _ @ + and bytes beyond ASCII. */
bool access_name_valid(struct str);
/* Such a name can stand for {user}: it is valid, and begins with no dot. */
bool access_name_is_place(struct str);

/* addresses: one, or ADDRESS/BITS */

struct access_net {
	uint8_t bytes[16];		/* IPv4 as ::ffff:a.b.c.d */
	unsigned bits;			/* that count */
};

struct access_nets {
	struct access_net *list;	/* owned */
	size_t count;
};
#define ACCESS_NETS_INIT { .list = NULL }
void access_nets_clear(struct access_nets *);
int access_nets_add(struct access_nets *, struct str);		/* -1: it is no address */
bool access_nets_have(const struct access_nets *, const uint8_t source[16]);
/* The bytes of an address; -1: it is no internet address. */
int access_source(const struct address *, uint8_t ret[16]);
/* Of one as a proxy writes it: "192.0.2.1", "2001:db8::1", with or without port. */
int access_source_parse(struct str, uint8_t ret[16]);

/* users: lines NAME:HASH */

struct access_user {
	char *name, *hash;		/* owned */
	unsigned line;
};

struct access_users {
	struct access_user *list;	/* owned; sorted by name */
	size_t count;
};
#define ACCESS_USERS_INIT { .list = NULL }
void access_users_clear(struct access_users *);

/*
 * Hashes as mkpasswd and htpasswd -B write them: yescrypt, bcrypt, sha512crypt and
 * sha256crypt, whole.  Others are refused with the name of their method.  Empty lines
 * and those that begin with # say nothing.  Errors begin "FILE:LINE: ".
 */
int access_users_parse(struct access_users *ret, struct str text, const char *file, struct err *);
const struct access_user *access_users_find(const struct access_users *, struct str name);
/*
 * Whose hash is to be computed for this name: the user's, or, so that it costs as much
 * to find out that there is none, some other's, the same one for the same secret and
 * name.  NULL: there are no users.
 */
const struct access_user *access_users_cost(const struct access_users *, struct str name, const uint8_t secret[16]);

/* tokens: lines NAME:SHA256:EXPIRY, which is a date, the last day, or "never" */

struct access_token {
	char *name;			/* owned */
	uint8_t sha256[32];		/* of the token's text */
	uint64_t expires;		/* s since 1970; 0: never */
};

struct access_tokens {
	struct access_token *list;	/* owned; as they are written */
	size_t count;
};
#define ACCESS_TOKENS_INIT { .list = NULL }
void access_tokens_clear(struct access_tokens *);
int access_tokens_parse(struct access_tokens *ret, struct str text, const char *file, struct err *);
/* In constant time, for whatever token.  NULL: there is none, or it has expired.  now: s since 1970 */
const struct access_token *access_tokens_find(const struct access_tokens *, struct str token, uint64_t now);
/* "2027-01-31" or "never": when it ends, s since 1970, or 0.  -1: it is neither. */
int access_expiry_parse(struct str, uint64_t *ret);
void access_expiry_format(struct buf *, uint64_t expires);

/* who is shut out: lines user:NAME, token:NAME, from:ADDRESS or from:ADDRESS/BITS */

struct access_deny {
	struct access_who *names;	/* owned */
	size_t count;
	struct access_nets from;
};
#define ACCESS_DENY_INIT { .names = NULL, .from = ACCESS_NETS_INIT }
void access_deny_clear(struct access_deny *);
int access_deny_parse(struct access_deny *ret, struct str text, const char *file, struct err *);
bool access_denies(const struct access_deny *, const struct access_asker *);

/* credentials: the field Authorization (RFC 7617, RFC 6750) */

struct access_credentials {
	enum { ACCESS_BASIC, ACCESS_BEARER } scheme;
	struct str user, password;	/* Basic */
	struct str token;		/* Bearer */
};

/* They point into the field, or into scratch, which is to be wiped.  -1: malformed, or of another scheme. */
int access_credentials_parse(struct str field, struct buf *scratch, struct access_credentials *ret);

#endif
