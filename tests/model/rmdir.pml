/*
 * rmdir - files are written below a directory d while it is removed
 *
 * Each of three processes is one home of d's entry (of the names in the
 * directory above d) and one home of what is in d:
 *
 *	entry[h]	the newest record of the entry: live, or ended
 *	gate[h]		the greatest version at which somebody began to remove d
 *	FILE(i, h)	the newest record of file i: 0 none, 1 a version, 2 its deletion
 *
 * A message is under way from when it is sent until a home takes it, for ever
 * if need be, and an answer may be lost: a home that is away, a lost packet
 * and a sender that died are delays.  Whoever counts takes any two answers of
 * three.  Versions are (time, who, ended); clocks differ by up to SKEW.
 *
 * Proves: at every moment, an acknowledged file that some majority still shows
 * is in a directory that every majority shows; and who finds d empty has had
 * nothing below it that was acknowledged, and not deleted, when the list began.
 *
 *   NW NR    files with a writer each (1 or 2); removers (1 or 2)
 *   SKEW     2; 1: clocks are alike
 *   NEW      d is not there at first
 *   DEL      file 0 is there at first, and is deleted meanwhile
 *   SAME     the second writer stores the first one's record again: an entry
 *            that was relied on, or what a read writes back
 *   SYNC     homes copy from each other
 *   REACHED  no proof: fails when d was removed (204) in a run in which a file
 *            was acknowledged, so that such runs are known to be among those above
 *
 * Mutants:
 *   NO_GATE      the list is made without a gate before it
 *   ANY_LIST     homes that do not know the gate count in the list
 *   EARLY        the entry ends before the list
 *   NO_COMPARE   a writer does not compare the gate with the entry
 *   OLD_ENTRY    a new entry is not above the gate
 *   LOOK_FIRST   a home reads the gate before the file's record is on disk
 *   NO_SETTLE    a deletion that a minority told of counts (with DEL)
 *   REREAD       a name that the list tells of is asked of any two homes (NW=1)
 *   RELY         a majority has a name, so the directory above is taken to stand
 */
#ifndef NW
#define NW	2
#endif
#ifndef NR
#define NR	1
#endif
#ifndef SKEW
#define SKEW	2
#endif

#define LIVE(v)		((v) != 0 && ((v) & 1) == 0)
#define ENDED(v)	((v) + 1)
#define VERSION(above, who, later)	((((above) >> 3) + (later)) * 8 + (who) * 2)
#define MAX(a, b)	((a) > (b) -> (a) : (b))

/* A message to home h of sender i is in slot 3 * i + h. */
#define NOT_SENT	0
#define UNDER_WAY	1
#define ON_DISK		2
#define ANSWERED	3
#define SLOT(i, h)	(3 * (i) + (h))
#define SEND(x, i)	x[SLOT(i, 0)] = UNDER_WAY; x[SLOT(i, 1)] = UNDER_WAY; x[SLOT(i, 2)] = UNDER_WAY
#define TWO(x, i)	((x[SLOT(i, 0)] == ANSWERED) + (x[SLOT(i, 1)] == ANSWERED) + \
			 (x[SLOT(i, 2)] == ANSWERED) >= 2)

byte entry[3], gate[3], file[6];
#ifdef SAME
#define FILE(i, h)	file[h]
#else
#define FILE(i, h)	file[SLOT(i, h)]
#endif

byte stores[6], told[6];	/* STORE of file i; the gate in its answer */
byte entries[12], made[4];	/* STORE of an entry, by writer i or by remover NW + r */
byte gates[6], begun[2];	/* STORE of a gate, by remover r */
byte deletions[3];		/* STORE of the deletion of file 0 */
bool acked[2];			/* the writer of file i was told so */

#define PAIR_LIVE(a, b)	LIVE(MAX(entry[a], entry[b]))
#define STANDS		(PAIR_LIVE(0, 1) && PAIR_LIVE(0, 2) && PAIR_LIVE(1, 2))
#define SHOWN(i)	(MAX(FILE(i, 0), FILE(i, 1)) == 1 || MAX(FILE(i, 0), FILE(i, 2)) == 1 || \
			 MAX(FILE(i, 1), FILE(i, 2)) == 1)
#define KEPT(i)		(acked[i] && SHOWN(i))
#if NW == 2
#define ANY_KEPT	(KEPT(0) || KEPT(1))
#else
#define ANY_KEPT	KEPT(0)
#endif
#define OK		(!ANY_KEPT || STANDS)

#ifdef REACHED
bool removed;
#define JUDGE		assert(!(removed && acked[0]))
#else
#define JUDGE		assert(OK)
#endif

/* A home: what it puts on disk, and then answers. */

inline keep_file(i) {
	d_step {
		stores[SLOT(i, h)] == UNDER_WAY ->
		if
		:: FILE(i, h) == 0 -> FILE(i, h) = 1
		:: else
		fi;
		stores[SLOT(i, h)] = ON_DISK
	}
}

inline answer(i) {
	d_step {
		stores[SLOT(i, h)] == ON_DISK ->
		told[SLOT(i, h)] = gate[h];
		stores[SLOT(i, h)] = ANSWERED
	}
}

