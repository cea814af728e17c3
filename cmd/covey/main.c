/*
 * covey - the front command: a table of sub-commands
 *
 * Usage and help are made from the tables, so that they cannot differ
 * from what is accepted.
 */
#include "client.h"
#include "output.h"

#include "path.h"

#include <getopt.h>
#include <stdarg.h>

static const struct command *const commands[] = {
	&command_up,	  &command_ls,	    &command_log,   &command_get,    &command_put,
	&command_rm,	  &command_restore, &command_check, &command_peers,  &command_status,
	&command_layout,  &command_adopt,   &command_prune, &command_scrub,  &command_init,
	&command_units,	  &command_key,     &command_access, &command_token,  &command_node,   &command_backup, &command_recover,
};
#define COMMANDS (sizeof commands / sizeof commands[0])

static const struct command *command_named(const char *name)
{
	for (size_t i = 0; i < COMMANDS; i++)
		if (strcmp(commands[i]->name, name) == 0)
			return commands[i];
	return NULL;
}

/* help */

static void print_usage(FILE *to, const struct command *command)
{
	fprintf(to, "usage: covey %s%s%s%s\n", command->name,
		command->options[0].name ? " [OPTION...]" : "", command->operands[0] ? " " : "",
		command->operands);
}

static void print_option(FILE *to, const struct command_option *option)
{
	char left[40];

	if (option->letter)
		snprintf(left, sizeof left, "-%c, --%s%s%s", option->letter, option->name,
			 option->value ? " " : "", option->value ? option->value : "");
	else
		snprintf(left, sizeof left, "    --%s%s%s", option->name, option->value ? " " : "",
			 option->value ? option->value : "");
	fprintf(to, "  %-22s  %s\n", left, option->help);
}

/* Of every command that asks a node. */
static const struct command_option cacert = {
	"cacert", 0, "FILE", "who may certify a node that is asked by https; default $COVEY_CACERT"
};
#define FOUND_CACERT (COMMAND_OPTIONS + 1)

static bool command_asks(const struct command *command)
{
	for (const struct command_option *o = command->options; o->name != NULL; o++)
		if (strcmp(o->name, "node") == 0)
			return true;
	return false;
}

static void print_help(const struct command *command)
{
	static const struct command_option help = { "help", 'h', NULL, "this text" };

	print_usage(stdout, command);
	printf("\n%s.\n", command->summary);
	if (command->details != NULL)
		printf("%s\n", command->details);
	printf("\n");
	for (const struct command_option *o = command->options; o->name != NULL; o++)
		print_option(stdout, o);
	if (command_asks(command))
		print_option(stdout, &cacert);
	print_option(stdout, &help);
}

static void print_commands(FILE *to)
{
	fprintf(to, "usage: covey COMMAND [OPTION...] [OPERAND...]\n"
		    "       covey help [COMMAND]\n\n");
	for (size_t i = 0; i < COMMANDS; i++)
		fprintf(to, "  %-8s  %s\n", commands[i]->name, commands[i]->summary);
}

static bool is_help(const char *argument)
{
	return strcmp(argument, "--help") == 0 || strcmp(argument, "-h") == 0;
}

static int help(int argc, char **argv)
{
	bool named = argc > 2 && !is_help(argv[2]);
	const struct command *command = named ? command_named(argv[2]) : NULL;

	if (named && command == NULL) {
		fprintf(stderr, "covey help: no command \"%s\"\n", argv[2]);
		return EX_USAGE;
	}
	if (command != NULL)
		print_help(command);
	else
		print_commands(stdout);
	return 0;
}

/* failing */

static int status_of(enum err_kind kind)
{
	switch (kind) {
	case ERR_INVALID:
	case ERR_TOO_LARGE:
	case ERR_CORRUPT:
	case ERR_EXISTS:
	case ERR_CONFLICT:
	case ERR_PRECONDITION:
		return EX_DATAERR;
	case ERR_ABSENT:
		return EX_NOINPUT;
	case ERR_DENIED:
		return EX_NOPERM;
	case ERR_FULL:
	case ERR_SYSTEM:
		return EX_IOERR;
	case ERR_TIMEOUT:
		return EX_TEMPFAIL;
	case ERR_AWAY:
	case ERR_UNSUPPORTED:
		return EX_UNAVAILABLE;
	case ERR_NONE:
		break;
	}
	return EX_SOFTWARE;
}

void command_say(const char *format, ...)
{
	struct buf line = BUF_INIT;
	char text[4096];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	for (char *c = text; *c != '\0'; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';	/* names are foreign: no escapes, nor a line of their own */
	buf_addf(&line, "covey: %s\n", text);
	progress_above(buf_str(&line));
	buf_clear(&line);
}

int command_fail(const struct err *err)
{
	command_say("%s", err->text);
	return status_of(err->kind);
}

int command_misused(const struct command *command, const char *format, ...)
{
	va_list args;

	fprintf(stderr, "covey %s: ", command->name);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, "\n");
	print_usage(stderr, command);
	return EX_USAGE;
}

