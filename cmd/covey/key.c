/* covey key new - print a fresh group key */
#include "command.h"
#include "group_key.h"

#include "str.h"

#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>

void group_key_new(char to[GROUP_KEY_TEXT])
{
	unsigned char bytes[GROUP_KEY_BYTES];

	if (sodium_init() < 0)
		abort();	/* no randomness on this system */
	randombytes_buf(bytes, sizeof bytes);
	str_to_hex(to, bytes, sizeof bytes);
	to[GROUP_KEY_TEXT - 2] = '\n';
	to[GROUP_KEY_TEXT - 1] = '\0';
	sodium_memzero(bytes, sizeof bytes);
}

/* `covey key new >FILE`: the shell has made it for everybody to read. */
static void close_to_others(void)
{
	struct stat st;

	if (fstat(STDOUT_FILENO, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & S_IRWXO) != 0 &&
	    fchmod(STDOUT_FILENO, st.st_mode & 07770) < 0)
		fprintf(stderr, "covey: others can read the file with the key: say chmod o= FILE\n");
}

static int run(const struct call *call)
{
	char text[GROUP_KEY_TEXT];

	if (strcmp(call->operands[0], "new") != 0)
		return command_misused(call->command, "%s: only \"new\" is known",
				       call->operands[0]);
	close_to_others();
	group_key_new(text);
	fputs(text, stdout);
	return 0;
}

static const struct command_option options[] = { OPTION_END };

const struct command command_key = {
	.name = "key",
	.operands = "new",
	.summary = "Print a fresh group key",
	.details = "All nodes of a group have the same file group.key_file, readable by them alone.\n"
		   "It holds a line per key: the first one seals, all of them open. So a key is\n"
		   "changed by adding the new one below on every node, then moving it to the top\n"
		   "everywhere, then removing the old one.",
	.options = options,
	.least = 1,
	.most = 1,
	.run = run,
};
