/*
 * sim - a group of nodes under a seeded scheduler
 *
 * The steps are the programs' own: home.h, check.h, storing.h, resync.h,
 * bulk.h, merge.h, agent.h (council.h, synod.h), gossip.h, waking.h.  What is
 * made up is what is around them: the network, the disks, the clocks.  All
 * chance comes from one seed and nothing else is read, so a seed gives the
 * same run for ever.
 *
 * A machine is an address; who lives there is told by its disk.  Packets go to
 * addresses, as the sender believes them, and name whom they are for.
 *
 * Still a copy of what programs do between two steps, to be kept as these are:
 *	client.c	covey-httpd's order of PUT, GET and DELETE; a push counts for
 *			who signed that it has the content (sign.h)
 *	lists.c		the rounds of asking for an index or a history, what a home
 *			tells of one, and the five steps of rmdir
 *	outbox.c	what is drained, and content for its keepers
 *	change.c	when a home answers SYNC, and that all rows are on disk before
 *			partitions are done; without a council also who decides
 *	council.c	covey-discoverd's memory.c around waking.h
 * Not here: pruning, typed contents, upkeep of directories, and If-Match, which no group of
 * several nodes offers yet.
 *
 *	world.c		chance, time, events, the network, what goes wrong
 *	disk.c		what survives a crash, and what is being written
 *	machine.c	a node: its answers, its questions, what it fetches
 *	client.c	GET, PUT, DELETE, and directories that are made
 *	lists.c		indexes, histories, and directories that are removed
 *	outbox.c	what is repeated until all have it, and content on its way
 *	change.c	layouts that are decided by fiat, how they spread, sync
 *	council.c	layouts as the group itself decides them
 *	clones.c	disks that are copied, and run twice
 *	history.c	what happened, and whether it may have
 *	main.c		seeds
 */
#ifndef COVEY_SIM_H
#define COVEY_SIM_H

#include "bulk.h"
#include "check.h"
#include "merge.h"
#include "resync.h"
#include "starts.h"
#include "storing.h"

#define MACHINES 7
/* Registers: files, then directories, then the gates of these.  A file may be where a directory is. */
#define PATHS 11
#define DIRECTORY_PATH 5
#define GATE_PATH 8
#define KIND_FILE 4			/* these two have one name */
#define KIND_DIRECTORY 5
#define ROOT (-2)			/* a directory without a record */
#define GROUP 7
#define LINEAGE 99
#define NEVER UINT64_MAX
#define TENANTS 64
#define WISHES 64

/* world.c: an event frees itself; of a machine that has crashed since, it does not run */
struct event {
	uint64_t at, tie;		/* ms, and chance among equals */
	void (*run)(struct event *);
	void (*lost)(struct event *);	/* the machine crashes before; NULL: nothing to do */
	int machine;			/* -1: the world's */
	uint64_t boot;			/* of the machine */
	bool late;			/* it waits for a stopped machine to go on */
};

enum note {
	NOTE_WIRE,			/* bytes of wire.h */
	NOTE_WANT, NOTE_LAYOUT,		/* layouts */
	NOTE_PULL, NOTE_CONTENT,	/* token, path, record */
	NOTE_PUSH, NOTE_HAVE,
	NOTE_LIST, NOTE_HISTORY,	/* token, lineage, epoch, path */
	NOTE_LISTED,			/* token, epoch, the gate in record, lines of listing_text.h */
	NOTE_SYNC, NOTE_SYNCED,		/* bytes of bulk.h, its body partitions or rows */
	NOTE_COUNT
};

struct packet {
	struct event event;
	int from, to;			/* addresses: whoever lives there */
	uint64_t sender, receiver;	/* ids; receiver 0: whoever reads */
	bool http;			/* it goes where UDP is cut */
	enum note note;
	uint64_t token, lineage, epoch;
	int path;
	struct record record;
	size_t n;
	char bytes[];
};

/* disk.c */
struct kept {
	int path;
	struct record record;
	bool content;
};

