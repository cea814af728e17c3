/*
 * memory - what this node remembers across its starts, and what a start makes of it
 *
 *	state/members.ini	the members it has met
 *	state/standing.ini	which start this is, how far the disk remembers, and
 *				what this node is to the group
 *
 * Each start writes its count and nonce before it speaks (starts.h), and a
 * sequence number is saved, synced, every half minute; both are told in the
 * gossip.  Whoever remembers a start that spoke and that this disk does not
 * know, or a later number, knows that the disk lost something: promises and
 * records that others count on.  Then the node is silent: it answers as no
 * home and votes on nothing, until it is renewed.
 *
 * What a start does about that waking.h says; here it is done.  After a start
 * the node is silent until one of the layout's others has told what it
 * remembers.  Where it could confirm something without them (homes: 1), or
 * has the council's only seat, as far as its disk knows, it waits only for a
 * moment; else while they keep silent nothing is lost by waiting.
 */
#include "discoverd.h"

#include "clock.h"
#include "container.h"
#include "inifile.h"
#include "log.h"
#include "members.h"

#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <sys/stat.h>

#define REMEMBER_MS 30000
#define AGAIN_MS 1000		/* after a failure, when others wait for it */

/* members.ini */

/* A file that cannot be read counts as empty: the members are met again through the seeds. */
static int load_members(struct discoverd *d, struct members *ret, struct err *err)
{
	struct err why = ERR_INIT;

	if (mkdir(d->service->state, 0750) < 0 && errno != EEXIST)
		return err_sys(err, "make %s", d->service->state);
	if (members_remembered(d->service->state, ret, &why) < 0)
		log_err(LOG_LEVEL_WARNING, &why, "start without the members");
	for (size_t i = 0; i < ret->count; i++)
		if (ret->list[i].seen == 0)	/* written by an earlier release */
			ret->list[i].seen = clock_wall_ns() / 1000000000;
	return 0;
}

static void write_members(struct job *job)
{
	struct saving_members *s = CONTAINER_OF(job, struct saving_members, job);

	s->rc = members_save(s->discoverd->service->state, &s->members, &s->err);
}

static void members_written(struct job *job)
{
	struct saving_members *s = CONTAINER_OF(job, struct saving_members, job);

	if (s->rc < 0 && !s->failed)
		log_err(LOG_LEVEL_WARNING, &s->err, "save the members");
	s->failed = s->rc < 0;
	s->busy = false;
	if (s->again)
		memory_save_members(s->discoverd);
}

void memory_save_members(struct discoverd *d)
{
	struct saving_members *s = &d->saving;

	s->again = s->busy;
	if (s->busy)
		return;
	s->busy = true;
	s->discoverd = d;
	view_memory(&d->gossip.view, &s->members);
	s->job.work = write_members;
	s->job.done = members_written;
	s->job.home = d->service->loop;
	pool_submit(d->pool, &s->job);
}

/* At once, when nothing else runs any more. */
static void save_members_last(struct discoverd *d)
{
	struct members members = MEMBERS_INIT;
	struct err err = ERR_INIT;

	view_memory(&d->gossip.view, &members);
	if (members_save(d->service->state, &members, &err) < 0)
		log_err(LOG_LEVEL_WARNING, &err, "save the members");
	members_clear(&members);
}

/* standing.ini */

static void put_standing_file(struct buf *ret, const struct discoverd *d)
{
	buf_addf(ret, "%s/standing.ini", d->service->state);
}

static int take_offset(struct str text, int64_t *ret)
{
	bool minus = text.n > 0 && text.s[0] == '-';
	uint64_t n;

	if (minus)
		text = (struct str){ text.s + 1, text.n - 1 };
	if (str_u64(text, INT64_MAX, &n) < 0)
		return -1;
	*ret = minus ? -(int64_t)n : (int64_t)n;
	return 0;
}

static int take_start(struct str text, struct start *ret)
{
	struct str count;

	if (!str_cut(&text, ' ', &count) || str_u64(count, UINT64_MAX - 1, &ret->count) < 0)
		return -1;
	return str_hex64(text, &ret->nonce);
}

static int take_address(struct str text, struct address *ret)
{
	struct err why = ERR_INIT;

	return address_parse(text, ret, &why);
}

