/* progress - a line on the terminal while a transfer takes long */
#include "progress.h"

#include "clock.h"

#include <stdio.h>
#include <unistd.h>

#define PATIENCE 1000		/* ms before anything is shown */
#define STEP 200		/* ms between two looks */

const char *size_text(char to[SIZE_TEXT], uint64_t bytes)
{
	static const char units[] = " KMGTPE";
	double n = (double)bytes;
	int unit = 0;

	while (n >= 1024 && unit < 6) {
		n /= 1024;
		unit++;
	}
	if (unit == 0)
		snprintf(to, SIZE_TEXT, "%.0f", n);
	else
		snprintf(to, SIZE_TEXT, n < 10 ? "%.1f%c" : "%.0f%c", n, units[unit]);
	return to;
}

void progress_begin(struct progress *progress, const char *name)
{
	bool shown = name != NULL && isatty(STDERR_FILENO);

	*progress = (struct progress){ .name = shown ? name : NULL, .began = clock_mono_ms() };
}

bool progress_wanted(const struct progress *progress)
{
	return progress->name != NULL;
}

void progress_show(struct progress *progress, uint64_t done, uint64_t total)
{
	uint64_t now = clock_mono_ms(), spent = now - progress->began;
	char size[SIZE_TEXT], rate[SIZE_TEXT], left[24] = "";

	if (progress->name == NULL || spent < PATIENCE || now - progress->shown < STEP)
		return;
	progress->shown = now;
	if (total >= done && done > 0)
		snprintf(left, sizeof left, "%3u%%  %us left", (unsigned)(done * 100.0 / (double)total),
			 (unsigned)((double)(total - done) / (double)done * (double)spent / 1000));
	fprintf(stderr, "\r\033[K%.40s  %s  %s/s  %s", progress->name, size_text(size, done),
		size_text(rate, done * 1000 / spent), left);
}

void progress_end(struct progress *progress)
{
	if (progress->shown != 0)
		fputs("\r\033[K", stderr);
	progress->shown = 0;
}
