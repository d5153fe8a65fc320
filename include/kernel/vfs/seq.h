/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_VFS_SEQ_H
#define KERNEL_VFS_SEQ_H

/*
 * Text files made on the fly. A show function prints all of the text into a buffer
 * that grows until it holds everything (the function is then called again), so it must be free of side
 * effects. The text is made at the first read, kept while the file is open, and made afresh
 * when a read starts at offset 0 again: programs that lseek to 0 and read see new values, and a
 * reader in small pieces sees one consistent text.
 */
#include <kernel/vfs/file.h>
#include <stdarg.h>

struct seq {
	char *buf;
	size_t size;			/* of buf */
	size_t count;			/* bytes printed; == size: overflow, the text will be made again */
	void *arg;
	struct file *file;		/* NULL outside files */
};

void seq_printf(struct seq *s, const char *fmt, ...) __printf(2, 3);
void seq_vprintf(struct seq *s, const char *fmt, va_list ap) __printf(2, 0);
void seq_puts(struct seq *s, const char *text);
void seq_putc(struct seq *s, char c);
void seq_write(struct seq *s, const void *data, size_t n);
/* Every byte of `text` that is in `esc` as \ooo. */
void seq_escape(struct seq *s, const char *text, const char *esc);
/* A path seen from root (NULL: the caller's) with blanks, newlines and backslashes escaped (esc). */
/* Within its file system only. */
void seq_dentry_path(struct seq *s, struct dentry *dentry, const char *esc);
void seq_path(struct seq *s, const struct path *path, const struct path *root, const char *esc);

static inline bool seq_overflowed(const struct seq *s)
{
	return s->count >= s->size;
}

/* For file operations: arg is handed to show in seq->arg. */
int seq_file_open(struct file *file, int (*show)(struct seq *s, void *arg), void *arg);
/* The arg again; release by the caller if counted. */
void *seq_file_arg(struct file *file);
ssize_t seq_file_read(struct kiocb *iocb, struct iter *to);
s64 seq_file_llseek(struct file *file, s64 offset, int whence);
void seq_file_release(struct file *file);

#endif