struct entry {				/* of the outbox */
	int path;
	struct version version;
	bool brought;			/* over from another group */
};

struct synod_promise;

struct disk {
	uint64_t id, start;
	struct starts starts;		/* where a council decides; of standing.ini, as the next three */
	uint64_t sequence;
	int ended_at;			/* the address where the last process ended by itself; -1: nowhere */
	bool forgot;			/* it is silent for good */
	struct layout layout;
	struct synod_promise *promises;	/* owned; of each lineage that it was in */
	size_t promise_count;
	struct members members;		/* members.ini */
	struct kept *kept;		/* owned */
	size_t kept_count;
	struct entry *outbox;		/* owned */
	size_t outbox_count;
};

/* A record on its way to the disk. */
struct writing {
	struct event event;
	int path;
	struct record record;		/* version none: chosen when the lock is had */
	bool content, outbox;
	bool (*refused)(const struct writing *);	/* under the lock; NULL: never */
	void (*choose)(struct writing *);	/* the same; NULL: the record is given */
	void (*done)(struct writing *);	/* it is durable */
	uint64_t token;			/* the caller's */
	struct version above;		/* of a directory to be made: what was read, and the time */
	uint64_t clock;
	uint64_t takes;			/* ms, with the lock */
	int from;			/* the address that asked for it */
	uint64_t asker;			/* who */
	bool http;			/* how */
	struct wire_store question;	/* without slices */
};

struct op;
struct inside;
struct discovery;

struct machine {
	int index;
	bool up;
	bool cannot_tell;		/* the store does not answer */
	uint64_t boot;
	int64_t skew;			/* ns */
	uint64_t slow_until;		/* ms: SIGSTOP */
	struct disk disk;
	struct disk copy;		/* of the disk, taken some time ago; id 0: none */
	bool silent;			/* it answers as no home */
	bool put_back;			/* its disk was, from the copy: the truth, which is to be found out */
	struct member member;
	struct home home;
	struct asker asker;
	uint64_t armed;			/* ms: the next tick that is scheduled; 0: none */
	uint64_t free_at[PATHS];	/* ms: when the path's lock is free */
	bool locked[PATHS];
	struct op *ops;			/* running on it */
	struct inside *insides;		/* gates that are kept, and not told of yet */
	struct resync *resync;		/* owned */
	uint64_t sync_peer, sync_token;	/* a question that is out; 0: none */
	struct bulk sync_question;
	uint16_t *sync_asked;		/* owned */
	size_t sync_count, sync_rows;	/* asked; not on disk yet */
	uint64_t synced;		/* epoch */
	struct discovery *discovery;	/* owned; NULL: layouts are decided by fiat */
	bool guest;			/* it does not want to be a home */
};

struct profile {			/* of a schedule */
	int machines, members;
	unsigned loss, doubles;		/* % */
	uint64_t delay, far;		/* ms; and now and then */
	uint64_t disk, disk_far;
	unsigned faults;		/* about one in so many ms; 0: none */
	enum { FIXED, BY_FIAT, BY_COUNCIL } changes;
	unsigned losses;		/* disks that may be lost */
	bool copies, cuts, udp_cuts, jumps, stops;
	bool hand_overs;		/* and nothing else goes wrong */
	bool replays;			/* somebody keeps packets and sends them again */
	bool rivals;			/* two of a council want different layouts at once */
	bool founders;			/* one finds a group of its own before it meets the others */
	bool clones;			/* a disk is copied, and both are started */
	bool forces;			/* covey layout force, where a majority of the council is away */
	uint64_t length;		/* ms */
	unsigned ops;			/* about one in so many ms */
};

