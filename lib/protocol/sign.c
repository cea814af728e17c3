/* sign - HTTP requests, and their answers, that only holders of the group's key can make */
#include "sign.h"

#include "mem.h"

#include <endian.h>
#include <inttypes.h>
#include <sodium.h>

#define VERSION "v2"
#define MAC_BYTES 32
#define ROOM_FIRST 256			/* slots; a power of two */

_Static_assert(SIGN_TEXT > sizeof VERSION + 2 * 16 + 20 + 2 * SIGN_NONCE_BYTES + 2 * MAC_BYTES + 5,
	       "text");
_Static_assert(MAC_BYTES <= crypto_generichash_BYTES_MAX, "mac");

struct signature {
	uint64_t sender, receiver;
	uint64_t time;
	uint8_t nonce[SIGN_NONCE_BYTES];
	uint8_t mac[MAC_BYTES];
};

/* Another use of the key than sealing, so it says nothing about it. */
void sign_keys_derive(struct sign_keys *ret, const struct seal_keys *keys)
{
	static const uint8_t context[] = "covey http signatures";

	for (size_t i = 0; i < keys->count; i++)
		crypto_generichash(ret->list[i].bytes, SEAL_KEY_BYTES, context, sizeof context - 1,
				   keys->list[i].bytes, SEAL_KEY_BYTES);
	ret->count = keys->count;
}

/* What is signed */

static bool starts_nocase(struct str text, struct str prefix)
{
	return text.n >= prefix.n && str_eq_nocase((struct str){ text.s, prefix.n }, prefix);
}

