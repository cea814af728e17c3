/*
 * door - who asks, and whether they may: judged once, before anything is done
 *
 *	rules	a set that never changes, counted by who holds it; the next one takes its place
 *	memory	which credentials were right, and who failed: tables of fixed size, under one mutex
 *	guests	who asks on a connection
 *	attempts	passwords, in the door's own pool
 *	judging	what a request needs, and what its asker has
 *	reload	files that have changed
 */
#include "door.h"

#include "access_file.h"
#include "answer.h"
#include "clock.h"
#include "container.h"
#include "log.h"
#include "loop/conn.h"
#include "mem.h"
#include "path.h"
#include "reply.h"

#include <crypt.h>
#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>

#define THREADS 2		/* that check passwords */
#define ATTEMPTS_MAX 128	/* at once, waiting or being checked, */
#define ATTEMPTS_OF_SOURCE 32	/* of them from one source */
#define REMEMBER_MS 60000	/* credentials that were right, and who asks on a connection */
#define SLOW_MS 1000		/* after the first failure; twice as long after each next one, */
#define SLOW_MAX_MS 30000	/* at most */
#define FORGET_MS 600000	/* a failure, when no other followed */
#define SETS 256		/* of a table, */
#define WAYS 4			/* places in each */
#define FILES 4			/* the configuration, users, tokens, deny */
#define GROUPS_MAX 64		/* of a process that asks by a Unix socket */
#define REALM "covey"

/* What one file looked like. */
struct stamp {
	bool there;
	dev_t device;
	ino_t inode;
	off_t size;
	struct timespec changed, modified;
};

struct door_rules {
	atomic_uint holders;
	uint64_t generation;
	struct access_file access;
};

/* Credentials that were right, by the rules of a generation. */
struct remembered {
	uint8_t proof[32];
	uint64_t generation, until;	/* ms, monotonic */
};

/* Who failed. */
struct failed {
	uint64_t whom;			/* a source and a user; 0: nobody */
	uint64_t last, until;		/* ms, monotonic: the last failure; the next attempt */
	unsigned failures;
};

struct door {
	struct httpd *httpd;
	atomic_bool closed;		/* there are rules */
	atomic_uint_fast64_t generation;	/* of current */
	pthread_mutex_t mutex;		/* current, memory, sources */
	struct door_rules *current;
	struct pool *pool;
	uint8_t proof_key[crypto_generichash_KEYBYTES];
	uint8_t guest_key[crypto_shorthash_siphashx24_KEYBYTES];
	uint8_t decoy_key[16];
	struct remembered remembered[SETS][WAYS];
	struct failed failed[SETS][WAYS];
	struct {
		uint8_t source[16];
		unsigned attempts;	/* 0: the place is free */
	} sources[ATTEMPTS_MAX];
	unsigned attempts;		/* of all */
	struct {
		atomic_uint_least64_t unauthorized, forbidden, slowed, passwords;
	} counts;
	/* worker 0's alone */
	struct stamp stamps[FILES];
};

struct attempt;

struct door_guest {
	/* of the connection */
	bool addressed;			/* source is its address */
	uint8_t source[16];
	bool local;			/* by a Unix socket, from this process's: */
	uint32_t uid;
	uint32_t gids[GROUPS_MAX];
	size_t gid_count;
	/* of the last request */
	uint8_t from[16];		/* the source, or as a proxy tells */
	bool proxied;
	uint64_t generation;		/* of the rules by which it was found out; 0: it was not */
	uint64_t until;			/* ms, monotonic */
	uint8_t proof[16];		/* of its credentials */
	char user[ACCESS_NAME_BYTES + 1], token[ACCESS_NAME_BYTES + 1];
	struct access_asker asker;	/* points into all this */
	struct attempt *attempt;	/* owned; or NULL */
};

/* rules */

static void rules_drop(struct door_rules *rules)
{
	if (rules == NULL || atomic_fetch_sub(&rules->holders, 1) > 1)
		return;
	access_file_clear(&rules->access);
	free(rules);
}

/* Each worker has its own hold of the present ones, so that a request takes no lock. */
static struct door_rules *rules_hold(struct worker *w)
{
	struct door *door = w->httpd->door;

	if (w->rules == NULL || w->rules->generation != atomic_load_explicit(&door->generation, memory_order_acquire)) {
		struct door_rules *former = w->rules;

		pthread_mutex_lock(&door->mutex);
		w->rules = door->current;
		atomic_fetch_add(&w->rules->holders, 1);
		pthread_mutex_unlock(&door->mutex);
		rules_drop(former);
	}
	atomic_fetch_add_explicit(&w->rules->holders, 1, memory_order_relaxed);
	return w->rules;
}

