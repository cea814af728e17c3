/*
 * kinds - a file, or a directory, at one name
 *
 * A name has two registers at each of its three homes: the newest record of
 * its file, and of its directory (the entry: live, or ended).  One process puts
 * a file there, one makes a directory there (a PUT below it), one removes the
 * directory; that its inside is empty is rmdir.pml's.  What stands is the
 * directory if its newest record is live; else the file if its newest version
 * is above the directory's end; else nothing.  A refusal (409) is judged by the
 * CHECK, before anything is stored.
 *
 * Proves, of every majority and at every moment: a directory that was made
 * (confirmed) stands until its removal begins; a file that was confirmed stands
 * unless a directory was begun; after a confirmed removal, with no directory
 * begun anew, there is no directory, and no file that was confirmed before.
 *
 *   DIR    the directory is there at first
 *   SYNC   homes copy from each other
 *   LATE   the directory is made for what was stored in it: just above what was
 *          read.  Proves as well that a file stands that was put after a removal
 *          which began after that reading
 *
 * Mutants:
 *   NO_WRITEBACK  what a minority told of the entry is relied on as it is
 *   ONE_ORDER     the newest of both kinds stands
 *   LOW           the end is above the directory only
 *   CLOCK         what is made late has the time of a clock (with LATE)
 *   CLOSE         the end may be as near above what was read as what is made late (with LATE)
 */
#define MAX(a, b)	((a) > (b) -> (a) : (b))
#define LIVE(v)		((v) != 0 && ((v) & 1) == 0)
#define ENDED(v)	((v) + 1)
#ifdef LATE
#define MAKER	3		/* greater than who removes: at one time it would win */
#else
#define MAKER	1
#endif
#define VERSION(above, who, later)	((((above) >> 3) + (later)) * 8 + (who) * 2)

#define UNDER_WAY	1
#define ANSWERED	3
#define SEND(x)		x[0] = UNDER_WAY; x[1] = UNDER_WAY; x[2] = UNDER_WAY
#define TWO(x)		((x[0] == ANSWERED) + (x[1] == ANSWERED) + (x[2] == ANSWERED) >= 2)

byte entry[3], file[3];
byte files[3], put;		/* STOREs of the file */
byte entries[3], entered;	/* of the directory */
byte ends[3], ended;		/* of its end */
bool filed, made, making, checking, removing, removed, was_filed, remade, anew;
#ifdef LATE
bool read, overtaken, after;	/* by Make; by the removal; the file is put after that */
#define LATE_IS_HIDDEN	(!(filed && after) || ALL(IS_FILE))
#else
#define LATE_IS_HIDDEN	true
#endif

#define ENTRY(a, b)	MAX(entry[a], entry[b])
#define FILE(a, b)	MAX(file[a], file[b])
#ifdef ONE_ORDER
#define IS_DIRECTORY(a, b)	(LIVE(ENTRY(a, b)) && ENTRY(a, b) > FILE(a, b))
#define IS_FILE(a, b)		(LIVE(FILE(a, b)) && FILE(a, b) > ENTRY(a, b))
#else
#define IS_DIRECTORY(a, b)	LIVE(ENTRY(a, b))
#define IS_FILE(a, b)		(!LIVE(ENTRY(a, b)) && LIVE(FILE(a, b)) && FILE(a, b) > ENTRY(a, b))
#endif
#define ANY(x)		(x(0, 1) || x(0, 2) || x(1, 2))
#define ALL(x)		(x(0, 1) && x(0, 2) && x(1, 2))
#define MADE_STANDS	(!(made && (!removing || anew)) || ALL(IS_DIRECTORY))
#define FILED_STANDS	(!filed || making || was_filed || ALL(IS_FILE))
#define REMOVED_IS_GONE	(!(removed && !remade) || (!ANY(IS_DIRECTORY) && (!was_filed || !ANY(IS_FILE))))
#define OK		(MADE_STANDS && FILED_STANDS && REMOVED_IS_GONE && LATE_IS_HIDDEN)