inline look_first(i) {
	d_step {
		stores[SLOT(i, h)] == UNDER_WAY ->
		told[SLOT(i, h)] = gate[h];
		stores[SLOT(i, h)] = ON_DISK
	}
}

inline keep_last(i) {
	d_step {
		stores[SLOT(i, h)] == ON_DISK ->
		if
		:: FILE(i, h) == 0 -> FILE(i, h) = 1
		:: else
		fi;
		stores[SLOT(i, h)] = ANSWERED
	}
}

inline keep_entry(s) {
	d_step {
		entries[SLOT(s, h)] == UNDER_WAY ->
		entry[h] = MAX(entry[h], made[s]);
		entries[SLOT(s, h)] = ANSWERED;
		JUDGE
	}
}

inline keep_gate(r) {
	d_step {
		gates[SLOT(r, h)] == UNDER_WAY ->
		gate[h] = MAX(gate[h], begun[r]);
		gates[SLOT(r, h)] = ANSWERED
	}
}

inline copy_entry(o) { d_step { entry[o] > entry[h] -> entry[h] = entry[o]; JUDGE } }
inline copy_gate(o) { d_step { gate[o] > gate[h] -> gate[h] = gate[o] } }
inline copy_file(i, o) { d_step { FILE(i, o) > FILE(i, h) -> FILE(i, h) = FILE(i, o) } }

active [3] proctype Home() {
	byte h = _pid;
end:	do
#ifdef LOOK_FIRST
	:: look_first(0) :: keep_last(0)
#else
	:: keep_file(0) :: answer(0)
#endif
	:: keep_entry(0)
#if NW == 2
#ifdef LOOK_FIRST
	:: look_first(1) :: keep_last(1)
#else
	:: keep_file(1) :: answer(1)
#endif
	:: keep_entry(1)
#endif
	:: keep_entry(NW) :: keep_gate(0)
#if NR == 2
	:: keep_entry(NW + 1) :: keep_gate(1)
#endif
#ifdef DEL
	:: d_step { deletions[h] == UNDER_WAY -> FILE(0, h) = 2; deletions[h] = ANSWERED }
#endif
#ifdef SYNC
	:: copy_entry((h + 1) % 3) :: copy_entry((h + 2) % 3)
	:: copy_gate((h + 1) % 3) :: copy_gate((h + 2) % 3)
	:: copy_file(0, (h + 1) % 3) :: copy_file(0, (h + 2) % 3)
#if NW == 2
	:: copy_file(1, (h + 1) % 3) :: copy_file(1, (h + 2) % 3)
#endif
#endif
	od
}

/* Two homes, in this order.  They are alike, so one process may have its two fixed. */
inline pick() {
	if
	:: a = 0; b = 1
	:: a = 0; b = 2
	:: a = 1; b = 2
	:: a = 1; b = 0
	:: a = 2; b = 0
	:: a = 2; b = 1
	fi
}

/* What does not matter any more is the same in all states; what is under way may arrive yet. */
inline forget_answered(slot) {
	if
	:: slot == ANSWERED -> slot = NOT_SENT
	:: else
	fi
}
#define FORGET(x, i) d_step { forget_answered(x[SLOT(i, 0)]); \
	forget_answered(x[SLOT(i, 1)]); forget_answered(x[SLOT(i, 2)]) }

inline forget_store(slot) {
	if
	:: slot > UNDER_WAY -> slot = NOT_SENT
	:: else
	fi
}
#define FORGET_FILE d_step { forget_store(stores[SLOT(me, 0)]); \
	forget_store(stores[SLOT(me, 1)]); forget_store(stores[SLOT(me, 2)]); \
	told[SLOT(me, 0)] = 0; told[SLOT(me, 1)] = 0; told[SLOT(me, 2)] = 0 }

/* A file is put below d; if `old` is not above the greatest gate told, the entry is made anew. */
proctype Writer(byte me) {
	byte a, b, x, y, old, above, later;
	/* CHECK of the entry: two of its homes, each at a time of its own */
	atomic {
		if
		:: me == 0 -> a = 0; b = 1
		:: else -> pick()
		fi;
		x = entry[a]
	}
	atomic {
		y = entry[b];
		if
		:: x == y && LIVE(x) -> old = x
		:: else -> above = MAX(x, y)
		fi;
		x = 0; y = 0;
		SEND(stores, me)
	}
	atomic {
		TWO(stores, me) ->
		if
		:: stores[SLOT(me, 0)] == ANSWERED && stores[SLOT(me, 1)] == ANSWERED -> a = 0; b = 1
		:: stores[SLOT(me, 0)] == ANSWERED && stores[SLOT(me, 2)] == ANSWERED -> a = 0; b = 2
		:: stores[SLOT(me, 1)] == ANSWERED && stores[SLOT(me, 2)] == ANSWERED -> a = 1; b = 2
		fi;
		x = MAX(told[SLOT(me, a)], told[SLOT(me, b)]);
#ifndef LOOK_FIRST
		FORGET_FILE;
#endif
#ifdef NO_COMPARE
		x = 0;
#endif
		if
		:: old > x
		:: else ->
#ifdef OLD_ENTRY
			if
			:: old != 0 -> made[me] = old
			:: else -> made[me] = VERSION(MAX(above, x), me, 1)
			fi;
#else
			if
			:: later = 1
			:: SKEW > 1 -> later = SKEW
			fi;
			above = MAX(above, x);
			above = MAX(above, old);
			made[me] = VERSION(above, me, later);
#endif
			old = 0;
			SEND(entries, me)
		fi;
		a = 0; b = 0; x = 0; above = 0; later = 0
	}
	atomic {
		old != 0 || TWO(entries, me) ->
		old = 0;
		FORGET(entries, me);
		acked[me] = true;
		JUDGE
	}
}