/* A rule for somebody whom this machine does not have is for nobody, and no error: he may come. */
static void rules_warn(const struct access_rules *rules)
{
	for (size_t i = 0; i < rules->count; i++)
		for (size_t k = 0; k < rules->list[i].who_count; k++) {
			const struct access_who *who = &rules->list[i].who[k];
			bool user = who->kind == ACCESS_UNIX_USER;

			if ((user || who->kind == ACCESS_UNIX_GROUP) && !who->resolved)
				log_line(LOG_LEVEL_WARNING, "access.rules, line %u: this machine has no %s %s: it names nobody",
					 rules->list[i].line, user ? "user" : "group", who->name);
		}
}

static void rules_use(struct door *door, struct access_file *access)
{
	struct door_rules *rules = mem_new(1, sizeof *rules), *former;

	rules_warn(&access->conf.access.rules);
	atomic_store(&rules->holders, 1);
	rules->access = *access;
	pthread_mutex_lock(&door->mutex);
	former = door->current;
	rules->generation = former != NULL ? former->generation + 1 : 1;
	door->current = rules;
	atomic_store_explicit(&door->generation, rules->generation, memory_order_release);
	atomic_store(&door->closed, access->conf.access.given);
	pthread_mutex_unlock(&door->mutex);
	rules_drop(former);
}

bool door_is_closed(const struct httpd *h)
{
	return atomic_load_explicit(&h->door->closed, memory_order_relaxed);
}

/* memory; the mutex is held by who calls */

static size_t set_of(const void *key)
{
	uint64_t number;

	memcpy(&number, key, sizeof number);
	return number % SETS;
}

static struct remembered *memory_find(struct door *door, const uint8_t proof[32], uint64_t generation, uint64_t now)
{
	struct remembered *set = door->remembered[set_of(proof)];

	for (size_t i = 0; i < WAYS; i++)
		if (set[i].generation == generation && now < set[i].until &&
		    sodium_memcmp(set[i].proof, proof, sizeof set[i].proof) == 0)
			return &set[i];
	return NULL;
}

static void memory_add(struct door *door, const uint8_t proof[32], uint64_t generation, uint64_t now)
{
	struct remembered *set = door->remembered[set_of(proof)], *oldest = set;

	for (size_t i = 1; i < WAYS; i++)
		if (set[i].until < oldest->until)
			oldest = &set[i];
	memcpy(oldest->proof, proof, sizeof oldest->proof);
	oldest->generation = generation;
	oldest->until = now + REMEMBER_MS;
}

static struct failed *failed_find(struct door *door, uint64_t whom, uint64_t now)
{
	struct failed *set = door->failed[set_of(&whom)];

	for (size_t i = 0; i < WAYS; i++)
		if (set[i].whom == whom && now < set[i].last + FORGET_MS)
			return &set[i];
	return NULL;
}

static void failed_add(struct door *door, uint64_t whom, uint64_t now)
{
	struct failed *set = door->failed[set_of(&whom)], *place = failed_find(door, whom, now);
	uint64_t pause = SLOW_MS;

	if (place == NULL) {
		place = set;
		for (size_t i = 1; i < WAYS; i++)
			if (set[i].until < place->until)
				place = &set[i];
		*place = (struct failed){ .whom = whom };
	}
	for (unsigned i = 0; i < place->failures && pause < SLOW_MAX_MS; i++)
		pause *= 2;
	place->failures++;
	place->last = now;
	place->until = now + (pause < SLOW_MAX_MS ? pause : SLOW_MAX_MS);
}

static void failed_forget(struct door *door, uint64_t whom, uint64_t now)
{
	struct failed *place = failed_find(door, whom, now);

	if (place != NULL)
		*place = (struct failed){ .whom = 0 };
}

/* ms until the next attempt; 0: now. */
static uint64_t failed_wait(struct door *door, uint64_t whom, uint64_t now)
{
	const struct failed *place = failed_find(door, whom, now);

	return place != NULL && now < place->until ? place->until - now : 0;
}

/* False: there are too many attempts. */
static bool source_enter(struct door *door, const uint8_t source[16])
{
	size_t place = ATTEMPTS_MAX;

	if (door->attempts == ATTEMPTS_MAX)
		return false;
	for (size_t i = 0; i < ATTEMPTS_MAX; i++) {
		if (door->sources[i].attempts > 0 && memcmp(door->sources[i].source, source, 16) == 0) {
			place = i;
			break;
		}
		if (door->sources[i].attempts == 0 && place == ATTEMPTS_MAX)
			place = i;
	}
	if (door->sources[place].attempts == ATTEMPTS_OF_SOURCE)
		return false;
	memcpy(door->sources[place].source, source, 16);
	door->sources[place].attempts++;
	door->attempts++;
	return true;
}