inline keep(newest, slot, version) {
	d_step {
		slot == UNDER_WAY ->
		newest = MAX(newest, version);
		slot = ANSWERED;
		assert(OK)
	}
}

inline copy(newest, other) { d_step { other > newest -> newest = other; assert(OK) } }

active [3] proctype Home() {
	byte h = _pid;
end:	do
	:: keep(file[h], files[h], put)
	:: keep(entry[h], entries[h], entered)
	:: keep(entry[h], ends[h], ended)
#ifdef SYNC
	:: copy(entry[h], entry[(h + 1) % 3]) :: copy(entry[h], entry[(h + 2) % 3])
	:: copy(file[h], file[(h + 1) % 3]) :: copy(file[h], file[(h + 2) % 3])
#endif
	od
}

/* Two homes, in this order. */
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

/* What not both tell of the entry is stored at both before it is relied on. */
inline write_back(version) {
#ifdef NO_WRITEBACK
	skip
#else
	atomic {
		if
		:: entry[a] != entry[b] -> differ = 1
		:: else
		fi
	}
	atomic {
		if
		:: differ == 1 -> entry[a] = MAX(entry[a], version); assert(OK)
		:: else
		fi
	}
	atomic {
		if
		:: differ == 1 -> entry[b] = MAX(entry[b], version); assert(OK)
		:: else
		fi;
		differ = 0
	}
#endif
}

inline check_second() { x = MAX(x, entry[b]); y = MAX(y, file[b]) }

proctype File() {
	byte a, b, x, y, later, differ;
	atomic {
#ifdef LATE
		after = removed && overtaken;
#endif
		pick(); x = entry[a]; y = file[a]
	}
	atomic { check_second() }
	write_back(x);
	atomic {
		if
		:: LIVE(x) -> goto over			/* 409 */
		:: else
		fi;
		if
		:: later = 1
		:: later = 4
		fi;
		put = VERSION(MAX(x, y), 0, later);
		SEND(files)
	}
	atomic { TWO(files) -> filed = true; assert(OK) }	/* 201 */
over:	atomic { x = 0; y = 0; a = 0; b = 0; later = 0; differ = 0 }
}

proctype Make() {
	byte a, b, x, y, later, differ;
	/* homes are alike */
	atomic { anew = removed; a = 0; b = 1; x = entry[0]; y = file[0] }
	atomic {
		check_second();
#ifdef LATE
		read = true
#endif
	}
	write_back(x);
	atomic {
		if
		:: !LIVE(x) && LIVE(y) && y > x -> goto over	/* 409 */
		:: else
		fi;
		if
		:: later = 1
#if !defined(LATE) || defined(CLOCK)
		:: later = 2
#endif
		fi;
		entered = VERSION(x, MAKER, later);
		making = true;
		remade = remade || checking;
		SEND(entries)
	}
	atomic { TWO(entries) -> made = true; assert(OK) }
over:	atomic { x = 0; y = 0; a = 0; b = 0; later = 0; differ = 0 }
}

proctype Remove() {
	byte a, b, x, y, later, differ;
	atomic {
		was_filed = filed;
		checking = true;
#ifdef LATE
		overtaken = read;
#endif
		remade = (making && !made);
		pick();
		x = entry[a]; y = file[a]
	}
	atomic { check_second() }
	write_back(x);
	atomic {
		if
		:: !LIVE(x) -> was_filed = false; checking = false; goto over	/* 404 */
		:: else
		fi;
#ifdef LOW
		y = 0;
#endif
		if
#ifdef CLOSE
		:: later = 1
#endif
		:: later = 2
		:: later = 3
		fi;
		ended = ENDED(VERSION(MAX(x, y), 2, later));
		removing = true;
		SEND(ends)
	}
	atomic { TWO(ends) -> removed = true; assert(OK) }	/* 204 */
over:	atomic { x = 0; y = 0; a = 0; b = 0; later = 0; differ = 0 }
}

init {
	atomic {
#ifdef DIR
		entry[0] = 10; entry[1] = 10; entry[2] = 10;
#endif
		run File(); run Make(); run Remove()
	}
}
