/*
 * pace - how fast bytes go between this node and others, and so whether to code them first
 *
 * Coding a content takes both sides time, by its whole size.  It pays where sending
 * that many bytes would take longer: on a slow network, not within a fast one.
 * Both are measured, of transfers that were made anyway: a peer of which
 * nothing is known is sent the content as it is, which tells.
 *
 * In doubt a network is fast, so that coding is never what makes a transfer
 * slow: the greater of the last two transfers' counts, for one may have had to share.
 * That is good for an hour, as is what this node's own coder was found to do.
 *
 * Pure: times are parameters.
 */
#ifndef COVEY_PACE_H
#define COVEY_PACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PACE_PEERS_MAX 256		/* that are remembered; then the oldest goes */
#define PACE_FRESH_MS (3600u * 1000)

struct pace {
	struct pace_peer {
		uint64_t node;
		uint64_t last, before;	/* bytes per second of the last transfer, and of that before */
		unsigned count;		/* transfers; no more than two */
		uint64_t at;		/* ms, monotonic: when the last was */
	} peers[PACE_PEERS_MAX];
	size_t count;
	uint64_t coder;			/* bytes per second that this node codes; 0: not known */
	uint64_t coder_at;		/* ms, monotonic: when that was measured last */
	unsigned vain;			/* contents in a row that coding made hardly smaller */
	unsigned skip;			/* of those that follow so many are not tried */
};
#define PACE_INIT { .count = 0 }

/* So many bytes per second went to the peer, or came. */
void pace_note(struct pace *, uint64_t node, uint64_t rate, uint64_t now);
/* So many bytes of content took so long to be coded. */
void pace_note_coder(struct pace *, uint64_t bytes, uint64_t us, uint64_t now);
/* This node coded a content, and it became smaller or not.  The more in a row did not, the fewer are tried. */
void pace_note_result(struct pace *, bool smaller);
/* A content of so many bytes is there sooner if it is coded. */
bool pace_pays(struct pace *, uint64_t node, uint64_t bytes, uint64_t now);
/* How long so many bytes take as they are, us; 0: nothing is known. */
uint64_t pace_us(const struct pace *, uint64_t node, uint64_t bytes, uint64_t now);

#endif
