/* confine - a process that gives up what of the file system it does not need, by Landlock (landlock(7)) */
#include "confine.h"

#include "mem.h"

#include <fcntl.h>
#include <linux/landlock.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
#define SANITIZED true
#elif defined __has_feature
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define SANITIZED true
#endif
#endif
#ifndef SANITIZED
#define SANITIZED false
#endif

#define ABI_LINKS 2		/* from here on renames and links between directories can be allowed */
#define ABI_TRUNCATE 3

/* Of a newer kernel than the header may be. */
#define TRUNCATE (UINT64_C(1) << 14)

#define FILE_READS LANDLOCK_ACCESS_FS_READ_FILE
#define READS (FILE_READS | LANDLOCK_ACCESS_FS_READ_DIR)
#define FILE_WRITES (LANDLOCK_ACCESS_FS_WRITE_FILE | TRUNCATE)
#define WRITES (FILE_WRITES | LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE | \
		LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK | \
		LANDLOCK_ACCESS_FS_MAKE_SYM | LANDLOCK_ACCESS_FS_REFER)
/* What is made by nobody here. */
#define NOBODYS (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_FIFO | \
		 LANDLOCK_ACCESS_FS_MAKE_BLOCK)

struct confine {
	int rules;			/* owned */
	uint64_t handled;		/* of all rights those that this kernel knows */
};

struct confine *confine_new(struct err *why)
{
	struct landlock_ruleset_attr attr = { .handled_access_fs = READS | WRITES | NOBODYS };
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	struct confine *c;
	int rules;

	if (SANITIZED)
		return NULL;
	if (abi < ABI_LINKS) {
		err_set(why, ERR_UNSUPPORTED, "confine this process: the kernel has no Landlock, or too little of it");
		return NULL;
	}
	if (abi < ABI_TRUNCATE)
		attr.handled_access_fs &= ~TRUNCATE;
	rules = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof attr, 0);
	if (rules < 0) {
		err_sys(why, "confine this process");
		return NULL;
	}
	c = mem_new(1, sizeof *c);
	c->rules = rules;
	c->handled = attr.handled_access_fs;
	return c;
}

void confine_free(struct confine *c)
{
	if (c == NULL)
		return;
	close(c->rules);
	free(c);
}

static void allow(struct confine *c, const char *path, uint64_t file, uint64_t directory)
{
	struct landlock_path_beneath_attr rule;
	struct stat st;
	int fd;

	if (c == NULL)
		return;
	fd = open(path, O_PATH | O_CLOEXEC);
	if (fd < 0)
		return;
	if (fstat(fd, &st) == 0) {
		rule = (struct landlock_path_beneath_attr){
			.allowed_access = (S_ISDIR(st.st_mode) ? directory : file) & c->handled,
			.parent_fd = fd,
		};
		syscall(SYS_landlock_add_rule, c->rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
	}
	close(fd);
}

void confine_read(struct confine *c, const char *path)
{
	allow(c, path, FILE_READS, READS);
}

void confine_write(struct confine *c, const char *path)
{
	allow(c, path, FILE_READS | FILE_WRITES, READS | WRITES);
}

void confine_scratch(struct confine *c, const char *path)
{
	allow(c, path, 0, READS | FILE_WRITES);
}

/* The checker of leaks reads the memory of its own process as another one does. */
void confine_memory(void)
{
	if (!SANITIZED)
		prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

int confine_enter(struct confine *c, struct err *err)
{
	if (c == NULL)
		return 0;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    syscall(SYS_landlock_restrict_self, c->rules, 0) < 0)
		return err_sys(err, "confine this process");
	return 0;
}
