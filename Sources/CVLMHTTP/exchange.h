// What the two halves of the server share: its exchanges and their lock.
#ifndef VLM_HTTP_EXCHANGE_H
#define VLM_HTTP_EXCHANGE_H

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vlm_http.h"

// What a connection waits for.
enum phase {
  // The next head.
  PHASE_HEAD,
  // The rest of a body.
  PHASE_BODY,
  // The answer, which is being made; the client may take its time.
  PHASE_WORK,
  // The client, to read what is sent.
  PHASE_ANSWER,
};

// An open connection, in the server's list.
struct connection {
  struct connection *next, *previous;
  struct MHD_Connection *handle;
  int descriptor;
  enum phase phase;
  // When the phase began, or the client's last step in it; milliseconds.
  int64_t since;
  // Bytes that the phase is about, which the slowest rate allows time for.
  uint64_t bytes;
  // What the connection is busy with; NULL between requests.
  struct vlm_http_exchange *exchange;
  bool is_cut_off;
};

struct vlm_http_server {
  // The owner's, and one of each exchange.
  atomic_int references;
  struct MHD_Daemon *daemon;
  vlm_http_limits limits;
  vlm_http_callbacks callbacks;
  // Guards everything below, and the exchanges' own state.
  pthread_mutex_t lock;
  struct connection *connections;
  size_t connection_count;
  // Bytes of all bodies.
  size_t bodies_count;
  pthread_t watch;
  // Wakes the watch for its end.
  pthread_cond_t ending;
  bool is_ending;
};

struct header {
  struct header *next;
  char *name, *value;
};

struct vlm_http_exchange {
  atomic_int references;
  struct vlm_http_server *server;
  // NULL once the exchange has ended.
  struct connection *connection;
  char *method, *path;
  char peer[64];
  struct header *request_headers;
  int64_t stated_length;
  uint8_t *body;
  size_t body_count, body_capacity, body_limit;
  // Bytes that came, those that were not kept included.
  uint64_t received;
  // Bytes of the server's that the body takes.
  size_t body_reserved;
  bool is_too_large, is_short_of_memory;
  void *owner;

  // The answer. Everything from here on is guarded by the server's lock.
  struct header *answer_headers;
  struct MHD_Response *response;
  unsigned status;
  bool is_answered, is_queued, is_suspended, is_gone;
  bool is_streaming, is_over, is_broken;
  // Pieces that wait for the client.
  uint8_t *pending;
  size_t pending_start, pending_end, pending_capacity;
  uint64_t sent;
};

// Milliseconds of a clock that only moves forward.
int64_t vlm_http_now(void);

struct vlm_http_exchange *vlm_exchange_new(
    struct vlm_http_server *server, struct connection *connection, const char *method,
    const char *path);

void vlm_server_release(struct vlm_http_server *server);

// Lets a connection go on that waited for its answer. The caller has the lock.
void vlm_exchange_resume(struct vlm_http_exchange *exchange);

#endif
