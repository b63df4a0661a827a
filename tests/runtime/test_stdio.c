/* SPDX-License-Identifier: MIT */
/*
 * The C library in goroutines: stdio, files, terminals and names, called as any program calls them,
 * or handed to goro_blocking(). What a call waits for is done by other goroutines, which with one
 * worker could not go on if it held them up.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <resolv.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "check.h"

static atomic_int ticks;
static goro_waitgroup wg;

static void tick(int n)
{
	for (int at = ticks; ticks < at + n;) {
		goro_sleep(100 * GORO_MICROSECOND);
		ticks++;
	}
}

/* In a directory of our own, which goes with its only file. */
static char dir[64];

static char *scratch_begin(const char *name)
{
	static char path[128];

	strcpy(dir, "/tmp/goro-test-XXXXXX");
	check(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static void scratch_end(const char *path)
{
	check(!unlink(path));
	check(!rmdir(dir));
}

/* ---- stdio ------------------------------------------------------------------------------------
 */

enum { WRITERS = 40, LINES = 200 };

struct writer {
	FILE *file;
	int number;
};

static void write_lines(void *arg)
{
	struct writer w = *(struct writer *)arg;

	for (int i = 0; i < LINES; i++) {
		check(fprintf(w.file, "%d %d %.3f %s\n", w.number, i, w.number + i / 1000.0,
			      "the same to everybody") > 0);
		if (i % 7 == 0)
			goro_yield();
	}
	goro_waitgroup_done(&wg);
}

/* One stream, all its lines whole, and of each writer all in order. */
static void one_stream(void)
{
	FILE *file = tmpfile();
	int next[WRITERS] = { 0 }, n = 0;
	char line[256];

	check(file);
	goro_waitgroup_add(&wg, WRITERS);
	for (int i = 0; i < WRITERS; i++) {
		struct writer w = { file, i };

		go_copy(write_lines, &w);
	}
	goro_waitgroup_wait(&wg);
	rewind(file);
	while (fgets(line, sizeof(line), file)) {
		char wanted[256];
		int number, i;

		check(sscanf(line, "%d %d", &number, &i) == 2);
		check(number >= 0 && number < WRITERS);
		check_eq(i, next[number]);
		next[number]++;
		snprintf(wanted, sizeof(wanted), "%d %d %.3f %s\n", number, i, number + i / 1000.0,
			 "the same to everybody");
		check(!strcmp(line, wanted));
		n++;
	}
	check_eq(n, WRITERS * LINES);
	fclose(file);
}

/* What needs more of a stack than most: it fits on a goroutine's. */
static void wide_formats(void *unused)
{
	static char big[70000];
	long double third = 1.0L / 3;
	char *text = NULL;
	int n;

	(void)unused;
	check_eq(snprintf(big, sizeof(big), "%060000d", 7), 60000);
	check_eq(snprintf(big, sizeof(big), "%.5000Lf", third), 5002);
	n = asprintf(&text, "%1$s %2$*3$d %4$.2000f", "a", 5, 3000, 1e300);
	check(n > 5000 && (int)strlen(text) == n);
	free(text);
	goro_waitgroup_done(&wg);
}

static void formats_on_small_stacks(void)
{
	goro_waitgroup_add(&wg, 1);
	go(wide_formats, NULL);
	goro_waitgroup_wait(&wg);
}

static void read_commands(void *arg)
{
	char command[64], line[64] = "";
	FILE *out;

	snprintf(command, sizeof(command), "echo %d", *(int *)arg);
	out = popen(command, "r");
	check(out && fgets(line, sizeof(line), out));
	check_eq(atoi(line), *(int *)arg);
	check_eq(pclose(out), 0);
	check_eq(WEXITSTATUS(system("exit 3")), 3);
	goro_waitgroup_done(&wg);
}

static void commands(void)
{
	goro_waitgroup_add(&wg, 8);
	for (int i = 0; i < 8; i++)
		go_copy(read_commands, &i);
	goro_waitgroup_wait(&wg);
}

/* ---- what blocks until another goroutine comes ------------------------------------------------
 */

static void write_to_fifo(void *path)
{
	FILE *file;

	tick(20);
	file = fopen(path, "w"); /* the reader is there */
	check(file);
	for (int i = 0; i < 3; i++) {
		check(fprintf(file, "line %d\n", i) > 0);
		check(!fflush(file));
		tick(5);
	}
	fclose(file);
	goro_waitgroup_done(&wg);
}

/* fopen() sits there until there is a writer, and getline() until it writes. */
static void fifo(void)
{
	char *path = scratch_begin("fifo"), *line = NULL, wanted[16];
	size_t size = 0;
	FILE *file;

	check(!mkfifo(path, 0600));
	goro_waitgroup_add(&wg, 1);
	go(write_to_fifo, path);
	file = fopen(path, "r");
	check(file);
	for (int i = 0; i < 3; i++) {
		check(getline(&line, &size, file) > 0);
		snprintf(wanted, sizeof(wanted), "line %d\n", i);
		check(!strcmp(line, wanted));
	}
	check(getline(&line, &size, file) < 0 && feof(file));
	fclose(file);
	goro_waitgroup_wait(&wg);
	scratch_end(path);
	free(line);
}

static void write_aside(void *path)
{
	int fd;

	tick(20);
	fd = goro_open(path, O_WRONLY, 0);
	check(fd >= 0);
	tick(20);
	check_eq(goro_write(fd, "here", 4), 4);
	check_eq(goro_close(fd), 0);
	goro_waitgroup_done(&wg);
}

/* The same by goro_open() and goro_read(), which take such things aside by themselves. */
static void fifo_by_descriptor(void)
{
	char *path = scratch_begin("fifo"), buf[8];
	int fd;

	check(!mkfifo(path, 0600));
	goro_waitgroup_add(&wg, 1);
	go(write_aside, path);
	fd = goro_open(path, O_RDONLY, 0);
	check(fd >= 0);
	check_eq(goro_read(fd, buf, sizeof(buf)), 4);
	check(!memcmp(buf, "here", 4));
	check_eq(goro_read(fd, buf, sizeof(buf)), 0);
	check_eq(goro_close(fd), 0);
	goro_waitgroup_wait(&wg);
	scratch_end(path);
}

static void type(void *arg)
{
	int master = *(int *)arg;

	for (int i = 0; i < 3; i++) {
		tick(20);
		check_eq(write(master, "typed\n", 6), 6);
	}
	goro_waitgroup_done(&wg);
}

/* A terminal in its usual state gives lines. */
static void terminal(void)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY), fd;
	char buf[64];

	if (master < 0 || grantpt(master) || unlockpt(master)) {
		printf("no terminals here: %s\n", strerror(errno));
		return;
	}
	fd = goro_open(ptsname(master), O_RDWR | O_NOCTTY, 0);
	check(fd >= 0);
	goro_waitgroup_add(&wg, 1);
	go_copy(type, &master);
	for (int i = 0; i < 3; i++) {
		check_eq(goro_read(fd, buf, sizeof(buf)), 6);
		check(!memcmp(buf, "typed\n", 6));
	}
	check_eq(goro_set_deadline(fd, goro_now(), 0), -ENOTSUP);
	goro_waitgroup_wait(&wg);
	check_eq(goro_close(fd), 0);
	close(master);
}

