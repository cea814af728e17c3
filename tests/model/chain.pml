/*
 * chain - the chain of layouts: who decides the next one, and that nothing
 * confirmed under one of them is lost under another
 *
 * Layout e+1 is decided by a synod among council(e), the first set of layout
 * e; see synod.pml for the synod alone.  After a single layout comes a joint
 * one, from a joint one it goes on to its second set alone, when that has
 * synced, or back to its first alone at any time.  Two proposers want
 * different sets, B and C; every node learns of a layout late, and takes part
 * in the decision of e+1 only while e is the highest epoch that it knows.  A
 * record is written once and read once, by clients that know any layout.
 *
 * Proves invariants 5 and 6: at most one layout per epoch; a record that was
 * confirmed under any layout of the chain is found by every confirmed read
 * that begins later, under whatever layout its client still believes in.
 *
 *   NODES, A, B, C   bit masks over at most 4 nodes; A is layout 1
 *   LAST             the last epoch
 *
 * Mutants:
 *   FORGETS       an acceptor that restarts has lost what it promised
 *   NO_MAJORITY   one acceptor is enough
 *   OWN_VALUE     a proposer ignores what was accepted before
 *   ANY_COUNCIL   the next after a joint layout is decided by either of its sets
 *   NO_SYNC       a joint layout is followed by its new set unsynced
 *   OLD_SYNC      a sync counts in every later joint layout
 *   NO_FENCE      nodes answer clients whatever the epoch
 */
#define BIT(n)		(1 << (n))
#define HAS(set, n)	(((set) >> (n)) & 1)
#define SIZE(set)	(HAS(set, 0) + HAS(set, 1) + HAS(set, 2) + HAS(set, 3))
#define MOST(got, set)	(SIZE((got) & (set)) * 2 > SIZE(set))

/* A layout in one byte, as a synod's value: the old set, and 16 times the new. */
#define OLD(layout)	((layout) & 15)
#define NEW(layout)	((layout) >> 4)
#define JOINT(layout)	((layout) > 15)
#define MEMBERS(e)	(OLD(layout[e]) | NEW(layout[e]))
#define QUORUM(got, e)	(MOST(got, OLD(layout[e])) && \
			 (!JOINT(layout[e]) || MOST(got, NEW(layout[e]))))

byte layout[LAST + 1];		/* what was decided; [0] is unused */
byte top = 1;			/* the highest epoch that was decided */

/* A node.  What it adopted and promised is durable before it answers. */
byte epoch[NODES] = 1;
byte promised[NODES], accepted[NODES];	/* ballots for epoch + 1; 0: none */
bool has[NODES];		/* it holds the record */
byte pulled[NODES];		/* whom it asked in its joint epoch */
byte synced[LAST + 1];		/* nodes of the new set that asked a majority */

/* Ballot p + 1 of proposer p for one instance; its requests stay in the network. */
typedef Ballot {
	bool asked;		/* PREPARE was sent */
	byte promises;
	byte highest;		/* the highest ballot that they had accepted */
	byte value;		/* of the ACCEPT; 0: not sent */
	byte accepts;
};
typedef Instance { Ballot ballot[3] };
Instance next[LAST];		/* next[e] decides epoch e + 1 */

/* Whoever learns of a higher epoch leaves the older instances for good. */
inline adopt(who, to) {
	if
	:: epoch[who] < to ->
		epoch[who] = to;
		promised[who] = 0; accepted[who] = 0; pulled[who] = 0
	:: else
	fi
}

#ifdef ANY_COUNCIL
#define COUNCIL(e)	MEMBERS(e)
#else
#define COUNCIL(e)	OLD(layout[e])
#endif
#if defined(NO_MAJORITY)
#define ENOUGH(got, e)	((got) != 0)
#elif defined(ANY_COUNCIL)
#define ENOUGH(got, e)	(MOST(got, OLD(layout[e])) || MOST(got, NEW(layout[e])))
#else
#define ENOUGH(got, e)	MOST(got, COUNCIL(e))
#endif

#define BALLOT(e, b)	next[e].ballot[b]

inline on_prepare(e, b) {
	d_step {
		BALLOT(e, b).asked && HAS(COUNCIL(e) & ~BALLOT(e, b).promises, n) &&
		(epoch[n] < e || (epoch[n] == e && promised[n] < b)) ->
		adopt(n, e);
		promised[n] = b;
		BALLOT(e, b).promises = BALLOT(e, b).promises | BIT(n);
		if
		:: accepted[n] > BALLOT(e, b).highest -> BALLOT(e, b).highest = accepted[n]
		:: else
		fi
	}
}

inline on_accept(e, b) {
	d_step {
		BALLOT(e, b).value != 0 && HAS(COUNCIL(e) & ~BALLOT(e, b).accepts, n) &&
		(epoch[n] < e || (epoch[n] == e && promised[n] <= b)) ->
		adopt(n, e);
		promised[n] = b;
		accepted[n] = b;
		BALLOT(e, b).accepts = BALLOT(e, b).accepts | BIT(n)
	}
}

