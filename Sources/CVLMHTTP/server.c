// Connections: from the library's callbacks to requests, and the watch over slow and lost clients.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "exchange.h"

// Between two looks at the connections, milliseconds.
#define WATCH_INTERVAL 100

// ---- Connections ----

static void set_phase(struct connection *connection, enum phase phase, uint64_t bytes) {
  connection->phase = phase;
  connection->since = vlm_http_now();
  connection->bytes = bytes;
}

// Called by the library as a connection begins and ends.
static void notice_connection(
    void *context, struct MHD_Connection *handle, void **slot,
    enum MHD_ConnectionNotificationCode code) {
  struct vlm_http_server *server = context;
  if (code == MHD_CONNECTION_NOTIFY_STARTED) {
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(handle, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct connection *connection = calloc(1, sizeof *connection);
    *slot = connection;
    if (connection == NULL || info == NULL) return;
    connection->handle = handle;
    connection->descriptor = info->connect_fd;
    set_phase(connection, PHASE_HEAD, 0);
    pthread_mutex_lock(&server->lock);
    connection->next = server->connections;
    if (connection->next != NULL) connection->next->previous = connection;
    server->connections = connection;
    server->connection_count++;
    pthread_mutex_unlock(&server->lock);
  } else {
    struct connection *connection = *slot;
    if (connection == NULL) return;
    pthread_mutex_lock(&server->lock);
    if (connection->handle != NULL) {
      if (connection->next != NULL) connection->next->previous = connection->previous;
      if (connection->previous != NULL) {
        connection->previous->next = connection->next;
      } else {
        server->connections = connection->next;
      }
      server->connection_count--;
    }
    pthread_mutex_unlock(&server->lock);
    free(connection);
    *slot = NULL;
  }
}

static struct connection *connection_of(struct MHD_Connection *handle) {
  const union MHD_ConnectionInfo *info =
      MHD_get_connection_info(handle, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
  return info != NULL ? info->socket_context : NULL;
}

static void write_peer(struct MHD_Connection *handle, char text[64]) {
  strcpy(text, "unix");
  const union MHD_ConnectionInfo *socket =
      MHD_get_connection_info(handle, MHD_CONNECTION_INFO_CONNECTION_FD);
  struct ucred user;
  socklen_t count = sizeof user;
  if (socket != NULL &&
      getsockopt(socket->connect_fd, SOL_SOCKET, SO_PEERCRED, &user, &count) == 0 &&
      user.pid != 0) {
    snprintf(text, 64, "unix:%u", (unsigned)user.uid);
  }
  const union MHD_ConnectionInfo *info =
      MHD_get_connection_info(handle, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
  if (info == NULL || info->client_addr == NULL) return;
  if (info->client_addr->sa_family == AF_INET) {
    const struct sockaddr_in *address = (const struct sockaddr_in *)info->client_addr;
    inet_ntop(AF_INET, &address->sin_addr, text, 64);
  } else if (info->client_addr->sa_family == AF_INET6) {
    const struct sockaddr_in6 *address = (const struct sockaddr_in6 *)info->client_addr;
    inet_ntop(AF_INET6, &address->sin6_addr, text, 64);
  }
}

// ---- Requests ----

static enum MHD_Result keep_header(
    void *context, enum MHD_ValueKind kind, const char *name, const char *value) {
  (void)kind;
  struct vlm_http_exchange *exchange = context;
  struct header *header = calloc(1, sizeof *header);
  if (header == NULL) return MHD_NO;
  header->name = strdup(name);
  header->value = strdup(value != NULL ? value : "");
  if (header->value != NULL) {
    // White space at the end is no part of a value (RFC 9110, 5.5).
    size_t end = strlen(header->value);
    while (end > 0 && (header->value[end - 1] == ' ' || header->value[end - 1] == '\t')) end--;
    header->value[end] = '\0';
  }
  // In the order that they came in.
  struct header **last = &exchange->request_headers;
  while (*last != NULL) last = &(*last)->next;
  *last = header;
  return header->name != NULL && header->value != NULL ? MHD_YES : MHD_NO;
}

// A length as RFC 9110 writes it, at most `INT64_MAX`; -1 for anything else. The library has refused
// what is no number.
static int64_t stated_length(const struct vlm_http_exchange *exchange) {
  const char *text = vlm_http_header(exchange, "content-length");
  if (text == NULL || *text == '\0') return -1;
  int64_t length = 0;
  for (; *text != '\0'; text++) {
    if (*text < '0' || *text > '9') return -1;
    length = length > INT64_MAX / 10 - 10 ? INT64_MAX : length * 10 + (*text - '0');
  }
  return length;
}

// The head has come.
static struct vlm_http_exchange *begin_exchange(
    struct vlm_http_server *server, struct MHD_Connection *handle, struct connection *connection,
    const char *path, const char *method) {
  struct vlm_http_exchange *exchange = vlm_exchange_new(server, connection, method, path);
  if (exchange == NULL) return NULL;
  int headers = MHD_get_connection_values(handle, MHD_HEADER_KIND, NULL, NULL);
  if (MHD_get_connection_values(handle, MHD_HEADER_KIND, keep_header, exchange) != headers) {
    vlm_http_release(exchange);
    return NULL;
  }
  exchange->stated_length = stated_length(exchange);
  write_peer(handle, exchange->peer);
  pthread_mutex_lock(&server->lock);
  connection->exchange = exchange;
  set_phase(connection, PHASE_BODY, 0);
  pthread_mutex_unlock(&server->lock);
  return exchange;
}

// How many times the limit is read of a body that is too large.
#define PATIENCE 4

// The room that a body gets first, whatever it says of its length; then it is doubled. So what a client
// only announces takes nothing from others.
#define FIRST_CAPACITY (64 << 10)

// Takes more of the server's memory for a body. False where there is none.
static bool grow_body(struct vlm_http_exchange *exchange, size_t needed) {
  size_t capacity = exchange->body_capacity > 0 ? exchange->body_capacity * 2 : FIRST_CAPACITY;
  if (capacity < needed) capacity = needed;
  if (capacity > exchange->body_limit) capacity = exchange->body_limit;
  struct vlm_http_server *server = exchange->server;
  pthread_mutex_lock(&server->lock);
  size_t more = capacity - exchange->body_capacity;
  bool fits = more <= server->limits.bodies_bytes - server->bodies_count;
  if (fits) {
    server->bodies_count += more;
    exchange->body_reserved += more;
  }
  pthread_mutex_unlock(&server->lock);
  if (!fits) return false;
  uint8_t *larger = realloc(exchange->body, capacity);
  if (larger == NULL) return false;
  exchange->body = larger;
  exchange->body_capacity = capacity;
  return true;
}

// Gives back what a body takes that nobody will look at.
static void drop_body(struct vlm_http_exchange *exchange) {
  vlm_http_forget_body(exchange);
  pthread_mutex_lock(&exchange->server->lock);
  exchange->server->bodies_count -= exchange->body_reserved;
  exchange->body_reserved = 0;
  pthread_mutex_unlock(&exchange->server->lock);
}

// Keeps a part of a body; one that is too large is read on for a while, but not kept, so that a
// client that writes before it reads learns why it is refused. False where it does not end.
static bool keep_body(struct vlm_http_exchange *exchange, const char *data, size_t count) {
  exchange->received += count;
  if (exchange->is_too_large || exchange->is_short_of_memory) {
    return exchange->received / PATIENCE <= exchange->body_limit;
  }
  if (count > exchange->body_limit - exchange->body_count) {
    exchange->is_too_large = true;
  } else if (count > exchange->body_capacity - exchange->body_count) {
    exchange->is_short_of_memory = !grow_body(exchange, exchange->body_count + count);
  }
  if (exchange->is_too_large || exchange->is_short_of_memory) {
    drop_body(exchange);
    return true;
  }
  memcpy(exchange->body + exchange->body_count, data, count);
  exchange->body_count += count;
  return true;
}

// Hands the answer to the library, if there is one.
static enum MHD_Result send_answer(
    struct vlm_http_exchange *exchange, struct MHD_Connection *handle) {
  struct vlm_http_server *server = exchange->server;
  pthread_mutex_lock(&server->lock);
  enum MHD_Result result = MHD_NO;
  if (exchange->is_answered && !exchange->is_gone && !exchange->is_queued) {
    exchange->is_queued = true;
    set_phase(exchange->connection, PHASE_ANSWER, exchange->is_streaming ? 0 : exchange->sent);
    struct MHD_Response *response = exchange->response;
    unsigned status = exchange->status;
    exchange->response = NULL;
    pthread_mutex_unlock(&server->lock);
    // Without the lock: an answer in pieces may be asked for its first.
    result = MHD_queue_response(handle, status, response);
    MHD_destroy_response(response);
    return result;
  }
  pthread_mutex_unlock(&server->lock);
  return result;
}

// Called by the library with the head, then with each part of the body, then with its end; and again
// when a connection that waited goes on.
static enum MHD_Result handle_request(
    void *context, struct MHD_Connection *handle, const char *path, const char *method,
    const char *version, const char *data, size_t *count, void **slot) {
  (void)version;
  struct vlm_http_server *server = context;
  struct vlm_http_exchange *exchange = *slot;
  if (exchange == NULL) {
    struct connection *connection = connection_of(handle);
    if (connection == NULL || connection->handle == NULL) return MHD_NO;
    exchange = begin_exchange(server, handle, connection, path, method);
    if (exchange == NULL) return MHD_NO;
    *slot = exchange;
    exchange->body_limit = server->callbacks.head(server->callbacks.context, exchange);
    pthread_mutex_lock(&server->lock);
    bool is_answered = exchange->is_answered;
    pthread_mutex_unlock(&server->lock);
    return is_answered ? send_answer(exchange, handle) : MHD_YES;
  }
  if (*count > 0) {
    if (!keep_body(exchange, data, *count)) return MHD_NO;
    pthread_mutex_lock(&server->lock);
    exchange->connection->bytes += *count;
    pthread_mutex_unlock(&server->lock);
    *count = 0;
    return MHD_YES;
  }
  pthread_mutex_lock(&server->lock);
  if (exchange->is_answered || exchange->is_gone) {
    pthread_mutex_unlock(&server->lock);
    return send_answer(exchange, handle);
  }
  if (server->is_ending) {
    // The library cannot be stopped while a connection waits.
    pthread_mutex_unlock(&server->lock);
    return MHD_NO;
  }
  if (exchange->connection->phase == PHASE_WORK) {
    // Woken without an answer.
    exchange->is_suspended = true;
    MHD_suspend_connection(handle);
    pthread_mutex_unlock(&server->lock);
    return MHD_YES;
  }
  set_phase(exchange->connection, PHASE_WORK, 0);
  exchange->is_suspended = true;
  MHD_suspend_connection(handle);
  pthread_mutex_unlock(&server->lock);
  server->callbacks.request(server->callbacks.context, exchange);
  return MHD_YES;
}

// Called by the library when a request is over.
static void complete_request(
    void *context, struct MHD_Connection *handle, void **slot,
    enum MHD_RequestTerminationCode code) {
  (void)handle;
  struct vlm_http_server *server = context;
  struct vlm_http_exchange *exchange = *slot;
  if (exchange == NULL) return;
  *slot = NULL;
  pthread_mutex_lock(&server->lock);
  bool was_gone = exchange->is_gone;
  bool is_answered = code == MHD_REQUEST_TERMINATED_COMPLETED_OK;
  int how = VLM_HTTP_CLIENT_GONE;
  if (is_answered) {
    how = VLM_HTTP_ANSWERED;
  } else if (code == MHD_REQUEST_TERMINATED_TIMEOUT_REACHED ||
             (exchange->connection != NULL && exchange->connection->is_cut_off)) {
    how = VLM_HTTP_TIMED_OUT;
  } else if (code == MHD_REQUEST_TERMINATED_DAEMON_SHUTDOWN || server->is_ending) {
    how = VLM_HTTP_STOPPED;
  }
  if (!is_answered) exchange->is_gone = true;
  if (exchange->connection != NULL) {
    exchange->connection->exchange = NULL;
    set_phase(exchange->connection, PHASE_HEAD, 0);
  }
  exchange->connection = NULL;
  pthread_mutex_unlock(&server->lock);
  if (!is_answered && !was_gone) server->callbacks.gone(server->callbacks.context, exchange);
  server->callbacks.ended(server->callbacks.context, exchange, how);
  vlm_http_release(exchange);
}

// ---- The watch ----

// Whether a connection has used up its time.
static bool is_late(const struct vlm_http_server *server, const struct connection *connection,
                    int64_t now) {
  const vlm_http_limits *limits = &server->limits;
  int64_t passed = now - connection->since;
  switch (connection->phase) {
    case PHASE_HEAD: return passed > limits->head_milliseconds;
    case PHASE_BODY:
    case PHASE_ANSWER:
      return passed - (int64_t)limits->grace_milliseconds >
             (int64_t)(connection->bytes / limits->slowest_rate * 1000);
    case PHASE_WORK: return false;
  }
  return false;
}

// Whether the client has closed its side, so that nobody waits for the answer, or the rest of a request
// cannot come any more. The library does not notice that in the middle of a head.
static bool has_left(const struct connection *connection) {
  struct pollfd state = {.fd = connection->descriptor, .events = POLLRDHUP};
  if (poll(&state, 1, 0) <= 0 || !(state.revents & (POLLRDHUP | POLLHUP | POLLERR))) return false;
  if (connection->phase >= PHASE_WORK) return connection->exchange != NULL;
  // What has come before is read first.
  char next;
  return recv(connection->descriptor, &next, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

// An exchange whose client is gone: it need not be answered any more. The caller has the lock, and
// calls `gone` without it if this returns true, then releases the exchange.
static bool lose(struct vlm_http_exchange *exchange) {
  if (exchange == NULL || exchange->is_gone) return false;
  exchange->is_gone = true;
  vlm_http_retain(exchange);
  vlm_exchange_resume(exchange);
  return true;
}

// How long a connection may be idle, milliseconds, while others wait to be let in.
#define IDLE_WHEN_FULL 1000

// Whether a connection waits for its next request while there is no room for others.
static bool is_in_the_way(const struct vlm_http_server *server,
                          const struct connection *connection, int64_t now) {
  return server->connection_count >= server->limits.connections &&
         connection->phase == PHASE_HEAD && now - connection->since > IDLE_WHEN_FULL;
}

static void *watch(void *context) {
  struct vlm_http_server *server = context;
  size_t capacity = server->limits.connections + 1;
  struct vlm_http_exchange **lost = calloc(capacity, sizeof *lost);
  pthread_mutex_lock(&server->lock);
  while (lost != NULL && !server->is_ending) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += WATCH_INTERVAL * 1000000L;
    if (until.tv_nsec >= 1000000000L) until.tv_sec++, until.tv_nsec -= 1000000000L;
    pthread_cond_timedwait(&server->ending, &server->lock, &until);
    int64_t now = vlm_http_now();
    size_t count = 0;
    for (struct connection *connection = server->connections; connection != NULL;
         connection = connection->next) {
      bool is_lost = false;
      if (!connection->is_cut_off && is_late(server, connection, now)) {
        connection->is_cut_off = true;
        is_lost = true;
        // The library notices, and closes the connection.
        shutdown(connection->descriptor, SHUT_RDWR);
      } else if (!connection->is_cut_off && is_in_the_way(server, connection, now)) {
        connection->is_cut_off = true;
        shutdown(connection->descriptor, SHUT_RDWR);
      } else if (has_left(connection)) {
        is_lost = true;
        if (connection->phase < PHASE_WORK) shutdown(connection->descriptor, SHUT_RDWR);
      }
      if (is_lost && count < capacity && lose(connection->exchange)) {
        lost[count++] = connection->exchange;
      }
    }
    if (count == 0) continue;
    pthread_mutex_unlock(&server->lock);
    for (size_t i = 0; i < count; i++) {
      server->callbacks.gone(server->callbacks.context, lost[i]);
      vlm_http_release(lost[i]);
    }
    pthread_mutex_lock(&server->lock);
  }
  pthread_mutex_unlock(&server->lock);
  free(lost);
  return NULL;
}

// ---- Server ----

static int digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

// Called by the library to decode percent escapes in place. "%00" stays: behind it a text in C would
// end, and two paths would be one.
static size_t unescape(void *context, struct MHD_Connection *handle, char *text) {
  (void)context, (void)handle;
  char *end = text;
  for (const char *at = text; *at != '\0'; at++) {
    int high = *at == '%' ? digit(at[1]) : -1;
    int low = high >= 0 ? digit(at[2]) : -1;
    if (low >= 0 && (high | low) != 0) {
      *end++ = (char)(high << 4 | low);
      at += 2;
    } else {
      *end++ = *at;
    }
  }
  *end = '\0';
  return (size_t)(end - text);
}

void vlm_server_release(struct vlm_http_server *server) {
  if (--server->references > 0) return;
  pthread_mutex_destroy(&server->lock);
  pthread_cond_destroy(&server->ending);
  free(server);
}

vlm_http_server *vlm_http_start(
    int socket, const vlm_http_limits *limits, const vlm_http_callbacks *callbacks) {
  struct vlm_http_server *server = calloc(1, sizeof *server);
  if (server == NULL) return NULL;
  server->references = 1;
  server->limits = *limits;
  if (server->limits.slowest_rate == 0) server->limits.slowest_rate = 1;
  server->callbacks = *callbacks;
  pthread_mutex_init(&server->lock, NULL);
  pthread_condattr_t attributes;
  pthread_condattr_init(&attributes);
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  pthread_cond_init(&server->ending, &attributes);
  pthread_condattr_destroy(&attributes);
  int failure = pthread_create(&server->watch, NULL, watch, server);
  if (failure != 0) {
    vlm_server_release(server);
    errno = failure;
    return NULL;
  }
  errno = 0;
  server->daemon = MHD_start_daemon(
      MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, handle_request,
      server, MHD_OPTION_LISTEN_SOCKET, (MHD_socket)socket, MHD_OPTION_CONNECTION_LIMIT,
      limits->connections, MHD_OPTION_PER_IP_CONNECTION_LIMIT, limits->connections_of_address,
      MHD_OPTION_CONNECTION_MEMORY_LIMIT, limits->head_bytes,
      MHD_OPTION_NOTIFY_COMPLETED, complete_request, server, MHD_OPTION_NOTIFY_CONNECTION,
      notice_connection, server, MHD_OPTION_UNESCAPE_CALLBACK, unescape, NULL,
      MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_THREAD_STACK_SIZE,
      (size_t)1 << 20, MHD_OPTION_END);
  if (server->daemon == NULL) {
    int code = errno != 0 ? errno : ENOMEM;
    vlm_http_stop(server);
    errno = code;
    return NULL;
  }
  return server;
}

void vlm_http_stop_listening(vlm_http_server *server) {
  MHD_socket socket = MHD_quiesce_daemon(server->daemon);
  if (socket != MHD_INVALID_SOCKET) close(socket);
}

size_t vlm_http_open_exchanges(vlm_http_server *server) {
  pthread_mutex_lock(&server->lock);
  size_t count = 0;
  for (const struct connection *connection = server->connections; connection != NULL;
       connection = connection->next) {
    if (connection->exchange != NULL && connection->phase >= PHASE_WORK) count++;
  }
  pthread_mutex_unlock(&server->lock);
  return count;
}

void vlm_http_stop(vlm_http_server *server) {
  pthread_mutex_lock(&server->lock);
  server->is_ending = true;
  pthread_cond_broadcast(&server->ending);
  pthread_mutex_unlock(&server->lock);
  pthread_join(server->watch, NULL);
  // Whoever makes an answer is told; a connection that waits for one could not be ended.
  for (;;) {
    pthread_mutex_lock(&server->lock);
    struct vlm_http_exchange *exchange = NULL;
    for (struct connection *connection = server->connections; connection != NULL && !exchange;
         connection = connection->next) {
      if (lose(connection->exchange)) exchange = connection->exchange;
    }
    pthread_mutex_unlock(&server->lock);
    if (exchange == NULL) break;
    server->callbacks.gone(server->callbacks.context, exchange);
    vlm_http_release(exchange);
  }
  if (server->daemon != NULL) MHD_stop_daemon(server->daemon);
  vlm_server_release(server);
}