enum { PARTS = 32, PART = 4096 };

struct part {
	int fd, number;
};

static void write_part(void *arg)
{
	struct part p = *(struct part *)arg;
	char buf[PART], back[PART];

	memset(buf, 'a' + p.number % 26, sizeof(buf));
	for (int i = 0; i < 10; i++) {
		int64_t offset = (int64_t)p.number * PART;

		check_eq(goro_pwrite(p.fd, buf, PART, offset), PART);
		check_eq(goro_pread(p.fd, back, PART, offset), PART);
		check(!memcmp(buf, back, PART));
	}
	goro_waitgroup_done(&wg);
}

static void one_file(void)
{
	char *path = scratch_begin("file");
	int fd = goro_open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
	struct stat st;

	check(fd >= 0);
	goro_waitgroup_add(&wg, PARTS);
	for (int i = 0; i < PARTS; i++) {
		struct part p = { fd, i };

		go_copy(write_part, &p);
	}
	goro_waitgroup_wait(&wg);
	check(!fstat(fd, &st));
	check_eq(st.st_size, PARTS * PART);
	check_eq(goro_close(fd), 0);
	scratch_end(path);
}

/* ---- names ------------------------------------------------------------------------------------
 */

static void look_up_localhost(void *unused)
{
	struct addrinfo *list = NULL;
	int err = getaddrinfo("localhost", "80", NULL, &list);

	(void)unused;
	check(!err && list);
	freeaddrinfo(list);
	goro_waitgroup_done(&wg);
}

static void names_of_many(void)
{
	goro_waitgroup_add(&wg, 50);
	for (int i = 0; i < 50; i++)
		go(look_up_localhost, NULL);
	goro_waitgroup_wait(&wg);
}

struct lookup {
	bool aside;	 /* by goro_blocking() */
	int server_port; /* of our name server */
	int patience;	 /* seconds that it is given */
	int err;
	uint32_t addr;
};

