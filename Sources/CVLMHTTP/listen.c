// Sockets that the server listens on, and the datagrams that tell a service manager of it.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "vlm_http.h"

#define BACKLOG 128

// Closes `descriptor` and fails with the error that is set.
static int fail(int descriptor) {
  int code = errno;
  if (descriptor >= 0) close(descriptor);
  errno = code;
  return -1;
}

int vlm_listen_tcp(const char *host, uint16_t port) {
  union {
    struct sockaddr any;
    struct sockaddr_in four;
    struct sockaddr_in6 six;
  } address;
  memset(&address, 0, sizeof address);
  socklen_t count;
  if (strcmp(host, "localhost") == 0) host = "127.0.0.1";
  if (inet_pton(AF_INET, host, &address.four.sin_addr) == 1) {
    address.four.sin_family = AF_INET;
    address.four.sin_port = htons(port);
    count = sizeof address.four;
  } else if (inet_pton(AF_INET6, host, &address.six.sin6_addr) == 1) {
    address.six.sin6_family = AF_INET6;
    address.six.sin6_port = htons(port);
    count = sizeof address.six;
  } else {
    errno = EINVAL;
    return -1;
  }
  int descriptor = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (descriptor < 0) return -1;
  // A port of a server that has just ended is free.
  int yes = 1;
  setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (bind(descriptor, &address.any, count) != 0 || listen(descriptor, BACKLOG) != 0) {
    return fail(descriptor);
  }
  return descriptor;
}

static bool set_path(struct sockaddr_un *address, const char *path, socklen_t *count) {
  size_t length = strlen(path);
  memset(address, 0, sizeof *address);
  address->sun_family = AF_UNIX;
  if (length == 0 || length >= sizeof address->sun_path) {
    errno = ENAMETOOLONG;
    return false;
  }
  memcpy(address->sun_path, path, length);
  *count = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
  return true;
}

// Removes a socket that nobody listens on. False with `errno` set where something else is there.
static bool remove_stale(const struct sockaddr_un *address, socklen_t count) {
  struct stat state;
  if (lstat(address->sun_path, &state) != 0) return errno == ENOENT;
  if (!S_ISSOCK(state.st_mode)) {
    errno = EEXIST;
    return false;
  }
  int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (probe < 0) return false;
  bool is_stale =
      connect(probe, (const struct sockaddr *)address, count) != 0 && errno == ECONNREFUSED;
  close(probe);
  if (is_stale) return unlink(address->sun_path) == 0;
  errno = EADDRINUSE;
  return false;
}

int vlm_listen_unix(const char *path, unsigned mode) {
  struct sockaddr_un address;
  socklen_t count;
  if (!set_path(&address, path, &count) || !remove_stale(&address, count)) return -1;
  int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (descriptor < 0) return -1;
  // Nobody can connect before it listens, and by then it has its mode.
  if (bind(descriptor, (const struct sockaddr *)&address, count) != 0) return fail(descriptor);
  if (chmod(path, mode) != 0 || listen(descriptor, BACKLOG) != 0) {
    int error = errno;
    unlink(path);
    errno = error;
    return fail(descriptor);
  }
  return descriptor;
}

int vlm_listen_inherited(int descriptor) {
  int listens = 0;
  socklen_t count = sizeof listens;
  if (getsockopt(descriptor, SOL_SOCKET, SO_ACCEPTCONN, &listens, &count) != 0) return -1;
  int type = 0;
  count = sizeof type;
  if (!listens || getsockopt(descriptor, SOL_SOCKET, SO_TYPE, &type, &count) != 0 ||
      type != SOCK_STREAM) {
    errno = EINVAL;
    return -1;
  }
  int flags = fcntl(descriptor, F_GETFL);
  if (flags < 0 || fcntl(descriptor, F_SETFL, flags | O_NONBLOCK) != 0 ||
      fcntl(descriptor, F_SETFD, FD_CLOEXEC) != 0) {
    return -1;
  }
  return descriptor;
}

union address {
  struct sockaddr any;
  struct sockaddr_in four;
  struct sockaddr_in6 six;
  struct sockaddr_un local;
};

bool vlm_listen_address(int descriptor, char *text, size_t count) {
  union address address;
  memset(&address, 0, sizeof address);
  socklen_t length = sizeof address;
  if (getsockname(descriptor, &address.any, &length) != 0) return false;
  char host[64];
  int written = -1;
  switch (address.any.sa_family) {
    case AF_INET:
      inet_ntop(AF_INET, &address.four.sin_addr, host, sizeof host);
      written = snprintf(text, count, "%s:%u", host, ntohs(address.four.sin_port));
      break;
    case AF_INET6:
      inet_ntop(AF_INET6, &address.six.sin6_addr, host, sizeof host);
      written = snprintf(text, count, "[%s]:%u", host, ntohs(address.six.sin6_port));
      break;
    case AF_UNIX:
      written = snprintf(
          text, count, "%.*s", (int)sizeof address.local.sun_path, address.local.sun_path);
      break;
  }
  return written >= 0 && (size_t)written < count;
}

bool vlm_listen_is_local(int descriptor) {
  union address address;
  memset(&address, 0, sizeof address);
  socklen_t length = sizeof address;
  if (getsockname(descriptor, &address.any, &length) != 0) return false;
  switch (address.any.sa_family) {
    case AF_INET: return ntohl(address.four.sin_addr.s_addr) >> 24 == 127;
    case AF_INET6: return IN6_IS_ADDR_LOOPBACK(&address.six.sin6_addr);
    case AF_UNIX: return true;
  }
  return false;
}

int vlm_notify(const char *path, const char *message) {
  struct sockaddr_un address;
  socklen_t count;
  if (!set_path(&address, path, &count)) return errno;
  if (address.sun_path[0] == '@') address.sun_path[0] = '\0';
  int descriptor = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return errno;
  ssize_t sent = sendto(
      descriptor, message, strlen(message), MSG_NOSIGNAL, (const struct sockaddr *)&address, count);
  int code = sent < 0 ? errno : 0;
  close(descriptor);
  return code;
}
