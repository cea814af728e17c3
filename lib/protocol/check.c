/* check - the checks that are in flight, and who waits for them */
#include "check_inside.h"

#include "container.h"
#include "mem.h"

static struct check **path_bucket(struct asker *asker, uint64_t hash)
{
	return &asker->by_path[hash % ASKER_BUCKETS];
}

static void unlink_path(struct check *check)
{
	struct check **p = path_bucket(check->phase.asker, check->hash);

	while (*p != check)
		p = &(*p)->path_next;
	*p = check->path_next;
}

static void check_free(struct check *check)
{
	free(check->path);
	free(check);
}

static void launch(struct check *check, struct asker *asker, uint64_t now)
{
	struct check **by_path = path_bucket(asker, check->hash);

	check->path_next = *by_path;
	*by_path = check;
	check_ask(check, asker, now);
}

/*
 * What this node holds, and is no home of, is not the newest any more.  It
 * keeps the record that is, so that its tree shows no deleted or outdated
 * file; nobody waits for that.
 */
static void learn(const struct check *check, const struct newest_answer *answer)
{
	struct asker *asker = check->phase.asker;
	const struct store_ask ask = { .path = check_path(check), .record = answer->record,
				       .type = answer->type };

	if (check->purpose == CHECK_READ && answer->standing == STANDING_CONFIRMED &&
	    check->own_known && record_has_content(&check->own.record) &&
	    version_cmp(answer->record.version, check->own.record.version) > 0 &&
	    !quorum_has(&check->phase.quorum, check_self(check)))
		asker->commit(asker->data, 0, &ask);
}

/* The next one starts first, so that there is always one in flight for a waiting reader. */
bool check_finish(struct check *check, enum standing standing, uint64_t now)
{
	struct check_result result;
	struct check_wait *wait;

	phase_end(&check->phase, now);
	unlink_path(check);
	if (check->after != NULL) {
		if (check->after->waits != NULL)
			launch(check->after, check->phase.asker, now);
		else
			check_free(check->after);
	}
	check_sum_up(check, standing, &result);
	learn(check, &result.answer);
	while ((wait = check->waits) != NULL) {
		check_cancel(wait);
		wait->done(wait, &result);
	}
	check_free(check);
	return true;
}

static void drop_waits(struct check *check)
{
	for (struct check_wait *wait = check->waits, *next; wait != NULL; wait = next) {
		next = wait->next;
		wait->check = NULL;
	}
}

void check_forget(struct phase *phase)
{
	struct check *check = CONTAINER_OF(phase, struct check, phase);

	phase_end(phase, phase->sent);
	unlink_path(check);
	if (check->after != NULL) {
		drop_waits(check->after);
		check_free(check->after);
	}
	drop_waits(check);
	check_free(check);
}

static struct check *new_check(struct str path, enum check_purpose purpose, struct version version,
			       uint64_t hash)
{
	struct check *check = mem_new(1, sizeof *check);

	check->path = mem_copy(path.s, path.n);
	check->path_bytes = path.n;
	check->purpose = purpose;
	check->version = version;
	check->hash = hash;
	return check;
}

static struct check *find_running(struct asker *asker, struct str path, enum check_purpose purpose,
				  struct version version, uint64_t hash)
{
	struct check *check = *path_bucket(asker, hash);

	while (check != NULL &&
	       !(check->hash == hash && check->purpose == purpose &&
		 version_cmp(check->version, version) == 0 && str_eq(check_path(check), path)))
		check = check->path_next;
	return check;
}

void check_start(struct asker *asker, struct check_wait *wait, struct str path,
		 enum check_purpose purpose, struct version version, uint64_t now)
{
	uint64_t hash = path_hash(path);
	struct check *running = find_running(asker, path, purpose, version, hash);
	struct check *check;

	asker->now = now;
	if (running == NULL) {
		check = new_check(path, purpose, version, hash);
		launch(check, asker, now);
	} else {
		if (running->after == NULL)
			running->after = new_check(path, purpose, version, hash);
		check = running->after;
	}
	wait->check = check;
	wait->prev = NULL;
	wait->next = check->waits;
	if (check->waits != NULL)
		check->waits->prev = wait;
	check->waits = wait;
}

void check_cancel(struct check_wait *wait)
{
	if (wait->check == NULL)
		return;
	if (wait->prev != NULL)
		wait->prev->next = wait->next;
	else
		wait->check->waits = wait->next;
	if (wait->next != NULL)
		wait->next->prev = wait->prev;
	wait->check = NULL;
}