int command_number(const char *what, const char *text, uint64_t min, uint64_t max, uint64_t *ret,
		   struct err *err)
{
	uint64_t number;

	if (str_u64(str_of(text), max, &number) < 0 || number < min)
		return err_set(err, ERR_INVALID, "%s: \"%.40s\" is not a number from %llu to %llu",
			       what, text, (unsigned long long)min, (unsigned long long)max);
	*ret = number;
	return 0;
}

bool command_agreed(FILE *to)
{
	char line[16] = "";

	fputs("Type yes to go on: ", to);
	fflush(to);
	return fgets(line, sizeof line, stdin) != NULL && strcmp(line, "yes\n") == 0;
}

int status_worse(int a, int b)
{
	return a == 0 || (a == EX_TEMPFAIL && b != 0) ? b : a;
}

int command_path(struct buf *to, const char *path)
{
	struct str text = str_of(path);
	struct err err = ERR_INIT;

	while (str_starts(text, STR("/")))
		text = (struct str){ text.s + 1, text.n - 1 };
	while (str_ends(text, STR("/")))
		text.n--;
	if (path_check(text, &err) < 0)
		return command_fail(&err);
	buf_addstr(to, text);
	return 0;
}

/* calling */

/* The command's table as getopt wants it: a value is the place + 1, a letter takes at most two bytes. */
static void tables_of(const struct command *command, struct option *longs, char *letters)
{
	const struct command_option *o = command->options;

	*letters++ = ':';
	*letters++ = 'h';
	for (int i = 0; o[i].name != NULL; i++) {
		*longs++ = (struct option){ o[i].name, o[i].value ? required_argument : no_argument,
					    NULL, i + 1 };
		if (o[i].letter)
			*letters++ = o[i].letter;
		if (o[i].letter && o[i].value)
			*letters++ = ':';
	}
	if (command_asks(command))
		*longs++ = (struct option){ cacert.name, required_argument, NULL, FOUND_CACERT };
	*longs++ = (struct option){ "help", no_argument, NULL, 'h' };
	*longs = (struct option){ NULL, 0, NULL, 0 };
	*letters = '\0';
}

static int place_of(const struct command *command, int found)
{
	if (found <= COMMAND_OPTIONS)
		return found - 1;
	for (int i = 0; command->options[i].name != NULL; i++)
		if (command->options[i].letter == found)
			return i;
	abort();		/* getopt found what it was not given */
}

static int command_call(const struct command *command, int argc, char **argv)
{
	struct option longs[COMMAND_OPTIONS + 3];
	char letters[2 * COMMAND_OPTIONS + 3];
	struct arguments args = { .command = command };
	int found;

	if (command->passes_on) {
		args.count = argc - 1;
		args.operands = argv + 1;
		return command->run(&args);
	}
	tables_of(command, longs, letters);
	opterr = 0;
	while ((found = getopt_long(argc, argv, letters, longs, NULL)) != -1) {
		if (found == '?' || found == ':')
			return command_misused(command, "%s: %s", argv[optind - 1],
					       found == ':' ? "a value is missing"
							    : "no such option");
		if (found == 'h') {
			print_help(command);
			return 0;
		}
		if (found == FOUND_CACERT)
			setenv(CLIENT_CACERT, optarg, 1);
		else
			args.values[place_of(command, found)] = optarg ? optarg : "";
	}
	args.count = argc - optind;
	args.operands = argv + optind;
	if (args.count < command->least)
		return command_misused(command, "an operand is missing");
	if (command->most >= 0 && args.count > command->most)
		return command_misused(command, "%s: one operand too many",
				       args.operands[command->most]);
	return command->run(&args);
}

int main(int argc, char **argv)
{
	const struct command *command;
	int status;

	if (argc < 2) {
		print_commands(stderr);
		return EX_USAGE;
	}
	if (strcmp(argv[1], "--version") == 0) {
		printf("covey %s\n", COVEY_VERSION);
		return 0;
	}
	command = command_named(argv[1]);
	if (strcmp(argv[1], "help") == 0 || is_help(argv[1])) {
		status = help(argc, argv);
	} else if (command == NULL) {
		fprintf(stderr, "covey: no command \"%s\"; see covey help\n", argv[1]);
		status = EX_USAGE;
	} else {
		status = command_call(command, argc - 1, argv + 1);
	}
	if (fflush(stdout) != 0 && status == 0) {
		fprintf(stderr, "covey: write to standard output failed\n");
		return EX_IOERR;
	}
	return status;
}