static int each_key(void *data, struct str section, struct str key, struct str value, struct err *err)
{
	struct incarnation *s = data;
	int rc = 0;

	if (!str_eq(section, STR("covey")))
		return 0;
	if (str_eq(key, STR("self")))
		rc = str_hex64(value, &s->self);
	else if (str_eq(key, STR("sequence")))
		rc = str_u64(value, UINT64_MAX, &s->sequence);
	else if (str_eq(key, STR("offset")))
		rc = take_offset(value, &s->offset);
	else if (str_eq(key, STR("silent")))
		s->silent = str_eq(value, STR("yes"));
	else if (str_eq(key, STR("guest")))
		s->guest = str_eq(value, STR("yes"));
	else if (str_eq(key, STR("ended_at")))
		rc = take_address(value, &s->ended_at);
	else if (str_eq(key, STR("start")))
		rc = take_start(value, &s->starts.now);
	else if (str_eq(key, STR("spoke")))
		rc = take_start(value, &s->starts.spoke);
	else if (str_eq(key, STR("before")))
		rc = take_start(value, &s->starts.before);
	return rc == 0 ? 0 : inifile_bad(key, value, err);
}

static void put_start(struct inifile *ini, const char *key, struct start start)
{
	inifile_putf(ini, key, "%" PRIu64 " %016" PRIx64, start.count, start.nonce);
}

static void put_yes(struct inifile *ini, const char *key, bool yes)
{
	inifile_put(ini, key, yes ? STR("yes") : STR("no"));
}

static int incarnation_save(const struct discoverd *d, const struct incarnation *s, struct err *err)
{
	struct inifile ini = INIFILE_INIT;
	struct buf file = BUF_INIT;
	char address[ADDRESS_TEXT];
	int rc;

	put_standing_file(&file, d);
	inifile_section(&ini, "covey");
	inifile_putf(&ini, "self", "%016" PRIx64, s->self);
	inifile_putf(&ini, "sequence", "%" PRIu64, s->sequence);
	inifile_putf(&ini, "offset", "%" PRId64, s->offset);
	put_yes(&ini, "silent", s->silent);
	put_yes(&ini, "guest", s->guest);
	if (s->ended_at.len != 0)
		inifile_put(&ini, "ended_at", str_of(address_format(address, &s->ended_at)));
	put_start(&ini, "start", s->starts.now);
	put_start(&ini, "spoke", s->starts.spoke);
	put_start(&ini, "before", s->starts.before);
	rc = inifile_save(&ini, file.data, 0640, err);
	inifile_clear(&ini);
	buf_clear(&file);
	return rc;
}

/* A file that cannot be read counts as forgotten: peers may know what it said. */
static void incarnation_read(const struct discoverd *d, struct incarnation *ret)
{
	struct buf file = BUF_INIT;
	struct err why = ERR_INIT;
	struct incarnation incarnation = { .self = 0 };

	put_standing_file(&file, d);
	if (inifile_read(file.data, each_key, &incarnation, &why) < 0) {
		if (why.kind != ERR_ABSENT)
			log_err(LOG_LEVEL_WARNING, &why,
				"start without knowing what this node was to the group");
		incarnation = (struct incarnation){ .self = 0 };
	}
	buf_clear(&file);
	*ret = incarnation;
}

static uint64_t draw_nonce(void)
{
	uint64_t nonce;

	do
		randombytes_buf(&nonce, sizeof nonce);
	while (nonce == 0);
	return nonce;
}

/* The process before this one said good-bye, and not at another address: this is no copy of its disk. */
static bool ended_here(const struct incarnation *incarnation, const struct address *own)
{
	return incarnation->ended_at.len != 0 && address_eq(&incarnation->ended_at, own);
}

static int incarnation_load(struct discoverd *d, const struct address *own, struct err *err)
{
	uint64_t self = store_node(d->service->store);
	struct incarnation incarnation;
	struct starts quiet;
	struct err why = ERR_INIT;

	incarnation_read(d, &incarnation);
	if (incarnation.self == self) {
		layouts_load(d, &incarnation.silent);
	} else {
		if (layouts_forget(d, incarnation.self != 0, err) < 0)
			return -1;
		incarnation = (struct incarnation){ .self = self, .offset = incarnation.offset };
	}
	waking_begin(&d->waking, incarnation.silent, ended_here(&incarnation, own),
		     clock_mono_ms());
	d->unsure = d->keys.count > 0 && agent_layout(&d->agent)->epoch != 0;
	incarnation.ended_at = (struct address){ .len = 0 };
	incarnation.sequence++;
	starts_begin(&incarnation.starts, draw_nonce());
	quiet = incarnation.starts;
	d->speak_wanted = !d->unsure;
	if (!d->unsure && !incarnation.silent)
		starts_speak(&incarnation.starts);
	if (incarnation_save(d, &incarnation, &why) < 0) {
		if (store_writable(d->service->store, NULL) == 0)
			return err_pass(err, &why);
		log_err(LOG_LEVEL_WARNING, &why, "do not answer as a home until this can be written");
		incarnation.starts = quiet;
		d->unsure = d->remember_failed = true;
	}
	d->incarnation = incarnation;
	return 0;
}

