/* phase_store - what all phases share that have a record kept by homes */
#include "phase.h"

void phase_pack_store(const struct phase *phase, uint64_t epoch, const struct store_ask *ask,
		      struct buf *packet)
{
	struct wire_store message = { .id = phase->id, .epoch = epoch, .record = ask->record,
				      .type = ask->type, .path = ask->path };

	wire_pack(packet, WIRE_STORE, &message);
}

bool phase_stored(struct phase *phase, size_t i, const struct wire *wire)
{
	if (wire->type != WIRE_STORED || wire->stored.epoch != phase->epoch ||
	    wire->sender.lineage != phase->asker->home->layout.lineage)
		return false;
	phase->peers[i].answered = true;
	quorum_answered(&phase->quorum, wire->sender.id);
	return true;
}

void phase_commit(struct phase *phase, const struct store_ask *ask)
{
	phase->committing = true;
	phase->asker->commit(phase->asker->data, phase->id, ask);
}

void phase_committed(struct phase *phase, bool on_disk)
{
	phase->committing = false;
	if (on_disk && (phase->kind->kept == NULL || phase->kind->kept(phase)))
		quorum_answered(&phase->quorum, phase->asker->home->self.id);
}