static void source_leave(struct door *door, const uint8_t source[16])
{
	for (size_t i = 0; i < ATTEMPTS_MAX; i++)
		if (door->sources[i].attempts > 0 && memcmp(door->sources[i].source, source, 16) == 0) {
			door->sources[i].attempts--;
			door->attempts--;
			return;
		}
}

/* refusing */

static void count(atomic_uint_least64_t *counter)
{
	atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

/* Which credentials are taken here: none, where only certificates, sockets and proxies tell who asks. */
static void add_challenges(const struct access_file *access, bool bad_token, struct buf *to)
{
	if (access->conf.access.users != NULL)
		reply_field(to, "WWW-Authenticate", STR("Basic realm=\"" REALM "\", charset=\"UTF-8\""));
	if (access->conf.access.tokens != NULL && bad_token)
		reply_field(to, "WWW-Authenticate", STR("Bearer realm=\"" REALM "\", error=\"invalid_token\""));
	else if (access->conf.access.tokens != NULL)
		reply_field(to, "WWW-Authenticate", STR("Bearer realm=\"" REALM "\""));
}

static void door_forbid(struct conn *c, int status, const char *why)
{
	c->request.is_private = true;
	count(&c->worker->httpd->door->counts.forbidden);
	answer_error(c, status, "%s", why);
}

static void door_challenge(struct conn *c, const char *why, bool bad_token)
{
	struct buf fields = BUF_INIT;

	add_challenges(&c->request.rules->access, bad_token, &fields);
	if (fields.len == 0) {
		door_forbid(c, 403, "you may not do that");
		return;
	}
	c->request.is_private = true;
	count(&c->worker->httpd->door->counts.unauthorized);
	answer_error_with(c, 401, buf_str(&fields), str_of(why));
	buf_clear(&fields);
}

static void door_slow_down(struct conn *c, int status, uint64_t wait_ms, const char *why)
{
	struct buf fields = BUF_INIT;

	c->request.is_private = true;
	count(&c->worker->httpd->door->counts.slowed);
	reply_fieldf(&fields, "Retry-After", "%" PRIu64, (wait_ms + 999) / 1000);
	answer_error_with(c, status, buf_str(&fields), str_of(why));
	buf_clear(&fields);
}

/* guests */

/* The name in the certificate of the connection's client; s NULL: it showed none. */
static struct str door_certificate(const struct conn *c)
{
	const char *name = line_client(c->line);

	return name != NULL ? str_of(name) : (struct str)STR_INIT;
}

/* Who is at the other end of a Unix socket. */
static void guest_see_process(struct door_guest *g, int fd)
{
	struct ucred process;
	socklen_t n = sizeof process;
	gid_t groups[GROUPS_MAX - 1];

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &process, &n) < 0 || process.uid == (uid_t)-1)
		return;
	g->local = true;
	g->uid = process.uid;
	g->gids[g->gid_count++] = process.gid;
	n = sizeof groups;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &n) < 0)
		return;			/* with more groups than these he has his first one alone */
	for (size_t i = 0; i < n / sizeof groups[0]; i++)
		g->gids[g->gid_count++] = groups[i];
}

static struct door_guest *guest_of(struct conn *c)
{
	struct line *line = c->line;
	struct address peer = { .len = sizeof peer.sa };
	struct door_guest *g = line->guest;

	if (g != NULL)
		return g;
	g = line->guest = mem_new(1, sizeof *g);
	if (!line->socket || getpeername(line->in, (struct sockaddr *)&peer.sa, &peer.len) < 0)
		return g;
	if (peer.sa.ss_family == AF_UNIX)
		guest_see_process(g, line->in);
	else
		g->addressed = access_source(&peer, g->source) == 0;
	return g;
}

static void attempt_free(struct attempt *);

void door_guest_free(struct door_guest *g)
{
	if (g == NULL)
		return;
	attempt_free(g->attempt);
	sodium_memzero(g, sizeof *g);
	free(g);
}

/* What there is to say of who asks, beside his credentials. */
static void guest_begin(struct conn *c, struct door_guest *g)
{
	g->generation = 0;
	g->user[0] = g->token[0] = '\0';
	g->asker = (struct access_asker){ .certificate = door_certificate(c), .local = g->local, .uid = g->uid,
					  .gids = g->gids, .gid_count = g->gid_count };
}

static void guest_set_user(struct door_guest *g, struct str name)
{
	memcpy(g->user, name.s, name.n);
	g->user[name.n] = '\0';
	g->asker.user = (struct str){ g->user, name.n };
}

static void guest_set_token(struct door_guest *g, const char *name)
{
	snprintf(g->token, sizeof g->token, "%s", name);
	g->asker.token = str_of(g->token);
}

