/*
 * synod - one instance of the single-decree synod, in its two uses
 *
 * As the decision of If-Match: the instance is (path, base), the acceptors are
 * the homes of the path, which may change from A over {A, B} to B meanwhile.
 * Proves invariant 9: at most one child of a base version is ever stored; with
 * WRITERS also that conditional writes beside plain PUTs and reads stay one
 * atomic register.  All children of a base bear one version id, so without
 * this a (path, version id) would name two records (invariant 1).
 *
 * As the decision of a layout (FIXED): the instance is an epoch, the acceptors
 * are the council, A, which does not change.  Proves that an instance never
 * decides two values (the first half of invariant 5; the chain is chain.pml).
 *
 *   HOMES, A, B   see register.pml
 *   PROPOSERS     how many ask at once; each has its own value
 *   BALLOTS       at most 4; they take turns: 1, 2, 1, ...
 *   FIXED         no change of layout
 *   WRITERS, READERS   plain PUTs and reads beside the conditional writes,
 *                 which then also CHECK before and STORE after (up to 4 clients)
 *
 * Requests are never taken out of the network: an acceptor may get one late,
 * again, or never.  A proposer may give a ballot up at any time and begin a
 * higher one, for no reason (time-out), because of a NACK, or because of STALE.
 *
 * Mutants, beside those of register.pml:
 *   FORGETS        an acceptor that restarts has lost what it promised
 *   NO_MAJORITY    one acceptor is enough
 *   OWN_VALUE      a proposer ignores what was accepted before
 *   CARRIED        an ACCEPT that met STALE is sent again in the next epoch
 *   BARE_SYNC      a new home pulls records, but no accepted values
 *   NO_PROMISE     an acceptor accepts below what it promised
 */
#define OLDEST	1	/* the base; its child is 2, a plain PUT makes 3 */
#define CHILD	2
#if WRITERS + READERS > 0
#define PLAIN
#endif
#define CLIENTS	4
#ifdef BARE_SYNC
#define SYNC_TAKE(a)
#define SYNC_GIVE(b)
#else
#define SYNC_TAKE(a)	raise(extra, accepted[a])
#define SYNC_GIVE(b)	raise(accepted[b], extra); raise(promised[b], extra)
#endif
#if defined(FIXED) && !defined(B)
#define B	0
#endif

/* An acceptor's durable state: ballots, 0 for none.  A ballot has one value. */
byte promised[HOMES], accepted[HOMES];

/* What a ballot sent, and what it was answered. */
typedef Ballot {
	byte epoch;		/* of both requests; 0: not begun */
	byte promises;		/* who promised */
	byte highest;		/* the highest ballot that they had accepted */
	byte value;		/* of the ACCEPT; 0: not sent */
	byte accepts;		/* who accepted */
};
Ballot ballot[BALLOTS + 1];
byte child;			/* the value that was decided; 0: none */

#include "register.pml"

#ifdef NO_MAJORITY
#define ENOUGH(got, e)	((got) != 0)
#else
#define ENOUGH(got, e)	QUORUM(got, e)
#endif

inline on_prepare(b) {
	d_step {
		ballot[b].epoch != 0 && HAS(MEMBERS(ballot[b].epoch) & ~ballot[b].promises, h) &&
		FRESH(ballot[b].epoch) && b > promised[h] ->
		raise(epoch[h], ballot[b].epoch);
		promised[h] = b;
		ballot[b].promises = ballot[b].promises | BIT(h);
		raise(ballot[b].highest, accepted[h])
	}
}

#ifdef NO_PROMISE
#define ALLOWED(b)	true
#else
#define ALLOWED(b)	(b >= promised[h])
#endif

inline on_accept(b) {
	d_step {
		ballot[b].value != 0 && HAS(MEMBERS(ballot[b].epoch) & ~ballot[b].accepts, h) &&
		FRESH(ballot[b].epoch) && ALLOWED(b) ->
		raise(epoch[h], ballot[b].epoch);
		promised[h] = b;
		accepted[h] = b;
		ballot[b].accepts = ballot[b].accepts | BIT(h)
	}
}

proctype Home(byte h) {
end:	do
	:: on_prepare(1) :: on_accept(1)
#if BALLOTS > 1
	:: on_prepare(2) :: on_accept(2)
#endif
#if BALLOTS > 2
	:: on_prepare(3) :: on_accept(3)
#endif
#if BALLOTS > 3
	:: on_prepare(4) :: on_accept(4)
#endif
#ifdef FORGETS
	:: d_step { promised[h] != 0 -> promised[h] = 0; accepted[h] = 0 }
#endif
#ifdef PLAIN
	:: on_check(CHECK(0)) :: on_store(STORE(0))
	:: on_check(CHECK(1)) :: on_store(STORE(1))
	:: on_check(CHECK(2)) :: on_store(STORE(2))
	:: on_check(CHECK(3)) :: on_store(STORE(3))
#endif
	od
}

#ifdef OWN_VALUE
#define VALUE(b)	(me + 1)
#else
#define VALUE(b)	(ballot[b].highest != 0 -> ballot[ballot[b].highest].value : me + 1)
#endif

/* One ballot from PREPARE to the decision, or given up.  Sets won. */
inline try() {
	atomic {
		do
		:: ep < decided -> ep++
		:: break
		od;
		ballot[b].epoch = ep
	}
	if
	:: d_step { ENOUGH(ballot[b].promises, ep) -> ballot[b].value = VALUE(b) }
		do
		:: d_step {
			ENOUGH(ballot[b].accepts, ep) ->
			assert(child == 0 || child == ballot[b].value);
			child = ballot[b].value;
			won = true
		   };
		   break
		:: break	/* NACK, STALE or time-out */
#ifdef CARRIED
		:: d_step {
			ep < decided -> ep++;
			ballot[b].epoch = ep;
			ballot[b].accepts = 0
		   }
#endif
		od
	:: true
	fi
}

/* A conditional write; with PLAIN after a confirmed read and before a STORE. */
proctype Proposer(byte me) {
	byte ep = 1, b = me + 1, v = OLDEST, before;
	bool won, sure;
#ifdef PLAIN
	atomic { before = seen; find(v); assert(v >= before) }
#endif
	do
	:: v == OLDEST && !won && b <= BALLOTS ->
		try();
		b = b + PROPOSERS
	:: else -> break
	od;
#ifdef PLAIN
	atomic {
		if
		:: won -> store(CHILD); raise(seen, CHILD)
		:: else		/* 412, 503 or 504 */
		fi
	}
#endif
}

#ifdef PLAIN
proctype Writer(byte me) {
	byte ep = 1, v, before;
	bool sure;
	atomic {
		before = seen;
		find(v);
		v = CHILD + 1;
		assert(v > before);
		store(v);
		raise(seen, v)
	}
}

proctype Reader(byte me) {
	byte ep = 1, v, before;
	bool sure;
	atomic { before = seen; read(v); assert(v >= before) }
}
#endif

init {
	byte h;
	atomic {
		do
		:: h < HOMES -> run Home(h); h++
		:: else -> break
		od;
		h = 0;
		do
		:: h < PROPOSERS -> run Proposer(h); h++
		:: else -> break
		od;
#ifdef PLAIN
		h = 0;
		do
		:: h < WRITERS -> run Writer(PROPOSERS + h); h++
		:: else -> break
		od;
		h = 0;
		do
		:: h < READERS -> run Reader(PROPOSERS + WRITERS + h); h++
		:: else -> break
		od
#endif
	}
#ifndef FIXED
	change_layout()
#endif
}
