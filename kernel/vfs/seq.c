/* SPDX-License-Identifier: MIT */
/*
 * Text made on the fly (seq.h). A printing function that finds no room sets count to size,
 * which is never reached by text that fits; the caller doubles the buffer and prints again.
 */
#include "internal.h"

#include <kernel/mm/kmap.h>
#include <kernel/mm/page.h>
#include <kernel/vfs/seq.h>
#include <lib/printf.h>

#define SEQ_MAX_BYTES (64 * MIB)

void seq_write(struct seq *s, const void *data, size_t n)
{
	if (s->count + n < s->size) {
		memcpy(s->buf + s->count, data, n);
		s->count += n;
	} else {
		s->count = s->size;
	}
}

void seq_puts(struct seq *s, const char *text)
{
	seq_write(s, text, strlen(text));
}

void seq_putc(struct seq *s, char c)
{
	seq_write(s, &c, 1);
}

void seq_vprintf(struct seq *s, const char *fmt, va_list ap)
{
	int n;

	if (s->count >= s->size)
		return;
	n = vsnprintf(s->buf + s->count, s->size - s->count, fmt, ap);
	if (n < 0 || s->count + (size_t)n >= s->size)
		s->count = s->size;
	else
		s->count += (size_t)n;
}

void seq_printf(struct seq *s, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	seq_vprintf(s, fmt, ap);
	va_end(ap);
}

void seq_escape(struct seq *s, const char *text, const char *esc)
{
	for (; *text; text++) {
		if (strchr(esc, *text))
			seq_printf(s, "\\%03o", (u8)*text);
		else
			seq_putc(s, *text);
	}
}

static void path_text(struct seq *s, const struct path *path, const struct path *root, const char *esc)
{
	char *buf = kmalloc(PAGE_SIZE, 0), *text;

	if (!buf)
		return;
	text = path_name(path, root, buf, PAGE_SIZE);
	if (!IS_ERR(text))
		seq_escape(s, text, esc);
	kfree(buf);
}

void seq_path(struct seq *s, const struct path *path, const struct path *root, const char *esc)
{
	path_text(s, path, root, esc);
}

void seq_dentry_path(struct seq *s, struct dentry *dentry, const char *esc)
{
	/* A place without a mount ends at the top of its file system. */
	struct path path = { NULL, dentry }, nowhere = { NULL, dentry->sb->root };

	if (dentry->flags & DENTRY_NAMELESS) {
		seq_putc(s, '/');
		return;
	}
	path_text(s, &path, &nowhere, esc);
}

/* ---- files ---- */

struct seq_file {
	struct mutex lock;
	struct seq text;		/* [lock] */
	bool made;			/* [lock] */
	int (*show)(struct seq *s, void *arg); /* [I] */
};

int seq_file_open(struct file *file, int (*show)(struct seq *s, void *arg), void *arg)
{
	struct seq_file *sf = kzalloc(sizeof(*sf), 0);

	if (!sf)
		return -ENOMEM;
	mutex_init(&sf->lock, "seq file", LOCK_RANK_SEQ_FILE);
	sf->show = show;
	sf->text.arg = arg;
	sf->text.file = file;
	file->private = sf;
	return 0;
}

void *seq_file_arg(struct file *file)
{
	return ((struct seq_file *)file->private)->text.arg;
}

static int resize(struct seq *s, size_t size)
{
	char *buf;

	if (size > SEQ_MAX_BYTES)
		return -ENOMEM;
	buf = kvmalloc(size, 0);
	if (!buf)
		return -ENOMEM;
	kvfree(s->buf);
	s->buf = buf;
	s->size = size;
	return 0;
}

static int make_text(struct seq_file *sf)
{
	struct seq *s = &sf->text;
	int err;

	if (!s->buf) {
		err = resize(s, 1024);
		if (err)
			return err;
	}
	for (;;) {
		s->count = 0;
		err = sf->show(s, s->arg);
		if (err || !seq_overflowed(s))
			break;
		err = resize(s, s->size * 4);
		if (err)
			break;
	}
	sf->made = !err;
	return err;
}

ssize_t seq_file_read(struct kiocb *iocb, struct iter *to)
{
	struct seq_file *sf = iocb->file->private;
	ssize_t n = 0;

	mutex_lock(&sf->lock);
	if (!sf->made || iocb->pos == 0)
		n = make_text(sf);
	if (!n && (u64)iocb->pos < sf->text.count) {
		size_t want = MIN(iter_count(to), sf->text.count - (size_t)iocb->pos);

		n = (ssize_t)iter_copy_to(to, sf->text.buf + iocb->pos, want);
		if (!n && want)
			n = -EFAULT;
		else
			iocb->pos += n;
	}
	mutex_unlock(&sf->lock);
	return n;
}

s64 seq_file_llseek(struct file *file, s64 offset, int whence)
{
	s64 pos = offset;

	/* SEEK_END has no meaning: the end is not known. */
	if (whence == SEEK_CUR)
		pos += file->pos;
	else if (whence != SEEK_SET)
		return -EINVAL;
	if (pos < 0)
		return -EINVAL;
	return file->pos = pos;
}

void seq_file_release(struct file *file)
{
	struct seq_file *sf = file->private;

	kvfree(sf->text.buf);
	kfree(sf);
}