/* It is known who he is, for some time.  False: he is shut out, and was told so. */
static bool guest_known(struct conn *c, struct door_guest *g, uint64_t until)
{
	const struct access_deny *deny = &c->request.rules->access.deny;

	if (access_denies(deny, &g->asker) || (g->addressed && access_nets_have(&deny->from, g->from))) {
		door_forbid(c, 403, "you are shut out");
		return false;
	}
	g->generation = c->request.rules->generation;
	g->until = until;
	return true;
}

/* proxies */

/* The value of a field that no other part of covey knows, by its last line; *ret_lines: on how many it is. */
static struct str proxy_field(const struct conn *c, struct str name, unsigned *ret_lines)
{
	struct str value = STR_INIT;

	*ret_lines = 0;
	for (size_t i = 0; i < c->head.field_count; i++)
		if (str_eq_nocase(c->head.fields[i].name, name)) {
			value = c->head.fields[i].value;
			++*ret_lines;
		}
	return value;
}

/* The last address that is no trusted proxy's: what stands before it anybody may have written. */
static void proxy_source(const struct conn *c, const struct access_nets *trusted, uint8_t source[16])
{
	unsigned lines;
	struct str rest = proxy_field(c, STR("X-Forwarded-For"), &lines);

	while (rest.n > 0) {
		const char *comma = memrchr(rest.s, ',', rest.n);
		size_t at = comma != NULL ? (size_t)(comma - rest.s) + 1 : 0;
		uint8_t told[16];

		if (access_source_parse(str_trim((struct str){ rest.s + at, rest.n - at }), told) < 0)
			return;
		memcpy(source, told, 16);
		if (!access_nets_have(trusted, told))
			return;
		rest.n = at > 0 ? at - 1 : 0;
	}
}

/* 1: a proxy tells who asks; 0: it does not; -1: that is no name. */
static int proxy_user(const struct conn *c, struct door_guest *g)
{
	unsigned lines;
	struct str name = proxy_field(c, STR("X-Forwarded-User"), &lines);

	if (name.n == 0 && lines <= 1)
		return 0;
	if (lines > 1 || !access_name_valid(name))
		return -1;
	guest_set_user(g, name);
	return 1;
}

/* attempts */

struct attempt {
	struct conn *conn;
	struct job job;
	const char *hash;		/* the user's, or another's that costs as much; of the request's rules */
	bool known;			/* there is such a user */
	uint64_t whom;
	struct source source;		/* of an IPv6 client the network that is all its own */
	uint8_t proof[32];
	char user[ACCESS_NAME_BYTES + 1], password[ACCESS_PASSWORD_BYTES + 1];
	enum { ATTEMPT_RIGHT, ATTEMPT_WRONG, ATTEMPT_SLOWED } verdict;
	uint64_t wait;			/* ms, of one that is slowed */
};

static void attempt_free(struct attempt *a)
{
	if (a == NULL)
		return;
	sodium_memzero(a, sizeof *a);
	free(a);
}

static bool attempt_hashes_to(const struct attempt *a)
{
	struct crypt_data *data = mem_new(1, sizeof *data);
	const char *got = crypt_rn(a->password, a->hash, data, sizeof *data);
	size_t n = strlen(a->hash);
	bool same = got != NULL && strlen(got) == n && sodium_memcmp(got, a->hash, n) == 0;

	sodium_memzero(data, sizeof *data);
	free(data);
	return same;
}

/* In the door's pool: attempts for one user from one source one after the other. */
static void attempt_work(struct job *job)
{
	struct attempt *a = CONTAINER_OF(job, struct attempt, job);
	struct door *door = a->conn->worker->httpd->door;
	uint64_t generation = a->conn->request.rules->generation;
	bool remembered, right;

	pthread_mutex_lock(&door->mutex);
	remembered = memory_find(door, a->proof, generation, clock_mono_ms()) != NULL;
	a->wait = failed_wait(door, a->whom, clock_mono_ms());
	pthread_mutex_unlock(&door->mutex);
	a->verdict = remembered ? ATTEMPT_RIGHT : ATTEMPT_SLOWED;
	if (remembered || a->wait > 0)
		return;
	count(&door->counts.passwords);
	right = attempt_hashes_to(a) && a->known;
	a->verdict = right ? ATTEMPT_RIGHT : ATTEMPT_WRONG;
	pthread_mutex_lock(&door->mutex);
	if (right) {
		memory_add(door, a->proof, generation, clock_mono_ms());
		failed_forget(door, a->whom, clock_mono_ms());
	} else {
		failed_add(door, a->whom, clock_mono_ms());
	}
	pthread_mutex_unlock(&door->mutex);
}