int memory_load(struct discoverd *d, const struct address *own, struct members *ret, struct err *err)
{
	struct members members = MEMBERS_INIT;

	if (load_members(d, &members, err) < 0 || incarnation_load(d, own, err) < 0) {
		members_clear(&members);
		return -1;
	}
	*ret = members;
	return 0;
}

/* saving */

/* Put into this node's member entry what others are told of it. */
static void show_others(struct discoverd *d)
{
	struct member *self = &d->gossip.view.self;
	const struct incarnation *s = &d->incarnation;
	bool silent = d->unsure || s->silent;
	bool guest = !d->service->conf->node.home || s->guest;

	self->flags = (uint8_t)((silent ? MEMBER_SILENT : 0) | (s->silent ? MEMBER_FORGOT : 0) |
				(guest ? MEMBER_GUEST : 0));
	self->sequence = silent ? 0 : (uint32_t)s->sequence;
	self->nonce = s->starts.now.nonce;
	self->spoke = s->starts.spoke;
	self->before = s->starts.before;
}

static void incarnation_remember(struct timer *);

static void incarnation_write(struct job *job)
{
	struct discoverd *d = CONTAINER_OF(job, struct discoverd, remember_job);

	d->remember_rc = incarnation_save(d, &d->remembering, &d->remember_err);
}

/* Whether something that others wait for is not on disk yet. */
static bool others_wait(const struct discoverd *d)
{
	const struct incarnation *s = &d->incarnation;

	return s->guest != d->guest_wanted || d->raise_wanted >= s->starts.now.count ||
	       (d->speak_wanted && !s->silent && !start_eq(s->starts.spoke, s->starts.now));
}

/* *was: what was on disk before. */
static void tell_what_changed(struct discoverd *d, const struct incarnation *was)
{
	const struct starts *starts = &d->incarnation.starts;

	if (starts_speaks(starts))
		d->unsure = false;
	show_others(d);
	if (was->guest != d->incarnation.guest || !start_eq(was->starts.now, starts->now) ||
	    !start_eq(was->starts.spoke, starts->spoke))
		discoverd_hurry(d);
}

static void incarnation_written(struct job *job)
{
	struct discoverd *d = CONTAINER_OF(job, struct discoverd, remember_job);
	struct incarnation was = d->incarnation;
	bool fell_silent = was.silent && !d->remembering.silent;

	d->remember_busy = false;
	if (d->remember_rc < 0) {
		if (!d->remember_failed)
			log_err(LOG_LEVEL_WARNING, &d->remember_err, "save what this node is");
		d->remember_failed = true;
		if (others_wait(d))
			timer_start(d->service->loop, &d->remember, AGAIN_MS);
		return;
	}
	d->remember_failed = false;
	d->incarnation = d->remembering;
	if (fell_silent) {
		d->incarnation.silent = true;
		d->incarnation.starts.spoke = was.starts.spoke;
		d->incarnation.starts.before = was.starts.before;
	}
	tell_what_changed(d, &was);
	if (fell_silent || others_wait(d))
		incarnation_remember(&d->remember);
}

static void incarnation_remember(struct timer *timer)
{
	struct discoverd *d = CONTAINER_OF(timer, struct discoverd, remember);
	struct incarnation *s = &d->remembering;

	timer_start(d->service->loop, timer, REMEMBER_MS);
	if (d->remember_busy)
		return;
	d->remember_busy = true;
	memory_save_members(d);		/* with how far the others' disks remember */
	*s = d->incarnation;
	s->sequence += !others_wait(d);
	s->guest = d->guest_wanted;
	s->offset = memory_offset(d);
	if (d->raise_wanted >= s->starts.now.count)
		starts_raise(&s->starts, d->raise_wanted);
	if (d->speak_wanted && !s->silent)
		starts_speak(&s->starts);
	d->remember_job.work = incarnation_write;
	d->remember_job.done = incarnation_written;
	d->remember_job.home = d->service->loop;
	pool_submit(d->pool, &d->remember_job);
}

static void log_silence(const struct discoverd *d, const char *why)
{
	log_line(LOG_LEVEL_ERROR, "%s: this node is silent and does not answer as a home: %s", why,
		 member_silence(&d->gossip.view.self));
}

