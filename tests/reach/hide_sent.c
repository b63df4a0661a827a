/* SPDX-License-Identifier: MIT */
/*
 * hide_sent.c - on its way from one thread to another.
 */
#include <fcntl.h>
#include <mqueue.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <unistd.h>
#include "hide.h"

static void *new_box(void)
{
	void **box = calloc(4, sizeof(*box));

	box[2] = new_chan();
	return box;
}

static void send_all(int type)
{
	int fds[2];

	if (socketpair(AF_UNIX, type, 0, fds))
		exit(77);
	for (int i = 0; i < NCHANS; i++) {
		void *pointer = new_box();

		if (send(fds[1], &pointer, sizeof(pointer), 0) != sizeof(pointer))
			exit(77);
	}
}

static void in_socket(void)
{
	send_all(SOCK_STREAM);
}

/* So many descriptors that nobody can look at them all while the program stands. */
static void in_socket_of_many(void)
{
	for (int i = 0; i < 510; i++) {
		int fds[2];

		if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds))
			exit(77);
	}
	in_socket();
}

/* Only the first one of them could be seen. */
static void in_datagrams(void)
{
	send_all(SOCK_DGRAM);
}

/* It goes through a socket again and again, and is nowhere else meanwhile. */
static void passes(void *arg)
{
	const int *fds = arg;
	void *pointer;

	for (;;) {
		if (recv(fds[0], &pointer, sizeof(pointer), 0) != sizeof(pointer))
			_exit(1);
		__asm__ volatile("" ::: "memory");
		if (send(fds[1], &pointer, sizeof(pointer), 0) != sizeof(pointer))
			_exit(1);
		pointer = NULL;
		__asm__ volatile("" : "+m"(pointer));
	}
}

static void in_passing_socket(void)
{
	static int fds[2];
	void *box = new_box();

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) ||
	    send(fds[1], &box, sizeof(box), 0) != sizeof(box))
		exit(77);
	go(passes, fds);
}

/* Nobody has taken it: every thread blocks it. */
static void in_signal(void)
{
	for (int i = 0; i < NCHANS; i++) {
		union sigval value = { .sival_ptr = new_box() };

		if (sigqueue(getpid(), HIDE_SIGNAL, value))
			exit(77);
	}
}

/* The same, of this thread alone. */
static void in_signal_to_thread(void)
{
	for (int i = 0; i < NCHANS; i++) {
		union sigval value = { .sival_ptr = new_box() };

		if (pthread_sigqueue(pthread_self(), HIDE_SIGNAL, value))
			exit(77);
	}
}

/* More than anybody may copy of one without taking it out. */
static void in_full_pipe(void)
{
	static char nothing[PAGE];
	void *pointer = new_box();
	int fds[2], size;

	if (pipe(fds) || fcntl(fds[1], F_SETPIPE_SZ, 4 << 20) < 0)
		exit(77);
	size = fcntl(fds[1], F_GETPIPE_SZ);
	for (int i = 0; i < size / PAGE - 1; i++)
		if (write(fds[1], nothing, PAGE) != PAGE)
			exit(77);
	if (write(fds[1], &pointer, sizeof(pointer)) != sizeof(pointer))
		exit(77);
}

static mqd_t open_queue(void)
{
	struct mq_attr attr = { .mq_maxmsg = 4, .mq_msgsize = sizeof(void *) };
	char name[32];
	mqd_t q;

	snprintf(name, sizeof(name), "/goro-hide-%d", (int)getpid());
	q = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &attr);
	if (q == (mqd_t)-1)
		exit(77);
	mq_unlink(name);
	return q;
}

static void in_message_queue(void)
{
	void *pointer = new_box();

	if (mq_send(open_queue(), (const char *)&pointer, sizeof(pointer), 0))
		exit(77);
}

/* It comes back with the first message. */
static void with_message_queue(void)
{
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = HIDE_SIGNAL };

	event.sigev_value.sival_ptr = new_box();
	if (mq_notify(open_queue(), &event))
		exit(77);
}

/* What System V left us outlives us, if nobody removes it. */
static void remove_when_gone(char kind, int id)
{
	char command[160];

	snprintf(
		command, sizeof(command),
		"(while kill -0 %d; do sleep 0.1; done; ipcrm -%c %d) </dev/null >/dev/null 2>&1 &",
		(int)getpid(), kind, id);
	if (system(command))
		exit(1);
}

static void in_system_v_queue(void)
{
	struct {
		long type;
		void *pointer;
	} message = { 1, new_box() };
	int queue = msgget(IPC_PRIVATE, 0600);

	if (queue < 0)
		exit(77);
	remove_when_gone('q', queue);
	if (msgsnd(queue, &message, sizeof(message.pointer), 0))
		exit(77);
}

/* For who attaches it next. */
static void in_detached_memory(void)
{
	int id = shmget(IPC_PRIVATE, PAGE, 0600);
	void **memory;

	if (id < 0)
		exit(77);
	remove_when_gone('m', id);
	memory = shmat(id, NULL, 0);
	memory[10] = new_box();
	if (shmdt(memory))
		exit(1);
}

/* A pipe that has it, and that is in a socket itself. */
static void in_pipe_that_is_sent(void)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(2 * sizeof(int))];
	} control = { 0 };
	char byte = 0;
	struct iovec bytes = { &byte, 1 };
	struct msghdr message = { .msg_iov = &bytes,
				  .msg_iovlen = 1,
				  .msg_control = &control,
				  .msg_controllen = sizeof(control) };
	void *pointer = new_box();
	int fds[2], pipes[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) || pipe(pipes) ||
	    write(pipes[1], &pointer, sizeof(pointer)) != sizeof(pointer))
		exit(77);
	control.head.cmsg_level = SOL_SOCKET;
	control.head.cmsg_type = SCM_RIGHTS;
	control.head.cmsg_len = CMSG_LEN(sizeof(pipes));
	memcpy(CMSG_DATA(&control.head), pipes, sizeof(pipes));
	if (sendmsg(fds[1], &message, 0) != 1)
		exit(77);
	close(pipes[0]);
	close(pipes[1]);
}

/* In a pipe of a thread that shares its descriptors with nobody. */
static void *has_own_descriptors(void *pointer)
{
	int fds[2];

	if (unshare(CLONE_FILES) || pipe(fds) ||
	    write(fds[1], pointer, sizeof(void *)) != sizeof(void *))
		exit(77);
	*(void **)pointer = NULL;
	forget();
	for (;;)
		pause();
}

static void in_own_descriptors(void)
{
	static void *volatile pointer;
	pthread_t t;

	pointer = new_box();
	if (pthread_create(&t, NULL, has_own_descriptors, (void *)&pointer))
		exit(77);
	while (pointer)
		goro_sleep(GORO_MILLISECOND);
}

const struct place places_sent[] = {
	{ "socket", in_socket },
	{ "socket_of_many", in_socket_of_many },
	{ "datagrams", in_datagrams },
	{ "passing_socket", in_passing_socket },
	{ "signal", in_signal },
	{ "signal_to_thread", in_signal_to_thread },
	{ "full_pipe", in_full_pipe },
	{ "message_queue", in_message_queue },
	{ "mq_notify", with_message_queue },
	{ "system_v_queue", in_system_v_queue },
	{ "detached_memory", in_detached_memory },
	{ "pipe_that_is_sent", in_pipe_that_is_sent },
	{ "own_descriptors", in_own_descriptors },
	{ NULL, NULL },
};