static void attempt_log(const struct attempt *a, const struct door_guest *g)
{
	char from[SOURCE_TEXT];
	struct log_field fields[] = { { "COVEY_USER", str_of(a->user) } };

	log_fields(LOG_LEVEL_WARNING, fields, 1, "wrong password for user %s from %s", a->user,
		   g->addressed ? source_format_address(from, g->from) : "a socket");
}

static void attempt_done(struct job *job)
{
	struct attempt *a = CONTAINER_OF(job, struct attempt, job);
	struct conn *c = a->conn;
	struct door *door = c->worker->httpd->door;
	struct door_guest *g = c->line->guest;

	pthread_mutex_lock(&door->mutex);
	source_leave(door, a->source.address);
	pthread_mutex_unlock(&door->mutex);
	g->attempt = NULL;
	switch (a->verdict) {
	case ATTEMPT_RIGHT:
		guest_set_user(g, str_of(a->user));
		if (guest_known(c, g, clock_mono_ms() + REMEMBER_MS))
			request_go_on(c);
		break;
	case ATTEMPT_WRONG:
		attempt_log(a, g);
		door_challenge(c, "wrong user or password", false);
		break;
	case ATTEMPT_SLOWED:
		door_slow_down(c, 429, a->wait, "the last attempt failed: try again later");
		break;
	}
	attempt_free(a);
	conn_resume(c);
}

static uint64_t attempt_whom(const struct door *door, const struct attempt *a)
{
	unsigned char text[16 + ACCESS_NAME_BYTES + 1];
	uint64_t whom[2];
	size_t n = strlen(a->user);

	memcpy(text, a->source.address, 16);
	memcpy(text + 16, a->user, n);
	crypto_shorthash_siphashx24((unsigned char *)whom, text, 16 + n, door->guest_key);
	return whom[0] | 1;
}

static struct attempt *attempt_new(struct conn *c, struct door_guest *g, const struct access_credentials *by,
				   const uint8_t proof[32])
{
	struct door *door = c->worker->httpd->door;
	const struct access_users *users = &c->request.rules->access.users;
	const struct access_user *cost = access_users_cost(users, by->user, door->decoy_key);
	struct attempt *a = mem_new(1, sizeof *a);

	a->conn = c;
	a->hash = cost != NULL ? cost->hash : NULL;
	a->known = access_users_find(users, by->user) != NULL;
	memcpy(a->user, by->user.s, by->user.n);
	if (by->password.n > 0)
		memcpy(a->password, by->password.s, by->password.n);
	memcpy(a->proof, proof, sizeof a->proof);
	a->source = source_at(g->from);
	a->whom = attempt_whom(door, a);
	return a;
}

/* False: it was answered. */
static bool attempt_may_start(struct conn *c, struct attempt *a)
{
	struct door *door = c->worker->httpd->door;
	bool room;

	pthread_mutex_lock(&door->mutex);
	a->wait = failed_wait(door, a->whom, clock_mono_ms());
	room = a->wait > 0 || source_enter(door, a->source.address);
	pthread_mutex_unlock(&door->mutex);
	if (a->wait > 0)
		door_slow_down(c, 429, a->wait, "the last attempt failed: try again later");
	else if (!room)
		door_slow_down(c, 503, 1000, "too many passwords are checked at the moment");
	return room && a->wait == 0;
}

/* Basic: true when it is known already. */
static bool enter_by_password(struct conn *c, struct door_guest *g, const struct access_credentials *by, struct str field)
{
	struct door *door = c->worker->httpd->door;
	uint8_t proof[32];
	const struct remembered *known;
	struct attempt *a;
	uint64_t until = 0;

	crypto_generichash(proof, sizeof proof, (const unsigned char *)field.s, field.n, door->proof_key,
			   sizeof door->proof_key);
	pthread_mutex_lock(&door->mutex);
	known = memory_find(door, proof, c->request.rules->generation, clock_mono_ms());
	if (known != NULL)
		until = known->until;
	pthread_mutex_unlock(&door->mutex);
	if (until > 0) {
		guest_set_user(g, by->user);
		return guest_known(c, g, until);
	}
	a = attempt_new(c, g, by, proof);
	if (a->hash == NULL) {
		door_challenge(c, "wrong user or password", false);
		attempt_free(a);
	} else if (!attempt_may_start(c, a)) {
		attempt_free(a);
	} else {
		g->attempt = a;
		a->job = (struct job){ .work = attempt_work, .done = attempt_done, .home = c->worker->loop, .key = a->whom };
		c->state = CONN_BUSY;
		pool_submit(door->pool, &a->job);
	}
	return false;
}