struct sim {
	uint64_t seed, rng, now, step, trace;
	struct event **heap;		/* owned */
	size_t heap_count, heap_room;
	struct profile profile;
	struct machine machines[MACHINES];
	bool cut[MACHINES][MACHINES];	/* from, to */
	bool udp_cut[MACHINES][MACHINES];	/* UDP alone */
	bool calm;			/* nothing goes wrong any more */
	bool quiet;			/* no new questions by clients */
	uint32_t asked;			/* bit i: clients ask the i'th machine; 0: all */
	bool met;			/* founders: they have */
	int spare;			/* a machine that is off until a copy is to run there; -1: none */
	const struct machine *copied;	/* while it runs; NULL: none */
	unsigned lost;			/* disks, or what they had of late */
	uint64_t ids;			/* given so far */
	struct tenant {
		uint64_t id;
		int address;
	} tenants[TENANTS];		/* all that ever were, the living ones too */
	size_t tenant_count;
	uint64_t sent;
	bool outcomes_only;		/* judge by what clients see, no more */
	bool verbose;
	char kind;			/* of schedules: see main.c; 0: all */
	int failures;
	struct layout newest;		/* that was decided, or is used by somebody; of the main lineage */
	size_t lineages;		/* that there were */
	struct layout *decided;		/* owned; all of them */
	size_t decided_count;
	uint64_t decided_at;
	struct wish {			/* covey layout set keep.versions=... */
		uint32_t keep;
		uint64_t began, ended;	/* ms; NEVER: it may still take effect */
	} wishes[WISHES];
	size_t wish_count;
};
extern struct sim sim;
extern const struct str sim_paths[PATHS];

