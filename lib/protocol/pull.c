/* pull - whom to ask for a version's content, from where on, and what to believe */
#include "pull.h"

#define RETRIES_GAVE 4		/* of a holder that has given bytes before */
#define RETRIES_NEVER 1		/* of one that has not (it may just be starting), or is silent */
#define GAIN_BYTES 65536	/* that one answer must give to count as a fresh start */
#define WAIT_MS 50		/* before the first retry; doubled for each further one */

void pull_begin(struct pull *p, const struct record *record)
{
	*p = (struct pull){ .version = record->version, .size = record->size };
	err_set(&p->why, ERR_AWAY, "pull: no holder is known");
}

void pull_add(struct pull *p, uint64_t node, bool sick)
{
	for (size_t i = 0; i < p->count; i++)
		if (p->holders[i].node == node)
			return;
	if (p->count < PULL_HOLDERS_MAX)
		p->holders[p->count++] = (struct pull_holder){ .node = node, .sick = sick };
}

/* Smaller is asked first. */
static unsigned rank(const struct pull_holder *h)
{
	return (h->tried ? 2u + h->broken * 2u : 0u) + (h->sick ? 1u : 0u);
}

static struct pull_holder *choose(struct pull *p)
{
	struct pull_holder *best = NULL;

	for (size_t i = 0; i < p->count; i++) {
		struct pull_holder *h = &p->holders[i];

		if (!h->out && (best == NULL || rank(h) < rank(best)))
			best = h;
	}
	return best;
}

/* What was accepted is worth nothing: from zero, from whoever is left. */
static void start_over(struct pull *p)
{
	p->restart = p->restart || p->have > 0;
	p->have = 0;
	p->sources = 0;
	for (size_t i = 0; i < p->count; i++)
		p->holders[i].tried = false;
}

enum pull_step pull_next(struct pull *p, struct pull_ask *ret)
{
	struct pull_holder *h;
	size_t index;

	if (p->done)
		return PULL_DONE;
	if (p->have == p->size && !p->lost)
		return PULL_CHECK;
	h = p->lost ? NULL : choose(p);
	if (h == NULL)
		return PULL_FAILED;
	index = (size_t)(h - p->holders);
	if (p->one_holder && (p->sources & ~(1u << index)) != 0) {
		p->restart = true;
		p->have = 0;
		p->sources = 0;
	}
	*ret = (struct pull_ask){
		.node = h->node,
		.offset = p->have,
		.wait_ms = h->tried && h->broken > 0 ? WAIT_MS << (h->broken - 1) : 0,
		.restart = p->restart,
	};
	h->tried = true;
	p->current = index;
	p->restart = false;
	p->skip = p->gained = 0;
	return PULL_ASK;
}

/* "bytes FIRST-LAST/SIZE", exactly from `have` to the end. */
static bool is_the_rest(const struct pull *p, struct str range)
{
	struct str first, last;
	uint64_t from, to, size;

	if (!str_starts(range, STR("bytes ")))
		return false;
	range.s += 6;
	range.n -= 6;
	if (!str_cut(&range, '-', &first) || !str_cut(&range, '/', &last))
		return false;
	if (str_u64(first, UINT64_MAX, &from) < 0 || str_u64(last, UINT64_MAX, &to) < 0 ||
	    str_u64(range, UINT64_MAX, &size) < 0)
		return false;
	return from == p->have && size == p->size && to == size - 1;
}

/* Of a body that is coded more stands behind a semicolon (cond.h). */
static bool is_version(const struct pull *p, struct str etag, bool coded)
{
	char text[VERSION_TEXT];
	struct str want = str_of(version_format(text, p->version));

	return etag.n >= want.n + 2 && etag.s[0] == '"' && etag.s[etag.n - 1] == '"' &&
	       memcmp(etag.s + 1, want.s, want.n) == 0 &&
	       (coded ? etag.s[want.n + 1] == ';' : etag.n == want.n + 2);
}

static int another_version(struct err *err)
{
	return err_set(err, ERR_CORRUPT, "pull from peer: it answers with another version");
}

int pull_head(struct pull *p, int status, uint64_t length, struct str etag,
	      struct str content_range, struct err *err)
{
	uint64_t whole = status == 206 ? p->size - p->have : p->size;

	if (status != 200 && status != 206)
		return err_set(err, ERR_ABSENT, "pull from peer: it answers %d", status);
	if (!is_version(p, etag, false))
		return another_version(err);
	if (status == 206 && (p->have == 0 || !is_the_rest(p, content_range)))
		return err_set(err, ERR_CORRUPT, "pull from peer: it answers with another range");
	if (length != whole && length != UINT64_MAX)
		return err_set(err, ERR_CORRUPT, "pull from peer: %llu bytes instead of %llu",
			       (unsigned long long)length, (unsigned long long)whole);
	p->skip = status == 200 ? p->have : 0;
	return 0;
}

int pull_head_coded(struct pull *p, struct str etag, struct err *err)
{
	if (!is_version(p, etag, true))
		return another_version(err);
	p->skip = p->have;
	return 0;
}

int pull_body(struct pull *p, size_t n, size_t *ret_drop, struct err *err)
{
	size_t drop = n < p->skip ? n : (size_t)p->skip;

	if (n - drop > p->size - p->have)
		return err_set(err, ERR_CORRUPT, "pull from peer: more than %llu bytes",
			       (unsigned long long)p->size);
	p->skip -= drop;
	*ret_drop = drop;
	if (n > drop) {
		struct pull_holder *h = &p->holders[p->current];

		p->have += n - drop;
		p->sources |= 1u << p->current;
		h->gave = true;
		p->gained += n - drop;
		if (p->gained >= GAIN_BYTES)
			h->broken = 0;
	}
	return 0;
}

void pull_end(struct pull *p, const struct err *err)
{
	struct pull_holder *h = &p->holders[p->current];
	struct err lie;

	if (err == NULL && p->have == p->size)
		return;
	if (err == NULL) {
		err_set(&lie, ERR_CORRUPT, "pull from peer: fewer than %llu bytes",
			(unsigned long long)p->size);
		err = &lie;
	}
	p->why = *err;
	h->broken++;
	if (err->kind == ERR_TIMEOUT)
		h->sick = true;
	if (err->kind == ERR_AWAY)
		h->out = h->broken > (h->gave ? RETRIES_GAVE : RETRIES_NEVER);
	else if (err->kind == ERR_TIMEOUT)
		h->out = h->broken > (h->gave ? RETRIES_NEVER : 0);
	else
		h->out = true;
	if (err->kind == ERR_CORRUPT && (p->sources & (1u << p->current)))
		start_over(p);
}

void pull_again(struct pull *p)
{
	p->restart = p->restart || p->have > 0;
	p->have = 0;
	p->sources = 0;
	p->holders[p->current].tried = false;
}

void pull_once_more(struct pull *p)
{
	p->holders[p->current].out = false;
}

void pull_checked(struct pull *p, bool right)
{
	bool one = (p->sources & (p->sources - 1)) == 0;

	if (right) {
		p->done = true;
		return;
	}
	err_set(&p->why, ERR_CORRUPT, "pull from peer: the bytes have another sha256");
	for (size_t i = 0; i < p->count && one; i++)
		if (p->sources & (1u << i))
			p->holders[i].out = true;
	p->lost = p->size == 0;
	p->one_holder = p->one_holder || !one;
	start_over(p);
}