static bool enter_by_token(struct conn *c, struct door_guest *g, struct str text)
{
	uint64_t now = clock_wall_ns() / 1000000000, mono = clock_mono_ms(), most = REMEMBER_MS;
	const struct access_token *token = access_tokens_find(&c->request.rules->access.tokens, text, now);

	if (token == NULL) {
		door_challenge(c, "this token is not known here, or has expired", true);
		return false;
	}
	if (token->expires != 0 && (token->expires - now) * 1000 < most)
		most = (token->expires - now) * 1000;
	guest_set_token(g, token->name);
	return guest_known(c, g, mono + most);
}

static bool enter_by_credentials(struct conn *c, struct door_guest *g, struct str field)
{
	struct access_credentials by;
	struct buf scratch = BUF_INIT;
	bool known = false;

	if (access_credentials_parse(field, &scratch, &by) < 0)
		door_challenge(c, "Authorization is neither Basic nor Bearer, or malformed", false);
	else if (by.scheme == ACCESS_BEARER)
		known = enter_by_token(c, g, by.token);
	else
		known = enter_by_password(c, g, &by, field);
	if (scratch.data != NULL)
		sodium_memzero(scratch.data, scratch.cap);
	buf_clear(&scratch);
	return known;
}

/* entering */

/* Pages and messages that whoever reaches the port may have: they say nothing, or are sealed. */
static bool is_for_everybody(const struct conn *c)
{
	struct str path = c->head.path;

	return c->head.method == METHOD_OPTIONS || str_eq(path, STR("/.covey/healthz")) ||
	       str_eq(path, STR("/.covey/readyz")) ||
	       (c->head.method == METHOD_POST && str_eq(path, STR("/.covey/msg")));
}

/* Credentials that were judged on this connection, by these rules, not long ago. */
static bool is_known(const struct conn *c, const struct door_guest *g, const uint8_t proof[16])
{
	return g->generation == c->request.rules->generation && !g->proxied && clock_mono_ms() < g->until &&
	       sodium_memcmp(g->proof, proof, sizeof g->proof) == 0;
}

static bool enter_anew(struct conn *c, struct door_guest *g, struct str field)
{
	const struct access_nets *trusted = &c->request.rules->access.conf.trust_proxy;
	int by_proxy = 0;

	guest_begin(c, g);
	memcpy(g->from, g->source, 16);
	g->proxied = g->addressed && access_nets_have(trusted, g->source);
	if (g->proxied) {
		g->asker.certificate = (struct str)STR_INIT;	/* the proxy's, not its client's */
		proxy_source(c, trusted, g->from);
		by_proxy = proxy_user(c, g);
	}
	if (by_proxy < 0) {
		door_forbid(c, 403, "X-Forwarded-User is not one name");
		return false;
	}
	/* Whoever comes from where nobody may is spared, and spares, a password. */
	if (!guest_known(c, g, UINT64_MAX))
		return false;
	if (by_proxy > 0 || field.s == NULL)
		return true;
	g->generation = 0;
	return enter_by_credentials(c, g, field);
}

bool door_enter(struct conn *c)
{
	struct str field = head_get(&c->head, FIELD_AUTHORIZATION);
	struct door *door = c->worker->httpd->door;
	struct door_guest *g;
	uint8_t proof[16];

	if (c->request.peer || is_for_everybody(c))
		return true;
	c->request.rules = rules_hold(c->worker);
	if (!c->request.rules->access.conf.access.given) {	/* since a moment ago */
		door_request_end(c);
		return true;
	}
	g = guest_of(c);
	crypto_shorthash_siphashx24(proof, (const unsigned char *)(field.s != NULL ? field.s : ""), field.n,
				    door->guest_key);
	if (is_known(c, g, proof))
		return true;
	memcpy(g->proof, proof, sizeof g->proof);
	return enter_anew(c, g, field);
}

void door_request_end(struct conn *c)
{
	rules_drop(c->request.rules);
	c->request.rules = NULL;
	c->request.is_private = false;
}

/* judging */

/* What a request needs: a right of each of these sets. */
struct needs {
	unsigned sets[3];
	size_t count;
};

static void needs_add(struct needs *needs, unsigned rights)
{
	needs->sets[needs->count++] = rights;
}

static bool needs_met(const struct needs *needs, unsigned rights)
{
	for (size_t i = 0; i < needs->count; i++)
		if (!(rights & needs->sets[i]))
			return false;
	return true;
}

static void needs_of_read(const struct request *r, struct needs *needs)
{
	if (r->query.versions || !version_is_none(r->query.version))
		needs_add(needs, ACCESS_HISTORY);
	else if (r->slash)
		needs_add(needs, ACCESS_LIST);
	if (!r->slash && !r->query.versions)
		needs_add(needs, ACCESS_READ);
	if (r->query.deleted && !r->query.versions)
		needs_add(needs, ACCESS_HISTORY);
}

