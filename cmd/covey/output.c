/* output - what people and programs see of a sub-command: rows, lines of JSON, progress */
#include "output.h"

#include "clock.h"
#include "command.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#define PATIENCE 1000		/* ms before any progress is shown */
#define STEP 200		/* ms between two lines of it */

/* rows */

/* In characters of UTF-8: continuation bytes do not count. */
static size_t width_of(const char *text)
{
	size_t width = 0;

	for (; *text; text++)
		width += ((unsigned char)*text & 0xc0) != 0x80;
	return width;
}

void table_add(struct table *table, const char *cell)
{
	size_t *width = &table->widths[table->count % table->columns];
	size_t n = width_of(cell);

	for (const char *c = cell; *c; c++)
		buf_addc(&table->cells, (unsigned char)*c < ' ' || *c == 0x7f ? '?' : *c);
	buf_addc(&table->cells, '\0');
	table->count++;
	if (n > *width)
		*width = n;
}

void table_print(struct table *table)
{
	const char *cell = table->cells.data;

	for (size_t i = 0; i < table->count; i++) {
		size_t column = i % table->columns;
		bool last = column + 1 == table->columns;
		int pad = (int)(table->widths[column] - width_of(cell));

		if (table->right & 1u << column)
			printf("%*s%s%s", pad, "", cell, last ? "\n" : "  ");
		else
			printf("%s%*s%s", cell, last ? 0 : pad, "", last ? "\n" : "  ");
		cell += strlen(cell) + 1;
	}
	buf_clear(&table->cells);
	table->count = 0;
}

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

/* JSON */

int print_json(json_t *value)
{
	char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
	bool printed = text != NULL && puts(text) != EOF;

	free(text);
	json_decref(value);
	if (printed)
		return 0;
	command_say("write to standard output failed");
	return EX_IOERR;
}

/* progress */

void progress_begin(struct progress *progress, const char *name)
{
	bool shown = name != NULL && isatty(STDERR_FILENO);

	*progress = (struct progress){ .name = shown ? name : NULL, .began = clock_mono_ms() };
}

/* There is one terminal: whether a line of progress is on it. */
static pthread_mutex_t terminal = PTHREAD_MUTEX_INITIALIZER;
static bool line_shown;

static void line_put(const char *line)
{
	pthread_mutex_lock(&terminal);
	fprintf(stderr, "\r\033[K%s", line);
	line_shown = true;
	pthread_mutex_unlock(&terminal);
}

void progress_above(struct str lines)
{
	pthread_mutex_lock(&terminal);
	fprintf(stderr, "%s%.*s", line_shown ? "\r\033[K" : "", STR_ARG(lines));
	line_shown = false;
	pthread_mutex_unlock(&terminal);
}

/* Whether it is time for a line. */
static bool is_due(struct progress *progress)
{
	uint64_t now = clock_mono_ms();

	if (progress->name == NULL || now - progress->began < PATIENCE || now - progress->shown < STEP)
		return false;
	progress->shown = now;
	return true;
}

void progress_show(struct progress *progress, uint64_t done, uint64_t total)
{
	char size[SIZE_TEXT], rate[SIZE_TEXT], left[24] = "", line[128];
	uint64_t spent;

	if (!is_due(progress))
		return;
	spent = progress->shown - progress->began;
	if (total >= done && done > 0)
		snprintf(left, sizeof left, "%3u%%  %us left", (unsigned)(done * 100.0 / (double)total),
			 (unsigned)((double)(total - done) / (double)done * (double)spent / 1000));
	snprintf(line, sizeof line, "%.40s  %s  %s/s  %s", progress->name, size_text(size, done),
		 size_text(rate, done * 1000 / spent), left);
	line_put(line);
}

void progress_files(struct progress *progress, uint64_t done, uint64_t known, uint64_t bytes)
{
	char size[SIZE_TEXT], line[128];
	uint64_t spent;

	if (!is_due(progress))
		return;
	spent = progress->shown - progress->began;
	snprintf(line, sizeof line, "%.40s  %" PRIu64 " of %" PRIu64 " so far  %s  %" PRIu64 "/s", progress->name,
		 done, known, size_text(size, bytes), done * 1000 / spent);
	line_put(line);
}

void progress_end(struct progress *progress)
{
	if (progress->shown != 0)
		progress_above((struct str)STR_INIT);
	progress->shown = 0;
}
