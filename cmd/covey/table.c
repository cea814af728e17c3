/* table - rows of text for people, their columns as wide as they must be */
#include "table.h"

/* Characters, as far as UTF-8 tells: continuation bytes take no room. */
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