/* A condition asks what is there. */
static void needs_of_write(const struct conn *c, struct needs *needs)
{
	const struct request *r = &c->request;

	if (c->head.method == METHOD_DELETE)
		needs_add(needs, ACCESS_DELETE);
	else if (!version_is_none(r->query.restore))
		needs_add(needs, ACCESS_RESTORE);
	else
		needs_add(needs, ACCESS_WRITE | ACCESS_APPEND);
	if (cond_is_update(&r->cond))
		needs_add(needs, ACCESS_READ);
}

static bool is_read(const struct conn *c)
{
	return c->head.method == METHOD_GET || c->head.method == METHOD_HEAD;
}

static unsigned rights_of(const struct conn *c, const struct access_asker *asker, struct str path)
{
	return access_rights(&c->request.rules->access.conf.access.rules, asker, path);
}

static unsigned guest_rights(const struct conn *c, struct str path)
{
	return rights_of(c, &c->line->guest->asker, path);
}

/* He gave no credentials, and may have some: a process behind a Unix socket, too. */
static bool is_stranger(const struct conn *c)
{
	const struct access_asker *asker = &c->line->guest->asker;

	return asker->user.s == NULL && asker->token.s == NULL && asker->certificate.s == NULL;
}

static void judge_refused(struct conn *c)
{
	struct str path = buf_str(&c->request.path);

	if (is_stranger(c))
		door_challenge(c, "who are you?  This takes a user and password, or a token", false);
	else if (path.n == 0 || guest_rights(c, path_parent(path)) & ACCESS_LIST)
		door_forbid(c, 403, "you may not do that");
	else
		door_forbid(c, 404, "no such file");
}

/* A form for a directory: each of its files is judged when it comes; some may come. */
static bool form_may_come(const struct conn *c)
{
	const struct access_rules *rules = &c->request.rules->access.conf.access.rules;

	return c->head.method == METHOD_POST && c->request.slash && version_is_none(c->request.query.restore) &&
	       access_gives_below(rules, &c->line->guest->asker, buf_str(&c->request.path),
				  ACCESS_WRITE | ACCESS_APPEND);
}

bool door_admits(struct conn *c)
{
	const struct access_asker anyone = ACCESS_ANYONE_ASKS;
	struct request *r = &c->request;
	struct needs needs = { .count = 0 };

	if (is_read(c))
		needs_of_read(r, &needs);
	else
		needs_of_write(c, &needs);
	r->is_private = !needs_met(&needs, rights_of(c, &anyone, buf_str(&r->path))) || (r->slash && door_hides_some(c));
	if (needs_met(&needs, guest_rights(c, buf_str(&r->path))) || form_may_come(c))
		return true;
	judge_refused(c);
	return false;
}

bool door_admits_page(struct conn *c)
{
	struct str path = { c->head.path.s + 1, c->head.path.n - 1 };
	unsigned rights = guest_rights(c, path);
	unsigned wanted = ACCESS_ADMIN | ACCESS_READ;

	if (str_eq(path, STR(".covey/metrics")))
		wanted |= ACCESS_METRICS;
	if (rights & wanted)
		return true;
	if (is_stranger(c))
		door_challenge(c, "who are you?  This takes the right admin", false);
	else
		door_forbid(c, 403, "this takes the right admin");
	return false;
}

bool door_may(const struct conn *c, struct str path, unsigned rights)
{
	return c->request.rules == NULL || guest_rights(c, path) & rights;
}

/* A condition holds for each file of a form, and tells what is there. */
bool door_admits_file(const struct conn *c, struct str path)
{
	return door_may(c, path, ACCESS_WRITE | ACCESS_APPEND) &&
	       (!cond_is_update(&c->request.cond) || door_may(c, path, ACCESS_READ));
}

bool door_admits_site(struct conn *c, struct str page)
{
	const struct access_asker anyone = ACCESS_ANYONE_ASKS;

	if (c->request.rules == NULL)
		return true;
	if (!(rights_of(c, &anyone, page) & ACCESS_READ))
		c->request.is_private = true;
	return door_may(c, page, ACCESS_READ);
}

bool door_hides_some(const struct conn *c)
{
	return c->request.rules != NULL &&
	       access_varies_below(&c->request.rules->access.conf.access.rules, buf_str(&c->request.path));
}

bool door_shows(const struct conn *c, struct str name)
{
	struct buf path = BUF_INIT;
	bool shows;

	path_join(&path, buf_str(&c->request.path), name);
	shows = access_shows(&c->request.rules->access.conf.access.rules, &c->line->guest->asker, buf_str(&path));
	buf_clear(&path);
	return shows;
}

