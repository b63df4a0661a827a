/* SPDX-License-Identifier: MIT */
/*
 * hide_kernel.c - with the kernel, which gives it back with an event.
 */
#include <linux/aio_abi.h>
#include <linux/io_uring.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "hide.h"

/* An object that has the channel. */
static void *new_box(void)
{
	void **box = calloc(4, sizeof(*box));

	box[2] = new_chan();
	return box;
}

static void in_epoll(void)
{
	int epoll = epoll_create1(0);

	for (int i = 0; i < NCHANS; i++) {
		struct epoll_event event = { .events = EPOLLIN, .data.ptr = new_box() };

		if (epoll_ctl(epoll, EPOLL_CTL_ADD, eventfd(0, 0), &event))
			exit(77);
	}
}

/* So many descriptors that nobody can look at them all while the program stands. */
static void in_epoll_of_many(void)
{
	for (int i = 0; i < 1010; i++)
		if (eventfd(0, 0) < 0)
			exit(77);
	in_epoll();
}

static void in_value_of_timer(void)
{
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMAX };
	timer_t timer;

	event.sigev_value.sival_ptr = new_box();
	if (timer_create(CLOCK_MONOTONIC, &event, &timer))
		exit(77);
}

/* After a byte that says what it is. */
static void in_pipe(void)
{
	struct {
		char what;
		void *pointer;
	} __attribute__((packed)) message;
	int fds[2];

	if (pipe(fds))
		exit(77);
	for (int i = 0; i < NCHANS; i++) {
		message.what = 'p';
		message.pointer = new_box();
		if (write(fds[1], &message, sizeof(message)) != sizeof(message))
			exit(77);
	}
}

/* A pipe that has a name, as long as it is opened. */
static void in_named_pipe(void)
{
	char name[64];
	void *pointer = new_box();
	int fd;

	snprintf(name, sizeof(name), "fifo.%d", (int)getpid());
	if (mkfifo(name, 0600) || (fd = open(name, O_RDWR)) < 0 || unlink(name) ||
	    write(fd, &pointer, sizeof(pointer)) != sizeof(pointer))
		exit(77);
}

/* It counts to any number. */
static void in_event_counter(void)
{
	uint64_t pointer = (uintptr_t)new_box();
	int fd = eventfd(0, 0);

	if (fd < 0 || write(fd, &pointer, sizeof(pointer)) != sizeof(pointer))
		exit(77);
}

/* It goes through a pipe again and again, and is nowhere else meanwhile. */
static void passes(void *arg)
{
	int *fds = arg;
	void *pointer;

	for (;;) {
		if (read(fds[0], &pointer, sizeof(pointer)) != sizeof(pointer))
			_exit(1);
		__asm__ volatile("" ::: "memory");
		if (write(fds[1], &pointer, sizeof(pointer)) != sizeof(pointer))
			_exit(1);
		pointer = NULL;
		__asm__ volatile("" : "+m"(pointer));
	}
}

static void in_passing_pipe(void)
{
	static int fds[2];
	void *box = new_box();

	if (pipe(fds) || write(fds[1], &box, sizeof(box)) != sizeof(box))
		exit(77);
	go(passes, fds);
}

/* Out of an epoll instance into memory, and back. */
struct hand_over {
	int epoll, fd;
	void *volatile pointer;
};

static void hands_over(void *arg)
{
	struct hand_over *h = arg;
	struct epoll_event event;

	for (;;) {
		event = (struct epoll_event){ .events = EPOLLIN, .data.ptr = h->pointer };
		epoll_ctl(h->epoll, EPOLL_CTL_MOD, h->fd, &event);
		event.data.ptr = NULL;
		h->pointer = NULL;
		__asm__ volatile("" : "+m"(event));
		epoll_wait(h->epoll, &event, 1, 0);
		h->pointer = event.data.ptr;
		event.data.ptr = NULL;
		__asm__ volatile("" : "+m"(event));
		event.events = EPOLLIN;
		epoll_ctl(h->epoll, EPOLL_CTL_MOD, h->fd, &event);
	}
}

static void in_handed_over(void)
{
	static struct hand_over h;
	struct epoll_event event = { .events = EPOLLIN };

	h.epoll = epoll_create1(0);
	h.fd = eventfd(1, 0);
	if (epoll_ctl(h.epoll, EPOLL_CTL_ADD, h.fd, &event))
		exit(77);
	h.pointer = new_box();
	go(hands_over, &h);
}

/* What is asked of these, they show to nobody. */
static void in_io_uring(void)
{
	struct io_uring_params params = { 0 };

	if (syscall(SYS_io_uring_setup, 4, &params) < 0)
		exit(77);
	global = new_box();
}

static void in_aio(void)
{
	static aio_context_t context;

	if (syscall(SYS_io_setup, 4, &context))
		exit(77);
	global = new_box();
}

static void in_secret(void)
{
#ifdef SYS_memfd_secret
	int fd = (int)syscall(SYS_memfd_secret, 0);
	void **p;

	if (fd < 0 || ftruncate(fd, PAGE))
		exit(77);
	p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (p == MAP_FAILED)
		exit(77);
	p[10] = new_box();
#else
	exit(77);
#endif
}

const struct place places_in_kernel[] = {
	{ "epoll", in_epoll },
	{ "epoll_of_many", in_epoll_of_many },
	{ "value_of_timer", in_value_of_timer },
	{ "pipe", in_pipe },
	{ "named_pipe", in_named_pipe },
	{ "event_counter", in_event_counter },
	{ "passing_pipe", in_passing_pipe },
	{ "handed_over", in_handed_over },
	{ "io_uring", in_io_uring },
	{ "aio", in_aio },
	{ "secret", in_secret },
	{ NULL, NULL },
};
