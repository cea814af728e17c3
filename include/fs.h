/*
 * fs - file system calls that stay where they are told to
 *
 * Names are relative to an open directory.  Like the system calls they
 * stand for, these return -1 and leave the reason in errno, because what a
 * reason means (absent, a symbolic link, another mount) is the caller's
 * business.  Descriptors are close-on-exec.
 */
#ifndef COVEY_FS_H
#define COVEY_FS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define FS_FILE_MODE 0640
#define FS_DIR_MODE 0750

/*
 * openat2() below dir: ELOOP for any symbolic link on the way (also the
 * last name, unless flags have O_PATH and O_NOFOLLOW), EXDEV for whatever
 * leaves dir or its file system.
 */
int fs_open(int dir, const char *name, int flags, mode_t mode);

/* A file without a name, on the directory's file system, open for reading and writing. */
int fs_tmpfile(int dir);

/* Give the open file a name; EEXIST when something stands there. */
int fs_link_fd(int fd, int dir, const char *name);

/* The text of a symbolic link with its NUL; name "" is dir itself; ENAMETOOLONG over cap. */
int fs_read_link(int dir, const char *name, char *to, size_t cap);

/* All n bytes at the offset, or -1. */
int fs_write(int fd, const void *, size_t n, uint64_t offset);

/* Bytes an unprivileged writer may still use. */
int fs_free_bytes(int fd, uint64_t *ret);

#endif
