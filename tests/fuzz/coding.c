/*
 * Any bytes as a coded content: what the first says, zstd or dcz, with how many
 * bytes at once; never more than the content comes out, and never a report.
 */
#include "coding.h"

#include <stdlib.h>
#include <string.h>

#define SIZE 100000			/* of the content that is to come out */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static char old[] = "The quick brown fox jumps over the lazy dog, and the dog sleeps on.";

static int take(void *data, const void *bytes, size_t n, struct err *err)
{
	uint64_t *out = data;

	(void)err;
	if (n == 0 || bytes == NULL || *out + n > SIZE)
		abort();
	*out += n;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	/* Its sha256 is for the fuzzer to guess: see the seeds. */
	struct dictionary by = { .bytes = old, .size = sizeof old - 1 };
	struct decoder *d;
	struct err err = ERR_INIT;
	uint64_t out = 0;
	size_t step;
	int rc = 0;

	if (n == 0)
		return 0;
	memset(by.sha256, 'A', sizeof by.sha256);
	step = data[0] / 2 + 1u;
	d = decoder_new(data[0] % 2 ? &by : NULL, SIZE);
	for (size_t at = 1; at < n && rc == 0; at += step)
		rc = decoder_add(d, data + at, n - at < step ? n - at : step, take, &out, &err);
	if (rc == 0)
		rc = decoder_end(d, &err);
	if (out > SIZE || (rc == 0 && out != SIZE) || (rc < 0 && err.kind != ERR_CORRUPT))
		abort();
	decoder_free(d);
	return 0;
}
