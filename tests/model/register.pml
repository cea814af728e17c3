/*
 * register - what homes.pml, way-back.pml and synod.pml share: layouts, homes
 * and the two phases, CHECK and STORE, of one path.
 *
 * Layout 1 has the set A, layout 2 is joint {A, B}, layout 3 is B alone, or A
 * again with WAY_BACK.  A and B are bit masks over HOMES (at most 4) homes.
 *
 * What a home knows is durable before it answers, so a home that crashes and
 * starts again is a slow one: no step of it is needed here.  A message that is
 * never delivered is a lost one; nobody waits for all homes.
 *
 * Mutants, each to be found by an assertion:
 *   NO_FENCE      homes answer whatever the epoch
 *   NO_JOINT      in the joint layout a majority of B is enough
 *   NO_SYNC       B alone follows without B having asked A
 *   NO_WRITEBACK  a read does not store what only a minority has
 */
#define BIT(h)		(1 << (h))
#define HAS(set, h)	(((set) >> (h)) & 1)
#define SIZE(set)	(HAS(set, 0) + HAS(set, 1) + HAS(set, 2) + HAS(set, 3))
#define MOST(got, set)	(SIZE((got) & (set)) * 2 > SIZE(set))

#ifdef WAY_BACK
#define ASKS_A(e)	true
#define ASKS_B(e)	((e) == 2)
#else
#define ASKS_A(e)	((e) != 3)
#define ASKS_B(e)	((e) != 1)
#endif
#define MEMBERS(e)	((ASKS_A(e) -> A : 0) | (ASKS_B(e) -> B : 0))
#ifdef NO_JOINT
#define QUORUM(got, e)	(ASKS_B(e) -> MOST(got, B) : MOST(got, A))
#else
#define QUORUM(got, e)	((!ASKS_A(e) || MOST(got, A)) && (!ASKS_B(e) || MOST(got, B)))
#endif

byte decided = 1;		/* the newest layout that the council decided */
byte epoch[HOMES] = 1;		/* the epoch a home has adopted */
byte newest[HOMES] = OLDEST;	/* the newest version a home knows */
byte synced;			/* homes of B that asked a majority of A in epoch 2 */
byte seen = OLDEST;		/* the highest version returned or confirmed to anyone */

/* One phase of one client; a new one takes the place of the last. */
typedef Phase {
	byte epoch;		/* of the request */
	byte under_way;		/* homes it may still reach, however late */
	byte got;		/* homes that answered in this epoch */
	bool stale;		/* a home refused: it knows a higher epoch */
	byte version;		/* CHECK: the highest answered; STORE: the one to store */
	byte holders;		/* CHECK: who answered it */
};
Phase phase[2 * CLIENTS];
#define CHECK(c)	(2 * (c))
#define STORE(c)	(2 * (c) + 1)

#ifdef NO_FENCE
#define FRESH(e)	true
#else
#define FRESH(e)	(epoch[h] <= (e))
#endif

inline raise(what, to) {
	if
	:: what < to -> what = to
	:: else
	fi
}

/* A home's two answers; h is the home, p the phase. */
inline on_check(p) {
	d_step {
		HAS(phase[p].under_way, h) ->
		phase[p].under_way = phase[p].under_way & ~BIT(h);
		if
		:: FRESH(phase[p].epoch) ->
			raise(epoch[h], phase[p].epoch);
			phase[p].got = phase[p].got | BIT(h);
			if
			:: newest[h] > phase[p].version ->
				phase[p].version = newest[h];
				phase[p].holders = BIT(h)
			:: newest[h] == phase[p].version ->
				phase[p].holders = phase[p].holders | BIT(h)
			:: else
			fi
		:: else ->
			phase[p].stale = true
		fi
	}
}

inline on_store(p) {
	d_step {
		HAS(phase[p].under_way, h) ->
		phase[p].under_way = phase[p].under_way & ~BIT(h);
		if
		:: FRESH(phase[p].epoch) ->
			raise(epoch[h], phase[p].epoch);
			raise(newest[h], phase[p].version);
			phase[p].got = phase[p].got | BIT(h)
		:: else ->
			phase[p].stale = true
		fi
	}
}

/*
 * A client's two phases; me is the client, ep the layout it knows.  Anyone may
 * learn of a newer layout at any time, and whoever is refused learns of one.
 * To be used in an atomic sequence, which lets the others run only where it
 * waits; it may go on at any time after what it waits for.  (The skips are
 * because spin allows no loop to end at a d_step.)
 */
inline ask(p, v) {
	do
	:: do
	   :: ep < decided -> ep++
	   :: break
	   od;
	   skip;
	   d_step {
		forget(p);
		phase[p].epoch = ep;
		phase[p].under_way = MEMBERS(ep);
		phase[p].version = v
	   }
	   if
	   :: QUORUM(phase[p].got, ep) -> break
	   :: phase[p].stale && !QUORUM(phase[p].got, ep) -> ep++
	   fi
	od;
	skip
}

inline forget(p) {
	phase[p].epoch = 0; phase[p].under_way = 0; phase[p].got = 0;
	phase[p].stale = false; phase[p].version = 0; phase[p].holders = 0
}

/* The newest version, into v; whether a quorum holds it, into sure. */
inline find(v) {
	ask(CHECK(me), 0);
	d_step {
		v = phase[CHECK(me)].version;
		sure = QUORUM(phase[CHECK(me)].holders, ep);
		forget(CHECK(me))
	}
}

/* A quorum stores v.  What is still under way then may arrive much later. */
inline store(v) {
	ask(STORE(me), v);
	d_step {
		phase[STORE(me)].got = 0;
		phase[STORE(me)].stale = false;
		if
		:: phase[STORE(me)].under_way == 0 -> forget(STORE(me))
		:: else
		fi
	}
}

inline read(v) {
	find(v);
	if
#ifdef NO_WRITEBACK
	:: true
#else
	:: sure
	:: else -> store(v)
#endif
	fi
}

/* Home b pulls from a majority of A; whoever it asks is in epoch 2 from then on. */
proctype Sync(byte b) {
	byte from, best, a, extra;	/* extra: for what else a model pulls */
	atomic { raise(epoch[b], 2) }
	do
	:: atomic {
		!MOST(from, A);
		if
		:: HAS(A & ~from, 0) -> a = 0
		:: HAS(A & ~from, 1) -> a = 1
		:: HAS(A & ~from, 2) -> a = 2
		:: HAS(A & ~from, 3) -> a = 3
		fi;
		raise(epoch[a], 2);
		raise(best, newest[a]);
		SYNC_TAKE(a);
		from = from | BIT(a);
		a = 0
	   }
	:: atomic {
		MOST(from, A);
		raise(newest[b], best);
		SYNC_GIVE(b);
		synced = synced | BIT(b);
		from = 0; best = 0; extra = 0
	   };
	   break
	od
}

inline change_layout() {
	decided = 2;
#ifndef NO_SYNC
	atomic {
		h = 0;
		do
		:: h < HOMES && HAS(B, h) -> run Sync(h); h++
		:: h < HOMES && !HAS(B, h) -> h++
		:: else -> break
		od
	}
#endif
#if !defined(NO_SYNC) && !defined(WAY_BACK)
	MOST(synced, B);
#endif
	decided = 3
}
