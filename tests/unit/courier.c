/*
 * The courier, with something that plays covey-syncd: what is sealed comes
 * back opened, one packet to a peer at once, and rest after a failure.
 */
#include "loop_unit.h"

#include "clock.h"
#include "courier.h"
#include "serve.h"
#include "sync_talk.h"

#include <unistd.h>

enum { SELF = 1, PEER = 2 };
enum { TIMEOUT_MS = 250, REST_MS = 5000 };

static const char path[] = "/var/tmp/covey-courier.sock";
static struct seal_keys keys;
static struct courier *courier;
static struct courier_peer peer;
static struct address http;

static enum { ANSWER, NOTHING, OTHERS, FAILURE, SILENCE } mood;	/* of the other node */
static int carried;			/* packets that came to syncd */
static int answers, messages;		/* answered(), and of these with something to say */
static uint64_t told_question;		/* by the last message */

/* A STALE of the peer's, for the receiver, to that question. */
static void pack_message(struct buf *to, uint64_t receiver, uint64_t question)
{
	struct member sender = { .id = PEER, .start = 1, .state = MEMBER_UP,
				 .protocol_min = MEMBER_PROTOCOL, .protocol_max = MEMBER_PROTOCOL };

	wire_pack_sender(to, keys.list[0].group, &sender);
	wire_pack_to(to, receiver, WIRE_VERSIONS);
	pack_u8(to, WIRE_STALE);
	pack_u64(to, question);
	pack_u64(to, 1);		/* its epoch */
}

static void check_question(struct str body)
{
	struct buf plain = BUF_INIT;
	struct sync_carry question;
	uint8_t protocol;

	CHECK(sync_carry_unpack(body, &question, NULL) == 0);
	CHECK(address_eq(&question.http, &http) && question.to == SYNC_TO_VERSIONS);
	CHECK(seal_open_long(&keys, question.packet, &protocol, &plain) == 0);
	CHECK(str_eq(buf_str(&plain), STR("question")));
	buf_clear(&plain);
}

static void on_request(struct serve *serve, struct serve_request *request, struct frame *frame)
{
	struct buf plain = BUF_INIT, packet = BUF_INIT;
	struct err err = ERR_INIT;

	(void)serve;
	carried++;
	CHECK(frame->type == SYNC_CARRY);
	check_question(frame->body);
	if (mood == SILENCE)
		return;
	if (mood == FAILURE) {
		err_set(&err, ERR_AWAY, "ask peer by HTTP: nobody is there");
		serve_fail(request, &err);
		return;
	}
	pack_message(&plain, mood == OTHERS ? 9 : SELF, 77);
	if (mood != NOTHING)
		seal_message(&keys, buf_str(&plain), &packet);
	serve_reply(request, SYNC_CARRIED, buf_str(&packet), NULL, 0);
	serve_end(request);
	buf_clear(&plain);
	buf_clear(&packet);
}

static void on_answer(void *data, const struct courier_answer *answer)
{
	CHECK(data == &keys && answer->peer == &peer && answer->sent > 0);
	answers++;
	if (answer->wire == NULL)
		return;
	CHECK(answer->wire->type == WIRE_STALE && answer->wire->sender.id == PEER);
	CHECK(answer->bytes > 0);
	told_question = answer->wire->stale.id;
	messages++;
}

static void send_and_run(void)
{
	CHECK(courier_has_room(courier, &peer));
	courier_send(courier, &peer, &http, STR("question"));
	run_for(20);
}

static void test_answers(void)
{
	mood = ANSWER;
	send_and_run();
	CHECK(carried == 1 && answers == 1 && messages == 1 && told_question == 77);
	mood = NOTHING;
	send_and_run();
	CHECK(answers == 2 && messages == 1);
	mood = OTHERS;			/* it is for another node */
	send_and_run();
	CHECK(answers == 3 && messages == 1);
}

static void test_failures(void)
{
	uint64_t now = clock_mono_ms();

	mood = FAILURE;
	send_and_run();
	CHECK(answers == 3 && peer.failures == 1 && peer.rest_until >= now + REST_MS);
	CHECK(!courier_has_room(courier, &peer));
	peer.rest_until = 0;
	now = clock_mono_ms();
	send_and_run();
	CHECK(peer.failures == 2 && peer.rest_until >= now + 2 * REST_MS);
	peer.rest_until = 0;
	mood = ANSWER;
	send_and_run();
	CHECK(answers == 4 && messages == 2 && peer.failures == 0 && peer.rest_until == 0);
}

static void test_room(void)
{
	mood = SILENCE;
	send_and_run();
	CHECK(!courier_has_room(courier, &peer));
	courier_send(courier, &peer, &http, STR("question"));	/* what has to go goes */
	run_for(20);
	CHECK(carried == 8 && peer.packets.count == 2);
	run_for(TIMEOUT_MS + 50);
	CHECK(peer.packets.count == 0 && peer.failures == 2);
	peer.rest_until = 0;
	send_and_run();
	courier_forget(&peer);
	CHECK(peer.packets.count == 0);
	run_for(TIMEOUT_MS + 50);
	CHECK(answers == 4 && peer.failures == 2);
}

int main(void)
{
	static const char key[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n";
	static const struct serve_role role = { .request = on_request };
	static const struct courier_role courier_role = {
		.to = WIRE_VERSIONS, .at_once = 1, .timeout_ms = TIMEOUT_MS, .rest_ms = REST_MS, .rest_max_ms = 4 * REST_MS,
		.answered = on_answer,
	};
	struct caller *caller;
	struct serve *serve;
	int listener;

	CHECK(seal_keys_parse(str_of(key), &keys, NULL) == 0);
	CHECK(address_parse(STR("127.0.0.1:4720"), &http, NULL) == 0);
	loop = loop_new(NULL);
	unlink(path);
	listener = sock_listen_unix(path, NULL);
	serve = serve_new(loop, listener, &role, NULL, NULL);
	caller = caller_new(loop, path);
	courier = courier_new(caller, &keys, SELF, &courier_role, &keys);
	test_answers();
	test_failures();
	test_room();
	courier_free(courier);
	caller_free(caller);
	serve_free(serve);
	close(listener);
	unlink(path);
	loop_free(loop);
	return UNIT_RESULT();
}