/* Two homes that know of the gate: what they list from then on counts. */
inline closed() {
#if defined(NO_GATE) || defined(ANY_LIST)
	pick()
#else
	if
	:: gate[0] >= begun[r] && gate[1] >= begun[r] -> a = 0; b = 1
#if NR == 2 || defined(DEL)
	:: gate[0] >= begun[r] && gate[2] >= begun[r] -> a = 0; b = 2
	:: gate[1] >= begun[r] && gate[2] >= begun[r] -> a = 1; b = 2
	:: gate[0] >= begun[r] && gate[1] >= begun[r] -> a = 1; b = 0
	:: gate[0] >= begun[r] && gate[2] >= begun[r] -> a = 2; b = 0
	:: gate[1] >= begun[r] && gate[2] >= begun[r] -> a = 2; b = 1
#endif
	fi
#endif
}

proctype Remover(byte r) {
	byte a, b, x, y, kept, first, second, later;
	atomic { pick(); x = entry[a] }
	atomic {
		y = entry[b];
		x = MAX(x, y);
		y = 0; a = 0; b = 0;
		if
		:: !LIVE(x) -> goto over		/* 404 */
		:: else
		fi;
		if
		:: later = 1
		:: SKEW > 1 -> later = SKEW
		fi;
		begun[r] = VERSION(x, NW + r, later);
		later = 0; x = 0;
#ifdef EARLY
		made[NW + r] = ENDED(begun[r]);
		SEND(entries, NW + r);
#endif
#ifndef NO_GATE
		SEND(gates, r)
#endif
	}
	atomic {
#ifndef NO_GATE
		TWO(gates, r) ->
		FORGET(gates, r);
#endif
		closed();
		kept = ANY_KEPT;
#if NW == 2
		y = FILE(1, a);
#endif
		x = FILE(0, a)
	}
	atomic {
		first = MAX(x, FILE(0, b));
#if NW == 2
		second = MAX(y, FILE(1, b));
#endif
#ifndef REREAD
		if
		:: first == 1 || second == 1 -> goto over	/* 409 */
		:: else
		fi;
#else
		y = 0
	}
	/* what was told of is asked again, of any two */
	atomic {
		if
		:: first == 1 -> pick(); x = FILE(0, a)
		:: else
		fi
	}
	atomic {
		if
		:: first == 1 ->
			first = MAX(x, FILE(0, b));
			if
			:: first == 1 -> goto over
			:: else
			fi
		:: else
		fi;
#endif
#ifndef DEL
		assert(!kept);
#endif
		kept = 0; y = 0; second = 0
	}
#if defined(DEL) && !defined(NO_SETTLE)
	/* a deletion that not both tell of is stored at both first, as a read does */
	atomic {
		if
		:: first == 2 -> FILE(0, a) = 2
		:: else
		fi
	}
	atomic {
		if
		:: first == 2 -> FILE(0, b) = 2
		:: else
		fi
	}
#endif
	atomic {
		x = 0; first = 0; a = 0; b = 0;
#ifndef EARLY
		made[NW + r] = ENDED(begun[r]);
		SEND(entries, NW + r)
#endif
	}
#ifdef REACHED
	atomic { TWO(entries, NW + r) -> removed = true; JUDGE }	/* 204 */
#endif
over:	atomic { x = 0; y = 0; first = 0; second = 0; kept = 0; a = 0; b = 0 }
}

#ifdef RELY
proctype Reader() {
	byte a, b;
	atomic { pick(); FILE(0, a) == 1 }
	atomic { FILE(0, b) == 1 -> a = 0; b = 0; acked[0] = true; JUDGE }
}
#endif

#ifdef DEL
proctype Deleter() {
	atomic { SEND(deletions, 0) }
}
#endif

init {
	atomic {
#ifndef NEW
		entry[0] = 8; entry[1] = 8; entry[2] = 8;
#endif
#ifdef DEL
		FILE(0, 0) = 1; FILE(0, 1) = 1;
		stores[SLOT(0, 2)] = UNDER_WAY;
		acked[0] = true;
		run Deleter();
#else
		run Writer(0);
#endif
#if NW == 2
		run Writer(1);
#endif
		run Remover(0);
#ifdef RELY
		run Reader();
#endif
#if NR == 2
		run Remover(1)
#endif
	}
}
