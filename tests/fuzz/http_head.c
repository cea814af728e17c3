/*
 * Any bytes as a request head: fed at once and byte by byte it is the same
 * head or the same refusal, all its slices lie within it, and whoever reads
 * its lines naively finds no other length and no other host.
 */
#include "head.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void expect(bool condition)
{
	if (!condition)
		abort();
}

static struct head head, other;

static void within(struct str slice, const char *bytes)
{
	if (slice.n > 0 && !str_eq(slice, STR("/")) && !str_eq(slice, STR("*")))
		expect(slice.s >= bytes && slice.s + slice.n <= bytes + head.size);
}

static int feed_bytewise(const char *bytes, size_t n, struct refusal *refusal)
{
	int r = 0;

	head_reset(&other);
	for (size_t i = 1; i <= n && r == 0; i++) {
		char *copy = malloc(i);	/* moves, and ends exactly there */

		memcpy(copy, bytes, i);
		r = head_parse(&other, copy, i, refusal);
		free(copy);
	}
	return r;
}

static void check_fields(const char *bytes)
{
	size_t lengths = 0, codings = 0, hosts = 0;

	for (size_t i = 0; i < head.field_count; i++) {
		const struct head_field *field = &head.fields[i];

		within(field->name, bytes);
		within(field->value, bytes);
		lengths += str_eq_nocase(field->name, STR("Content-Length"));
		codings += str_eq_nocase(field->name, STR("Transfer-Encoding"));
		hosts += str_eq_nocase(field->name, STR("Host"));
		expect(field->value.n == 0 ||
		       (!memchr(field->value.s, '\r', field->value.n) &&
			!memchr(field->value.s, '\n', field->value.n) &&
			!memchr(field->value.s, '\0', field->value.n)));
	}
	expect(lengths + codings <= 1 && hosts <= 1 && (hosts == 1 || head.minor == 0));
	expect((head.framing == FRAMING_LENGTH) == (lengths == 1));
	expect((head.framing == FRAMING_CHUNKED) == (codings == 1));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const char *bytes = (const char *)data;
	struct refusal at_once = { 0, NULL }, bytewise = { 0, NULL };
	int r;

	if (n == 0 || n > 4096)
		return 0;
	head_reset(&head);
	r = head_parse(&head, bytes, n, &at_once);
	expect(r == feed_bytewise(bytes, n, &bytewise) && at_once.status == bytewise.status);
	if (r != 1)
		return 0;
	expect(head.size == other.size && head.field_count == other.field_count);
	expect(head.size <= n && head.size >= 4 && memcmp(bytes + head.size - 4, "\r\n\r\n", 4) == 0);
	within(head.path, bytes);
	within(head.query, bytes);
	within(head.host, bytes);
	expect(head.path.n > 0 && (head.path.s[0] == '/' || head.path.s[0] == '*'));
	check_fields(bytes);
	return 0;
}