/* A node of the new set of the joint layout it is in asks one of the old set. */
inline pull(a) {
	d_step {
		JOINT(layout[epoch[n]]) && HAS(NEW(layout[epoch[n]]), n) &&
		HAS(OLD(layout[epoch[n]]) & ~pulled[n], a) &&
		!MOST(pulled[n], OLD(layout[epoch[n]])) && epoch[a] <= epoch[n] ->
		adopt(a, epoch[n]);
		has[n] = has[n] || has[a];
		pulled[n] = pulled[n] | BIT(a);
		if
		:: MOST(pulled[n], OLD(layout[epoch[n]])) ->
			synced[epoch[n]] = synced[epoch[n]] | BIT(n)
		:: else
		fi
	}
}

/* The two clients: one STORE of the record, and one CHECK after it was confirmed. */
typedef Phase {
	byte epoch;		/* 0: nothing was sent */
	byte got;
	bool found;		/* CHECK: somebody has the record */
};
Phase put, check;
bool confirmed;

#ifdef NO_FENCE
#define FRESH(e)	true
#else
#define FRESH(e)	(epoch[n] <= (e))
#endif
#define REACHES(phase)	(phase.epoch != 0 && \
			 HAS(MEMBERS(phase.epoch) & ~phase.got, n) && FRESH(phase.epoch))

proctype Node(byte n) {
end:	do
	:: d_step { epoch[n] < top -> adopt(n, epoch[n] + 1) }
	:: on_prepare(1, 1) :: on_accept(1, 1) :: on_prepare(1, 2) :: on_accept(1, 2)
	:: on_prepare(2, 1) :: on_accept(2, 1) :: on_prepare(2, 2) :: on_accept(2, 2)
#if LAST > 3
	:: on_prepare(3, 1) :: on_accept(3, 1) :: on_prepare(3, 2) :: on_accept(3, 2)
#endif
#if LAST > 4
	:: on_prepare(4, 1) :: on_accept(4, 1) :: on_prepare(4, 2) :: on_accept(4, 2)
#endif
	:: pull(0) :: pull(1)
#if NODES > 2
	:: pull(2)
#endif
#if NODES > 3
	:: pull(3)
#endif
	:: d_step {
		REACHES(put) ->
		adopt(n, put.epoch);
		has[n] = true;
		put.got = put.got | BIT(n)
	   }
	:: d_step {
		REACHES(check) ->
		adopt(n, check.epoch);
		check.found = check.found || has[n];
		check.got = check.got | BIT(n)
	   }
#ifdef FORGETS
	:: d_step { promised[n] != 0 -> promised[n] = 0; accepted[n] = 0 }
#endif
	od
}

#ifdef OWN_VALUE
#define BOUND(b)	false
#else
#define BOUND(b)	(BALLOT(e, b).highest != 0)
#endif
#if defined(NO_SYNC)
#define MAY_GO_ON(e)	true
#elif defined(OLD_SYNC)
#define MAY_GO_ON(e)	MOST(synced[2] | synced[e], NEW(layout[e]))
#else
#define MAY_GO_ON(e)	MOST(synced[e], NEW(layout[e]))
#endif

/* Proposer p, of ballot p + 1 in every instance; it may learn instead of going on. */
proctype Proposer(byte p; byte wanted) {
	byte e = 1;
end:	do
	:: d_step { e < top -> e++ }
	:: d_step { e < LAST && !BALLOT(e, p + 1).asked -> BALLOT(e, p + 1).asked = true }
	:: atomic {
		e < LAST && BALLOT(e, p + 1).value == 0 && ENOUGH(BALLOT(e, p + 1).promises, e) ->
		if
		:: BOUND(p + 1) ->
			BALLOT(e, p + 1).value = BALLOT(e, BALLOT(e, p + 1).highest).value
		:: !BOUND(p + 1) && !JOINT(layout[e]) ->
			BALLOT(e, p + 1).value = layout[e] + 16 * wanted
		:: !BOUND(p + 1) && JOINT(layout[e]) && MAY_GO_ON(e) ->
			BALLOT(e, p + 1).value = NEW(layout[e])
		:: !BOUND(p + 1) && JOINT(layout[e]) ->
			BALLOT(e, p + 1).value = OLD(layout[e])
		fi
	   }
	:: d_step {
		e < LAST && e == top && BALLOT(e, p + 1).value != 0 && ENOUGH(BALLOT(e, p + 1).accepts, e) ->
		layout[e + 1] = BALLOT(e, p + 1).value;
		top = e + 1; e++
	   }
	/* The epoch was decided before: the same, or there are two layouts of one epoch. */
	:: d_step {
		e < top && BALLOT(e, p + 1).value != 0 && ENOUGH(BALLOT(e, p + 1).accepts, e) ->
		assert(layout[e + 1] == BALLOT(e, p + 1).value); e++
	   }
	od
}

/* Asks a quorum of one layout; may begin again under a later one, at any time. */
#define ASK(phase) \
	do \
	:: d_step { phase.epoch < top -> phase.epoch++; phase.got = 0; phase.found = false } \
	:: d_step { phase.epoch != 0 && QUORUM(phase.got, phase.epoch) } -> break \
	od

proctype Writer() { ASK(put); confirmed = true }

proctype Reader() {
	confirmed;
	ASK(check);
	assert(check.found)
}

init {
	byte n;
	atomic {
		layout[1] = A;
		do
		:: n < NODES -> run Node(n); n++
		:: else -> break
		od;
		run Proposer(0, B);
#ifdef C
		run Proposer(1, C);
#endif
		run Writer();
		run Reader()
	}
}
