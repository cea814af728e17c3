/*
 * seeds - where to look for others first
 *
 * A numeric seed is used as it is.  A name is covey-syncd's business: it
 * is asked every few seconds until it knows, and every minute from then
 * on, because names move.  What was found stays when it fails later.
 */
#include "discoverd.h"

#include "container.h"
#include "mem.h"
#include "sync_talk.h"

#define UNKNOWN_MS 3000
#define KNOWN_MS 60000
#define RESOLVE_MS 5000

static void publish_seeds(struct discoverd *d)
{
	struct address all[GOSSIP_SEEDS_MAX];
	size_t count = 0;

	for (size_t i = 0; i < d->seed_count; i++)
		for (size_t k = 0; k < d->seeds[i].count && count < GOSSIP_SEEDS_MAX; k++)
			all[count++] = d->seeds[i].addresses[k];
	gossip_seeds(&d->gossip, all, count);
}

void seeds_heard(struct discoverd *d, const struct address *from)
{
	for (size_t i = 0; i < d->seed_count; i++)
		for (size_t k = 0; k < d->seeds[i].count; k++)
			if (address_eq(&d->seeds[i].addresses[k], from))
				d->seeds[i].answered[k] = true;
}

bool seeds_http(const struct discoverd *d, const struct address *address, struct address *ret,
		bool *ret_only)
{
	const struct address *own = &d->gossip.view.self.http;

	for (size_t i = 0; i < d->seed_count; i++) {
		const struct seed *seed = &d->seeds[i];

		for (size_t k = 0; k < seed->count; k++) {
			if (!address_eq(&seed->addresses[k], address))
				continue;
			*ret = *address;
			*ret_only = seed->http;
			if (!seed->http && own->len != 0)
				address_set_port(ret, address_port(own));
			return seed->http || own->len != 0;
		}
	}
	return false;
}

void seeds_count(const struct discoverd *d, struct council_seeds *ret)
{
	struct council_seeds seeds = { .count = 0 };

	for (size_t i = 0; i < d->seed_count; i++) {
		const struct seed *seed = &d->seeds[i];

		seeds.count += seed->count == 0;	/* a name that nobody knows yet */
		for (size_t k = 0; k < seed->count; k++) {
			if (address_eq(&seed->addresses[k], seed->http ? &d->gossip.view.self.http
									: &d->gossip.view.self.discovery))
				continue;
			seeds.count++;
			seeds.answered += seed->answered[k];
		}
	}
	*ret = seeds;
}

static void try_later(struct seed *seed)
{
	timer_start(seed->discoverd->service->loop, &seed->again,
		    seed->count > 0 ? KNOWN_MS : UNKNOWN_MS);
}

/* An address that was there before keeps whether it has answered. */
static void take_addresses(struct seed *seed, const struct sync_addresses *found)
{
	struct seed was = *seed;

	seed->count = found->count < SEED_ADDRESSES ? found->count : SEED_ADDRESSES;
	for (size_t i = 0; i < seed->count; i++) {
		seed->addresses[i] = found->list[i];
		seed->answered[i] = false;
		for (size_t k = 0; k < was.count; k++)
			if (was.answered[k] && address_eq(&was.addresses[k], &found->list[i]))
				seed->answered[i] = true;
	}
}

static void resolved(struct call *call, struct frame *frame)
{
	struct seed *seed = CONTAINER_OF(call, struct seed, call);
	struct sync_addresses found;

	if (frame != NULL)
		call_finish(call);
	if (frame != NULL && frame->type == SYNC_ADDRESSES &&
	    sync_addresses_unpack(frame->body, &found, NULL) == 0 && found.count > 0) {
		take_addresses(seed, &found);
		publish_seeds(seed->discoverd);
	}
	try_later(seed);
}

static void resolve(struct timer *timer)
{
	struct seed *seed = CONTAINER_OF(timer, struct seed, again);
	struct buf body = BUF_INIT;

	sync_resolve_pack(&body, str_of(seed->text));
	seed->call.answer = resolved;
	call_start(seed->discoverd->sync, &seed->call, SYNC_RESOLVE, buf_str(&body), RESOLVE_MS);
	buf_clear(&body);
}

int seeds_start(struct discoverd *d, struct err *err)
{
	const struct conf *conf = d->service->conf;
	struct buf path = BUF_INIT;

	buf_addf(&path, "%s/sync.sock", store_run(d->service->store));
	d->sync = caller_new(d->service->loop, path.data);
	buf_clear(&path);
	d->seeds = mem_new(conf->group.seed_count, sizeof *d->seeds);
	for (size_t i = 0; i < conf->group.seed_count; i++) {
		struct seed *seed = &d->seeds[d->seed_count++];
		struct str text = str_of(conf->group.seeds[i]);

		seed->http = str_starts(text, STR(CONF_SEED_HTTP));
		if (seed->http)
			text = (struct str){ text.s + strlen(CONF_SEED_HTTP),
					     text.n - strlen(CONF_SEED_HTTP) };
		seed->text = mem_copy(text.s, text.n);
		seed->discoverd = d;
		seed->call = (struct call)CALL_INIT;
		seed->again.fire = resolve;
		if (text.n > RESOLVE_NAME_MAX)
			return err_set(err, ERR_INVALID, "read group.seeds: %s is too long", seed->text);
		seed->numeric = address_parse(text, &seed->addresses[0], NULL) == 0;
		seed->count = seed->numeric;
		if (!seed->numeric)
			timer_start(d->service->loop, &seed->again, 0);
	}
	publish_seeds(d);
	return 0;
}

void seeds_stop(struct discoverd *d)
{
	for (size_t i = 0; i < d->seed_count; i++) {
		timer_stop(&d->seeds[i].again);
		call_finish(&d->seeds[i].call);
		free(d->seeds[i].text);
	}
	free(d->seeds);
	d->seeds = NULL;
	d->seed_count = 0;
	caller_free(d->sync);
	d->sync = NULL;
}