/* This thread asks our name server and no other; it forgets when the thread is another. */
static void look_up(void *arg)
{
	struct addrinfo hints = { .ai_family = AF_INET, .ai_socktype = SOCK_STREAM }, *list = NULL;
	struct lookup *l = arg;

	check(!res_init());
	_res.nscount = 1;
	_res.nsaddr_list[0] = (struct sockaddr_in){ .sin_family = AF_INET,
						    .sin_port = htons((uint16_t)l->server_port),
						    .sin_addr = { htonl(INADDR_LOOPBACK) } };
	_res.retrans = l->patience;
	_res.retry = 1;
	_res.options |= RES_DEFNAMES;
	_res.ndots = 1;
	l->err = getaddrinfo("goro-test.example.", NULL, &hints, &list);
	if (!l->err)
		l->addr = ntohl(((struct sockaddr_in *)list->ai_addr)->sin_addr.s_addr);
	if (list)
		freeaddrinfo(list);
}

static void ask(void *arg)
{
	struct lookup *l = arg;

	if (l->aside)
		goro_blocking(look_up, l);
	else
		look_up(l);
	goro_waitgroup_done(&wg);
}

static int name_server(int *port)
{
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t len = sizeof(addr);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	check(fd >= 0 && !bind(fd, (void *)&addr, len));
	check(!getsockname(fd, (void *)&addr, &len));
	*port = ntohs(addr.sin_port);
	return fd;
}

/* To a question for an address: 192.0.2.7 (RFC 1035, section 4). */
static size_t answer(unsigned char *message, size_t n)
{
	static const unsigned char record[] = { 0xc0, 12, 0, 1, 0,   1, 0, 0,
						0,    60, 0, 4, 192, 0, 2, 7 };

	check(n > 12 && n + sizeof(record) <= 512);
	message[2] |= 0x80; /* an answer */
	message[3] = 0x80;
	message[6] = 0, message[7] = 1; /* one */
	message[10] = message[11] = 0;	/* and nothing else */
	n = 12;
	while (message[n])
		n += message[n] + 1u;
	n += 5;
	memcpy(message + n, record, sizeof(record));
	return n + sizeof(record);
}

static bool asks_name_servers(void)
{
	char line[256];
	FILE *file = fopen("/etc/nsswitch.conf", "r");
	bool dns = !file; /* what it does without */

	while (file && fgets(line, sizeof(line), file))
		dns |= !strncmp(line, "hosts:", 6) && strstr(line, "dns");
	if (file)
		fclose(file);
	if (!dns)
		printf("nsswitch.conf asks no name server\n");
	return dns;
}

/* The answer comes when others have ticked. */
static void slow_name_server(void)
{
	if (!asks_name_servers())
		return;
	for (int aside = 0; aside < 2; aside++) {
		struct lookup l = { .aside = aside, .patience = 30 };
		int fd = name_server(&l.server_port);
		unsigned char message[1024];
		struct sockaddr_in from;
		socklen_t len = sizeof(from);
		ssize_t n;

		goro_waitgroup_add(&wg, 1);
		go(ask, &l);
		n = recvfrom(fd, message, sizeof(message), 0, (void *)&from, &len);
		check(n > 0);
		tick(50);
		n = (ssize_t)answer(message, (size_t)n);
		check_eq(sendto(fd, message, (size_t)n, 0, (void *)&from, len), n);
		goro_waitgroup_wait(&wg);
		check_eq(l.err, 0);
		check_eq(l.addr, 0xc0000207);
		close(fd);
	}
}

/* None comes, ever. */
static void silent_name_server(void)
{
	if (!asks_name_servers())
		return;
	for (int aside = 0; aside < 2; aside++) {
		struct lookup l = { .aside = aside, .patience = 1 };
		char question[512];
		int fd = name_server(&l.server_port);

		goro_waitgroup_add(&wg, 1);
		go(ask, &l);
		check(recv(fd, question, sizeof(question), 0) > 0);
		tick(50);
		goro_waitgroup_wait(&wg);
		check_eq(l.err, EAI_AGAIN);
		close(fd);
	}
}

int main(int argc, char **argv)
{
	static const struct check_case cases[] = {
		{ .name = "one_stream", .run = one_stream },
		{ .name = "formats_on_small_stacks", .run = formats_on_small_stacks },
		{ .name = "commands", .run = commands },
		{ .name = "fifo", .run = fifo },
		{ .name = "fifo_by_descriptor", .run = fifo_by_descriptor },
		{ .name = "terminal", .run = terminal },
		{ .name = "one_file", .run = one_file },
		{ .name = "names_of_many", .run = names_of_many },
		{ .name = "slow_name_server", .run = slow_name_server },
		{ .name = "silent_name_server", .run = silent_name_server },
	};

	return check_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
