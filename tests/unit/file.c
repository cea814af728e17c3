/* file: a replaced file is on disk, with its owner, group and mode, before it has its name */
#include "file.h"

#include "unit.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct stat at_rename;
static int given_away;
static ino_t last_synced, synced_at_rename;
static off_t bytes_synced;

int fsync(int fd)
{
	struct stat st;

	CHECK(fstat(fd, &st) == 0);
	last_synced = st.st_ino;
	bytes_synced = st.st_size;
	return (int)syscall(SYS_fsync, fd);
}

/* In place of libc's: what the file is at the moment at which it gets its name. */
int rename(const char *old, const char *name)
{
	CHECK(stat(old, &at_rename) == 0);
	synced_at_rename = last_synced == at_rename.st_ino && bytes_synced == at_rename.st_size
				   ? last_synced : 0;
	return (int)syscall(SYS_renameat2, AT_FDCWD, old, AT_FDCWD, name, 0);
}

int fchown(int fd, uid_t owner, gid_t group)
{
	given_away++;
	return (int)syscall(SYS_fchown, fd, owner, group);
}

/* First the file, then its new name in the directory. */
static void check_synced(const char *dir, const char *file)
{
	struct stat st;

	CHECK(file_replace(file, STR("kept through a power cut\n"), 0644, NULL) == 0);
	CHECK(synced_at_rename == at_rename.st_ino);
	CHECK(stat(dir, &st) == 0 && last_synced == st.st_ino);
}

static void check_replaced(const char *file, const struct file_access *access, uid_t owner,
			   gid_t group)
{
	struct stat now;

	CHECK(file_replace_as(file, STR("text\n"), access, NULL) == 0);
	CHECK(stat(file, &now) == 0);
	CHECK(at_rename.st_ino == now.st_ino);
	CHECK((at_rename.st_mode & 07777) == access->mode && now.st_mode == at_rename.st_mode);
	CHECK(at_rename.st_uid == owner && now.st_uid == owner);
	CHECK(at_rename.st_gid == group && now.st_gid == group);
}

/* What is opened is changed, and not what has its name by then. */
static void opened(const char *file, const char *other)
{
	const struct file_access closed = { FILE_OWN_USER, FILE_OWN_GROUP, 0600 };
	struct buf text = BUF_INIT;
	struct stat st;
	int fd;

	CHECK(file_replace(file, STR("one\n"), 0644, NULL) == 0);
	CHECK(file_replace(other, STR("other\n"), 0644, NULL) == 0);
	fd = open(file, O_RDONLY | O_CLOEXEC);
	CHECK(fd >= 0 && rename(other, file) == 0);
	CHECK(file_read_opened(fd, file, 10, &text, NULL) == 0);
	CHECK(str_eq(buf_str(&text), STR("one\n")));
	CHECK(file_set_access(fd, &closed, file, NULL) == 0);
	CHECK(fstat(fd, &st) == 0 && (st.st_mode & 07777) == 0600);
	CHECK(stat(file, &st) == 0 && (st.st_mode & 07777) == 0644);
	close(fd);
	buf_clear(&text);
}

int main(void)
{
	const struct file_access own = { FILE_OWN_USER, FILE_OWN_GROUP, 0640 };
	const struct file_access given = { 0, 4720, 0640 };
	char dir[] = "/var/tmp/covey-unit-file.XXXXXX";
	char file[64], other[64];

	CHECK(mkdtemp(dir) != NULL);
	snprintf(file, sizeof file, "%s/file", dir);
	snprintf(other, sizeof other, "%s/other", dir);
	check_replaced(file, &own, geteuid(), getegid());
	CHECK(given_away == 0);		/* the services' filter of system calls forbids it */
	if (geteuid() == 0)
		check_replaced(file, &given, 0, 4720);
	check_synced(dir, file);
	opened(file, other);
	CHECK(unlink(file) == 0);
	CHECK(rmdir(dir) == 0);		/* no temporary file is left */
	return UNIT_RESULT();
}