/* Logged once per start. */
static void log_unsure(struct discoverd *d)
{
	const struct view *view = &d->gossip.view;
	char address[ADDRESS_TEXT];

	if (d->unsure_logged)
		return;
	if (waking_has_rival(view, clock_mono_ms()))
		log_line(LOG_LEVEL_WARNING, "another process is this node at %s, of a copy of its store: "
			 "while it runs this one does not answer as a home",
			 address_format(address, &view->twin.discovery));
	else if (!d->waking.recognized)
		log_line(LOG_LEVEL_WARNING, "no other home tells what it remembers of this node: "
			 "until one does it does not answer as a home");
	else
		return;
	d->unsure_logged = true;
}

static void check_due(struct timer *timer)
{
	memory_check(CONTAINER_OF(timer, struct discoverd, sure));
}

void memory_start(struct discoverd *d)
{
	struct member *self = &d->gossip.view.self;
	const struct conf *conf = d->service->conf;

	self->weight = (uint8_t)conf->node.weight;
	d->guest_wanted = d->incarnation.guest;
	show_others(d);
	member_set_region(self, str_of(conf->node.region));
	if (d->incarnation.silent)
		log_silence(d, "this node forgot something that others count on");
	if (d->incarnation.guest)
		log_line(LOG_LEVEL_INFO, "this node left the layout: it is a guest until covey layout join");
	d->sure.fire = check_due;
	memory_check(d);
	d->remember.fire = incarnation_remember;
	timer_start(d->service->loop, &d->remember, others_wait(d) ? AGAIN_MS : REMEMBER_MS);
}

/* The address is saved only by a process that spoke: another may have spoken beside this one. */
void memory_end(struct discoverd *d)
{
	struct incarnation incarnation = d->incarnation;
	struct err err = ERR_INIT;

	save_members_last(d);
	if (starts_speaks(&incarnation.starts))
		incarnation.ended_at = d->gossip.view.self.discovery;
	if (incarnation_save(d, &incarnation, &err) < 0)
		log_err(LOG_LEVEL_WARNING, &err, "save what this node is");
}

void memory_stop(struct discoverd *d)
{
	timer_stop(&d->remember);
	timer_stop(&d->sure);
}

/* what others remember */

static void fall_silent(struct discoverd *d, const char *why)
{
	d->incarnation.silent = true;
	show_others(d);
	log_silence(d, why);
	incarnation_remember(&d->remember);
	discoverd_hurry(d);
}

static void raise_start(struct discoverd *d, uint64_t above)
{
	const struct view *view = &d->gossip.view;
	char address[ADDRESS_TEXT];

	d->raise_wanted = above;
	log_line(LOG_LEVEL_WARNING, "others know start %" PRIu64 " of this node at %s, this is start %"
		 PRIu64 ": %s", above, address_format(address, &view->twin.discovery),
		 view->self.start, starts_speaks(&d->incarnation.starts) ?
		 "a copy of its store was started there, and is to be silent" : "count on from there");
	view_restart(&d->gossip.view, above + 1);
	incarnation_remember(&d->remember);
	discoverd_hurry(d);
}

static void begin_to_speak(struct discoverd *d)
{
	if (d->speak_wanted)
		return;
	d->speak_wanted = true;
	incarnation_remember(&d->remember);
}

void memory_check(struct discoverd *d)
{
	uint64_t now = clock_mono_ms();
	struct waking_step step;

	waking_step(&d->waking, &d->gossip.view, agent_layout(&d->agent), d->incarnation.sequence, now, &step);
	if (step.act == WAKING_SILENCE)
		fall_silent(d, step.why);
	else if (step.act == WAKING_RAISE)
		raise_start(d, step.above);
	else if (step.act == WAKING_SPEAK)
		begin_to_speak(d);
	if (step.waited && !d->speak_wanted)
		log_unsure(d);
	if (step.due != 0)
		timer_start(d->service->loop, &d->sure, step.due > now ? step.due - now : 0);
	else
		timer_stop(&d->sure);
}

void memory_guest(struct discoverd *d, bool guest)
{
	if (d->guest_wanted == guest)
		return;
	log_line(LOG_LEVEL_INFO, "%s", guest ? "leave the layout, and stay a guest until covey layout join" :
					       "join the layout again");
	d->guest_wanted = guest;
	incarnation_remember(&d->remember);
}

/* Only a member of the layout counts: one that has just met this node remembers nothing of it. */
void memory_heard(struct discoverd *d, const struct wire *wire)
{
	if (gossip_is_answer(&d->gossip, wire) && layout_find(agent_layout(&d->agent), wire->sender.id) != NULL)
		for (size_t i = 0; i < wire->gossip.count; i++)
			if (wire->gossip.members[i].member.id == d->incarnation.self)
				waking_recognized(&d->waking, clock_mono_ms());
	memory_check(d);
}

int64_t memory_offset(const struct discoverd *d)
{
	return view_offset(&d->gossip.view, d->incarnation.offset);
}