bool sign_covers(struct str name)
{
	static const char *const names[] = { "Range", "ETag", "Content-Range", "Content-Encoding",
					     "Accept-Encoding", "Available-Dictionary" };

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (str_eq_nocase(name, str_of(names[i])))
			return true;
	return starts_nocase(name, STR("Covey-")) && !str_eq_nocase(name, STR(SIGN_FIELD));
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static int cmp_nocase(struct str a, struct str b)
{
	for (size_t i = 0; i < a.n && i < b.n; i++)
		if (lower(a.s[i]) != lower(b.s[i]))
			return (uint8_t)lower(a.s[i]) < (uint8_t)lower(b.s[i]) ? -1 : 1;
	return a.n < b.n ? -1 : a.n > b.n;
}

static int by_name(const void *a, const void *b)
{
	const struct sign_part *x = a, *y = b;
	int c = cmp_nocase(x->name, y->name);

	return c != 0 ? c : str_cmp(x->value, y->value);
}

/* How many are covered, sorted into ret; SIGN_FIELDS_MAX + 1: too many. */
static size_t covered(const struct sign_request *r, struct sign_part ret[SIGN_FIELDS_MAX])
{
	size_t count = 0;

	for (size_t i = 0; i < r->field_count; i++) {
		if (!sign_covers(r->fields[i].name))
			continue;
		if (count == SIGN_FIELDS_MAX)
			return SIGN_FIELDS_MAX + 1;
		ret[count++] = r->fields[i];
	}
	qsort(ret, count, sizeof ret[0], by_name);
	return count;
}

static void add_u64(crypto_generichash_state *state, uint64_t value)
{
	value = htobe64(value);
	crypto_generichash_update(state, (const uint8_t *)&value, sizeof value);
}

static void add(crypto_generichash_state *state, struct str text)
{
	add_u64(state, text.n);
	if (text.n > 0)
		crypto_generichash_update(state, (const uint8_t *)text.s, text.n);
}

static void add_name(crypto_generichash_state *state, struct str name)
{
	add_u64(state, name.n);
	for (size_t i = 0; i < name.n; i++) {
		uint8_t c = (uint8_t)lower(name.s[i]);

		crypto_generichash_update(state, &c, 1);
	}
}

/* s->mac from the rest of s.  0, or -1: too many fields. */
static int make_mac(const uint8_t *key, const struct sign_request *r, struct signature *s)
{
	struct sign_part fields[SIGN_FIELDS_MAX];
	size_t count = covered(r, fields);
	crypto_generichash_state state;

	if (count > SIGN_FIELDS_MAX)
		return -1;
	crypto_generichash_init(&state, key, SEAL_KEY_BYTES, MAC_BYTES);
	add(&state, STR(VERSION));
	add_u64(&state, s->sender);
	add_u64(&state, s->receiver);
	add(&state, r->method);
	add(&state, r->target);
	add_u64(&state, count);
	for (size_t i = 0; i < count; i++) {
		add_name(&state, fields[i].name);
		add(&state, fields[i].value);
	}
	add_u64(&state, s->time);
	crypto_generichash_update(&state, s->nonce, SIGN_NONCE_BYTES);
	crypto_generichash_final(&state, s->mac, MAC_BYTES);
	return 0;
}

const char *sign_make(char to[SIGN_TEXT], const struct sign_keys *keys,
		      const struct sign_request *r, uint64_t time,
		      const uint8_t nonce[SIGN_NONCE_BYTES])
{
	char nonce_hex[2 * SIGN_NONCE_BYTES + 1], mac_hex[2 * MAC_BYTES + 1];
	struct signature s = { .sender = r->sender, .receiver = r->receiver, .time = time };

	memcpy(s.nonce, nonce, SIGN_NONCE_BYTES);
	if (keys->count == 0 || make_mac(keys->list[0].bytes, r, &s) < 0)
		abort();	/* the caller's own fields are few */
	str_to_hex(nonce_hex, s.nonce, SIGN_NONCE_BYTES);
	str_to_hex(mac_hex, s.mac, MAC_BYTES);
	snprintf(to, SIGN_TEXT, VERSION " %016" PRIx64 " %016" PRIx64 " %" PRIu64 " %s %s", s.sender,
		 s.receiver, time, nonce_hex, mac_hex);
	return to;
}

/* Memory */

static void generation_clear(struct sign_generation *g)
{
	free(g->slots);
	*g = (struct sign_generation){ .slots = NULL };
}

void sign_memory_clear(struct sign_memory *m)
{
	generation_clear(&m->now);
	generation_clear(&m->before);
	*m = (struct sign_memory)SIGN_MEMORY_INIT;
}

void sign_memory_since(struct sign_memory *m, uint64_t time)
{
	m->floor = time;
}

/* Where the key is, or would go.  A generation always has free slots. */
static uint64_t *place(const struct sign_generation *g, uint64_t key)
{
	size_t i = key & (g->room - 1);

	while (g->slots[i] != 0 && g->slots[i] != key)
		i = (i + 1) & (g->room - 1);
	return &g->slots[i];
}

static bool has(const struct sign_generation *g, uint64_t key)
{
	return g->count > 0 && *place(g, key) == key;
}

static void grow(struct sign_generation *g)
{
	struct sign_generation old = *g;

	g->room = old.room > 0 ? old.room * 2 : ROOM_FIRST;
	g->slots = mem_new(g->room, sizeof *g->slots);
	for (size_t i = 0; i < old.room; i++)
		if (old.slots[i] != 0)
			*place(g, old.slots[i]) = old.slots[i];
	free(old.slots);
}

/* The older generation goes: because its time has passed, or for want of room. */
static void turn(struct sign_memory *m, uint64_t now)
{
	uint64_t latest = m->before.latest;

	if (latest > now)	/* else one fast clock would shut out all others */
		latest = now;
	if (latest > m->floor)
		m->floor = latest;
	generation_clear(&m->before);
	m->before = m->now;
	m->now = (struct sign_generation){ .began = now };
}

static bool outlived(const struct sign_generation *g, uint64_t now)
{
	return now < g->began || now - g->began > 2 * SIGN_WINDOW_NS;
}

static void remember(struct sign_memory *m, uint64_t key, uint64_t time, uint64_t now)
{
	if (m->now.count > 0 && (m->now.count >= SIGN_REMEMBERED_MAX || outlived(&m->now, now)))
		turn(m, now);
	if (m->now.count == 0)
		m->now.began = now;
	if (m->now.count * 2 >= m->now.room)
		grow(&m->now);
	*place(&m->now, key) = key;
	m->now.count++;
	if (time > m->now.latest)
		m->now.latest = time;
}

/* Checking */

static int parse(struct str text, struct signature *ret)
{
	struct str version, sender, receiver, time, nonce;

	if (!str_cut(&text, ' ', &version) || !str_cut(&text, ' ', &sender) ||
	    !str_cut(&text, ' ', &receiver) || !str_cut(&text, ' ', &time) ||
	    !str_cut(&text, ' ', &nonce) || !str_eq(version, STR(VERSION)))
		return -1;
	if (str_hex64(sender, &ret->sender) < 0 || str_hex64(receiver, &ret->receiver) < 0)
		return -1;
	if (str_u64(time, UINT64_MAX, &ret->time) < 0 ||
	    str_from_hex(nonce, ret->nonce, SIGN_NONCE_BYTES) < 0 ||
	    str_from_hex(text, ret->mac, MAC_BYTES) < 0)
		return -1;
	return 0;
}

static bool genuine(const struct sign_keys *keys, const struct sign_request *r,
		    const struct signature *s)
{
	for (size_t i = 0; i < keys->count; i++) {
		struct signature right = *s;

		if (make_mac(keys->list[i].bytes, r, &right) == 0 &&
		    sodium_memcmp(right.mac, s->mac, MAC_BYTES) == 0)
			return true;
	}
	return false;
}

static bool timely(struct sign_memory *m, uint64_t time, uint64_t now)
{
	uint64_t off = time > now ? time - now : now - time;

	if (m->floor > now)	/* the clock was set back: it would shut out everybody until then */
		m->floor = 0;
	return off <= SIGN_WINDOW_NS && time > m->floor;
}

enum sign_verdict sign_check(struct sign_memory *m, const struct sign_keys *keys,
			     const struct sign_request *r, struct str text, uint64_t now,
			     struct sign_asker *ret)
{
	struct signature s;
	uint64_t key;

	if (parse(text, &s) < 0 || !genuine(keys, r, &s))
		return SIGN_FORGED;
	if (s.receiver != r->receiver)
		return SIGN_ELSEWHERE;
	memcpy(&key, s.mac, sizeof key);
	key |= key == 0;
	if (has(&m->now, key) || has(&m->before, key))
		return SIGN_REPLAYED;
	ret->id = s.sender;
	memcpy(ret->nonce, s.nonce, SIGN_NONCE_BYTES);
	if (!timely(m, s.time, now))
		return SIGN_OLD;
	remember(m, key, s.time, now);
	return SIGN_OK;
}

bool sign_check_answer(const struct sign_keys *keys, const struct sign_request *r, struct str text,
		       const uint8_t nonce[SIGN_NONCE_BYTES])
{
	struct signature s;

	return parse(text, &s) == 0 && s.sender == r->sender && s.receiver == r->receiver &&
	       memcmp(s.nonce, nonce, SIGN_NONCE_BYTES) == 0 && genuine(keys, r, &s);
}
