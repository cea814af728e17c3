/*
 * homes - reads and writes of one path while its homes change from A over the
 * joint layout {A, B} to B (way-back.pml: back to A).
 *
 * Proves invariants 4, 6 and 8: the path is one atomic register.  Versions are
 * unique and ordered, so that means: an operation returns a version not below,
 * and a write picks one above, every version that was returned or confirmed to
 * anyone before the operation began.
 *
 *   HOMES, A, B   see register.pml
 *   W0 R0 W1 R1   writes, then reads, of client 0 and of client 1
 *   GOSSIP        homes also hear of new layouts by themselves
 */
#define CLIENTS	2
#define OLDEST	0
#define SYNC_TAKE(a)
#define SYNC_GIVE(b)
#include "register.pml"

proctype Home(byte h) {
end:	do
	:: on_check(CHECK(0)) :: on_store(STORE(0))
	:: on_check(CHECK(1)) :: on_store(STORE(1))
#ifdef GOSSIP
	:: d_step { epoch[h] < decided -> epoch[h]++ }
#endif
	od
}

proctype Client(byte me; byte writes; byte reads) {
	byte ep = 1, v, before;
	bool sure;
	do
	:: atomic {
		writes > 0;
		before = seen;
		find(v);
		v = (v / 2 + 1) * 2 + me;
		assert(v > before);
		store(v);
		raise(seen, v);
		v = 0; before = 0; sure = false; writes--
	   }
	:: atomic {
		writes == 0 && reads > 0;
		before = seen;
		read(v);
		assert(v >= before);
		raise(seen, v);
		v = 0; before = 0; sure = false; reads--
	   }
	:: writes == 0 && reads == 0 -> break
	od
}

init {
	byte h;
	atomic {
		do
		:: h < HOMES -> run Home(h); h++
		:: else -> break
		od;
		run Client(0, W0, R0);
		run Client(1, W1, R1)
	}
	change_layout()
}