/* Something that must not be; the seed is printed once. */
void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
#define MUST(invariant, condition) \
	do { \
		if (!(condition) && !sim.outcomes_only) \
			fail("invariant %s: %s (%s:%d)", invariant, #condition, __FILE__, __LINE__); \
	} while (0)

uint64_t rnd(void);
uint64_t below(uint64_t n);		/* 0..n-1 */
bool chance(unsigned percent);
/* The event has at least sizeof(struct event) bytes and is malloc'ed. */
void schedule(struct event *, uint64_t in_ms, int machine, void (*run)(struct event *));
void *new_event(size_t size);
void run_until(uint64_t ms);
void drop_events(void);
void lose_events_of(int machine);
void capture(const struct packet *, int from, int to);	/* it may be sent again, later */
void drop_captured(void);
void post(int from, int to, struct packet *);	/* takes it */
struct packet *new_packet(enum note, const void *bytes, size_t n);
void world_crash(struct machine *, uint64_t ms);	/* for so long */
void world_divide(uint32_t side, uint64_t ms);	/* bit i: the i'th machine; they reach each other */
void trouble_begin(void);
void trouble_end(void);			/* all machines up, all links good */
void format_silent(void);		/* as people do with silent nodes */
uint64_t wall_of(const struct machine *);
void tell_members(struct machine *);
void tell_all(void);

/* disk.c */
int path_index(struct str path, const struct record *);	/* whose record that is; NULL: a directory's */
int disk_lookup(void *machine, struct str path, struct version, bool below, struct home_found *ret);
const struct kept *disk_find(const struct disk *, int path, struct version);
const struct kept *disk_newest(const struct disk *, int path);
/* The greatest of this and what is known of the name: its file, its directory, the gate. */
struct version disk_above_other(const struct disk *, int path, struct version);
void disk_keep(struct machine *, int path, const struct record *, bool content);
void disk_write(struct machine *, struct writing *);	/* takes it */
struct writing *new_writing(int path, const struct record *, bool content);
void disk_wipe(struct disk *);
struct synod_promise *disk_promise(struct disk *, uint64_t lineage);	/* made if need be */
void disk_owe_all(struct disk *);	/* to another group: by the outbox */
bool disk_brings_end(const struct disk *);	/* of a directory, from another group */
void disk_copy(const struct disk *, struct disk *to);	/* which is wiped first */
void outbox_remove(struct disk *, int path, struct version);

/* machine.c */
void machine_start(struct machine *);
void machine_crash(struct machine *);
void machine_receive(struct packet *);
void machine_arm(struct machine *);
bool machine_adopt(struct machine *, const struct layout *);	/* false: it is no newer */
struct address address_at(int machine);
int port_of(const struct address *);
/* The truth: of several the one that spoke last; NULL: no such node any more. */
struct machine *machine_of(uint64_t id);
int machine_finds(const struct machine *, uint64_t id);	/* the address, as it believes; -1: unknown */
void send_to(struct machine *, uint64_t id, struct packet *);	/* where it believes it; takes it */
void reply_to(struct machine *, const struct packet *, struct packet *answer);	/* takes it */

/* client.c */
void clients_begin(void);
void clients_read(void);		/* many ask at once what there is now */
void client_drop_all(struct machine *);
void client_receive(struct machine *, struct packet *);
void client_drain(struct machine *);
void client_make(void *machine, uint64_t id, const struct make_ask *);
void client_made_end(void *machine, uint64_t id, bool everywhere);
bool client_keep(struct machine *);	/* to the keepers; true: they have all of it */

/* lists.c */
void lists_receive(struct machine *, const struct packet *);
int path_above(int path);		/* the directory, or ROOT */
int gate_of(int directory);		/* not of ROOT */
int directory_of(int gate);
/* The first thing in the directory after that one that stands on this disk; -1: nothing. */
int child_standing(const struct disk *, int directory, int after);
bool is_below(int path, int directory);	/* at any depth */

/* change.c */
void change_begin(void);
void change_want(struct machine *, int from);
void change_receive(struct machine *, struct packet *);
void change_sync(struct machine *);		/* go on with resync */
void change_live(struct machine *);		/* it has started */
void change_started(struct machine *);		/* it has a layout: sync from the start */

void change_used(const struct layout *);	/* somebody has it on its disk */

/* council.c */
void council_begin(void);
void council_wake(struct machine *);	/* before it starts: a start of its own is on its disk */
void council_unite(void);
void council_changed(void);		/* a joint layout was followed by a single one */
void council_start(struct machine *);
void council_stop(struct machine *);
void council_adopted(struct machine *);
void council_synced(struct machine *, uint64_t epoch);
void council_fetch(struct machine *, int from);
void council_receive(struct machine *, const struct wire *, int from);
bool council_is_content(void);
bool council_remembers(const struct machine *);	/* whoever is up knows which start of it spoke last */

/* clones.c */
void clones_begin(void);
bool clones_need(const struct machine *);	/* it is not to crash yet */
void clones_judge(const struct machine *);	/* which may answer as a home, or not any more */

/* history.c */
size_t history_begin(int machine, int path, bool write);
void history_version(size_t, struct version);	/* of a write: chosen */
void history_was_read(size_t);		/* what began as a write changed nothing */
void history_confirmed(size_t, struct version);
uint64_t history_now(void);
/* A confirmed answer, asked for at `began`, says that this is the newest of the path. */
void history_told(int machine, int path, uint64_t began, struct version);
void history_row(size_t, struct version);	/* of a list of versions */
void history_listed_all(size_t);		/* and these were all, confirmed */
/* The same says that no such directory stands: nor does anything below it. */
void history_absent(int machine, int directory, uint64_t began);
void history_moved(int machine);		/* to another group: what it asked before counts for neither */
void history_brought(void);		/* some directory's end was to be brought from another group, until now */
void history_unknown(size_t);		/* it may still happen, or never */
void history_clear(void);
void history_free(void);
struct totals {
	uint64_t reads, writes, lists, unconfirmed, layouts, packets;
};
void history_count(struct totals *);	/* is added to */
void history_judge(void);
struct version history_highest(int path, uint64_t lineage);	/* confirmed so far; lineage 0: in any */

void fact_chosen(int machine, int path, const struct record *);
void fact_kept(int machine, int path, const struct record *, bool content);
bool fact_is_durable(int path, const struct record *, bool content);
void facts_clear(void);
void judge_end(void);			/* when all is quiet */
void judge_wishes(void);
void judge_single(const struct layout *);	/* which follows a joint one */
unsigned fact_copies(int path, const struct record *);

#endif