bool door_shows_history(const struct conn *c, struct str name)
{
	struct buf path = BUF_INIT;
	bool shows;

	path_join(&path, buf_str(&c->request.path), name);
	shows = door_may(c, buf_str(&path), ACCESS_HISTORY);
	buf_clear(&path);
	return shows;
}

bool door_is_private(const struct conn *c)
{
	return c->request.is_private;
}

bool door_trusts(const struct httpd *h, const uint8_t address[16])
{
	return access_nets_have(&h->door->current->access.conf.trust_proxy, address);
}

struct door_counts door_counts(const struct httpd *h)
{
	const struct door *door = h->door;

	return (struct door_counts){
		.unauthorized = atomic_load(&door->counts.unauthorized),
		.forbidden = atomic_load(&door->counts.forbidden),
		.slowed = atomic_load(&door->counts.slowed),
		.passwords = atomic_load(&door->counts.passwords),
	};
}

/* reload */

static void stamp_take(struct stamp *to, const char *file)
{
	struct stat st;

	memset(to, 0, sizeof *to);
	if (file == NULL || stat(file, &st) < 0)
		return;
	to->there = true;
	to->device = st.st_dev;
	to->inode = st.st_ino;
	to->size = st.st_size;
	to->changed = st.st_ctim;
	to->modified = st.st_mtim;
}

/* Of the files that the present rules are made of; door->current changes on this loop alone. */
static void stamps_take(const struct door *door, struct stamp to[FILES])
{
	const struct conf *conf = &door->current->access.conf;

	stamp_take(&to[0], door->httpd->service->conf_file);
	stamp_take(&to[1], conf->access.users);
	stamp_take(&to[2], conf->access.tokens);
	stamp_take(&to[3], conf->access.deny);
}

/* Those of the present rules, which may be others than before. */
static void door_watch_files(struct door *door)
{
	const struct conf *conf = &door->current->access.conf;
	const char *const files[] = { door->httpd->service->conf_file, conf->access.users, conf->access.tokens,
				      conf->access.deny };

	for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
		if (files[i] != NULL)
			service_watch_file(door->httpd->service, files[i]);
}

/* What the configuration names now may be other files than before: the stamps are those of now. */
static void door_read(struct door *door, struct stamp stamps[FILES])
{
	struct access_file access = ACCESS_FILE_INIT;
	struct err err = ERR_INIT;

	memcpy(door->stamps, stamps, sizeof door->stamps);
	if (access_file_load(&access, door->httpd->service->conf_file, &err) < 0) {
		log_err(LOG_LEVEL_ERROR, &err, "who may do what stays as it was");
		return;
	}
	/* A file that lost its rules, by mistake, must not open a node whose sockets somebody else opened. */
	if (door_is_closed(door->httpd) && !access.conf.access.given && !access.conf.access_open) {
		log_line(LOG_LEVEL_ERROR, "who may do what stays as it was: %s has no rules any more, and does not say "
			 "\"access: open\"", door->httpd->service->conf_file);
		access_file_clear(&access);
		return;
	}
	rules_use(door, &access);
	door_watch_files(door);
	log_line(LOG_LEVEL_INFO, "who may do what was read again");
}

void door_reload(struct httpd *h)
{
	struct door *door = h->door;
	struct stamp now[FILES];

	/* Where others have changed, passwords that were right stay known. */
	stamps_take(door, now);
	if (memcmp(now, door->stamps, sizeof now) != 0)
		door_read(door, now);
}

/* its beginning and end */

int door_new(struct httpd *h, struct err *err)
{
	struct access_file access = ACCESS_FILE_INIT;
	struct door *door;

	if (sodium_init() < 0)
		return err_set(err, ERR_SYSTEM, "start libsodium: there is no randomness");
	if (access_file_load(&access, h->service->conf_file, err) < 0)
		return -1;
	door = h->door = mem_new(1, sizeof *door);
	door->httpd = h;
	pthread_mutex_init(&door->mutex, NULL);
	randombytes_buf(door->proof_key, sizeof door->proof_key);
	randombytes_buf(door->guest_key, sizeof door->guest_key);
	randombytes_buf(door->decoy_key, sizeof door->decoy_key);
	door->pool = pool_new(THREADS);
	rules_use(door, &access);
	door_watch_files(door);
	stamps_take(door, door->stamps);
	return 0;
}

void door_join(struct httpd *h)
{
	if (h->door == NULL)
		return;
	pool_free(h->door->pool);
	h->door->pool = NULL;
}

void door_worker_free(struct worker *w)
{
	rules_drop(w->rules);
	w->rules = NULL;
}

void door_free(struct httpd *h)
{
	struct door *door = h->door;

	if (door == NULL)
		return;
	rules_drop(door->current);
	pthread_mutex_destroy(&door->mutex);
	sodium_memzero(door, sizeof *door);
	free(door);
	h->door = NULL;
}
