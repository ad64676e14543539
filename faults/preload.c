// Stands before the C library in the processes of a round: fails, delays, and keeps what a power cut would leave.
//
// DUCTAPE_FAULTS_CONTROL  a file that says what is to happen, `struct control`; the harness writes into it
// DUCTAPE_FAULTS_STORE    path of the store's file: only calls for it and for its log are touched
// DUCTAPE_FAULTS_SYNCED   a folder; each sync leaves there what the file holds, as NAME.TIME
// DUCTAPE_FAULTS_CLOCK    which clock of the control file this process goes by
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define CLOCKS 8

struct control {
  volatile int32_t read_error;  // errno of each read, 0: none
  volatile int32_t write_error;
  volatile int32_t sync_error;
  volatile int32_t sync_delay;  // ms
  volatile int64_t clock_offset[CLOCKS];  // ms
};

static struct control none;
static struct control *control = &none;
static const char *store;
static const char *synced;
static int clock_number;
static int (*real_clock_gettime)(clockid_t, struct timespec *);

__attribute__((constructor)) static void begin(void) {
  const char *path = getenv("DUCTAPE_FAULTS_CONTROL");
  store = getenv("DUCTAPE_FAULTS_STORE");
  synced = getenv("DUCTAPE_FAULTS_SYNCED");
  const char *number = getenv("DUCTAPE_FAULTS_CLOCK");
  clock_number = number ? atoi(number) % CLOCKS : 0;
  int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
  if (fd < 0) return;
  void *page = mmap(NULL, sizeof(struct control), PROT_READ, MAP_SHARED, fd, 0);
  if (page != MAP_FAILED) control = page;
  close(fd);
}

// Name of the store's file or of its log, when it is one of them that is open there.
static const char *watched(int fd, char *path, size_t size) {
  if (!store) return NULL;
  char link[40];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, size - 1);
  size_t base = strlen(store);
  if (length < (ssize_t)base) return NULL;
  path[length] = 0;
  if (strncmp(path, store, base) != 0) return NULL;
  if (path[base] != 0 && strcmp(path + base, "-wal") != 0) return NULL;
  return strrchr(path, '/') + 1;
}

static int fails(int fd, int error) {
  char path[4096];
  if (error == 0 || !watched(fd, path, sizeof path)) return 0;
  errno = error;
  return 1;
}

static void sleep_ms(int ms) {
  struct timespec time = {ms / 1000, ms % 1000 * 1000000L};
  nanosleep(&time, NULL);
}

// Copies what the file holds now. The name says when the copy was begun: whatever was synced before is in it, so that the
// latest whole copy is what the disk holds, whichever process made it.
static int keep(const char *path, const char *name) {
  struct timespec now;
  syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
  char part[4200], whole[4200];
  snprintf(part, sizeof part, "%s/part.%ld.%d", synced, syscall(SYS_gettid), getpid());
  snprintf(whole, sizeof whole, "%s/%s.%020lld", synced, name, now.tv_sec * 1000000000LL + now.tv_nsec);
  int from = open(path, O_RDONLY | O_CLOEXEC);
  int to = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  char bytes[65536];
  long count = -1;
  while (from >= 0 && to >= 0 && (count = syscall(SYS_read, from, bytes, sizeof bytes)) > 0)
    if (syscall(SYS_write, to, bytes, count) != count) break;
  if (from >= 0) close(from);
  if (to >= 0) close(to);
  return count == 0 ? rename(part, whole) : -1;
}

static int sync_file(long number, int fd) {
  char path[4096];
  const char *name = watched(fd, path, sizeof path);
  if (!name) return syscall(number, fd);
  int delay = control->sync_delay;
  if (delay) sleep_ms(delay);
  int error = control->sync_error;
  // On a file system in memory there is nothing to sync; what cannot be copied, as without a descriptor, is not synced.
  if (!error && synced && keep(path, name) != 0) error = EIO;
  if (error) errno = error;
  return error ? -1 : 0;
}

int fsync(int fd) { return sync_file(SYS_fsync, fd); }
int fdatasync(int fd) { return sync_file(SYS_fdatasync, fd); }

ssize_t read(int fd, void *bytes, size_t count) {
  return fails(fd, control->read_error) ? -1 : syscall(SYS_read, fd, bytes, count);
}

ssize_t pread64(int fd, void *bytes, size_t count, off64_t at) {
  return fails(fd, control->read_error) ? -1 : syscall(SYS_pread64, fd, bytes, count, at);
}

ssize_t pread(int fd, void *bytes, size_t count, off_t at) { return pread64(fd, bytes, count, at); }

ssize_t write(int fd, const void *bytes, size_t count) {
  return fails(fd, control->write_error) ? -1 : syscall(SYS_write, fd, bytes, count);
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t at) {
  return fails(fd, control->write_error) ? -1 : syscall(SYS_pwrite64, fd, bytes, count, at);
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t at) { return pwrite64(fd, bytes, count, at); }

int clock_gettime(clockid_t id, struct timespec *time) {
  if (!real_clock_gettime) *(void **)&real_clock_gettime = dlsym(RTLD_NEXT, "clock_gettime");
  int result = real_clock_gettime(id, time);
  int64_t offset = id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE ? control->clock_offset[clock_number] : 0;
  if (result == 0 && offset != 0) {
    int64_t ns = time->tv_nsec + offset % 1000 * 1000000;
    time->tv_sec += offset / 1000 + ns / 1000000000;
    time->tv_nsec = ns % 1000000000;
    if (time->tv_nsec < 0) {
      time->tv_nsec += 1000000000;
      time->tv_sec -= 1;
    }
  }
  return result;
}

int gettimeofday(struct timeval *restrict time, void *restrict zone) {
  (void)zone;
  struct timespec now;
  int result = clock_gettime(CLOCK_REALTIME, &now);
  time->tv_sec = now.tv_sec;
  time->tv_usec = now.tv_nsec / 1000;
  return result;
}

time_t time(time_t *to) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (to) *to = now.tv_sec;
  return now.tv_sec;
}
