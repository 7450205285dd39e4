// Requests and their answers.
#define _GNU_SOURCE
#include "exchange.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

int64_t vlm_http_now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

static void free_headers(struct header *header) {
  while (header != NULL) {
    struct header *next = header->next;
    free(header->name);
    free(header->value);
    free(header);
    header = next;
  }
}

struct vlm_http_exchange *vlm_exchange_new(
    struct vlm_http_server *server, struct connection *connection, const char *method,
    const char *path) {
  struct vlm_http_exchange *exchange = calloc(1, sizeof *exchange);
  if (exchange == NULL) return NULL;
  exchange->references = 1;
  exchange->server = server;
  server->references++;
  exchange->connection = connection;
  exchange->method = strdup(method);
  exchange->path = strdup(path);
  exchange->stated_length = -1;
  if (exchange->method == NULL || exchange->path == NULL) {
    vlm_http_release(exchange);
    return NULL;
  }
  return exchange;
}

void vlm_http_retain(vlm_http_exchange *exchange) { exchange->references++; }

void vlm_http_release(vlm_http_exchange *exchange) {
  if (--exchange->references > 0) return;
  free(exchange->method);
  free(exchange->path);
  free(exchange->body);
  free(exchange->pending);
  pthread_mutex_lock(&exchange->server->lock);
  exchange->server->bodies_count -= exchange->body_reserved;
  pthread_mutex_unlock(&exchange->server->lock);
  free_headers(exchange->request_headers);
  free_headers(exchange->answer_headers);
  if (exchange->response != NULL) MHD_destroy_response(exchange->response);
  vlm_server_release(exchange->server);
  free(exchange);
}

// ---- Requests ----

const char *vlm_http_method(const vlm_http_exchange *exchange) { return exchange->method; }
const char *vlm_http_path(const vlm_http_exchange *exchange) { return exchange->path; }
const char *vlm_http_peer(const vlm_http_exchange *exchange) { return exchange->peer; }

const char *vlm_http_header(const vlm_http_exchange *exchange, const char *name) {
  for (const struct header *header = exchange->request_headers; header; header = header->next) {
    if (strcasecmp(header->name, name) == 0) return header->value;
  }
  return NULL;
}

unsigned vlm_http_header_count(const vlm_http_exchange *exchange, const char *name) {
  unsigned count = 0;
  for (const struct header *header = exchange->request_headers; header; header = header->next) {
    if (strcasecmp(header->name, name) == 0) count++;
  }
  return count;
}

int64_t vlm_http_stated_length(const vlm_http_exchange *exchange) {
  return exchange->stated_length;
}

const uint8_t *vlm_http_body(const vlm_http_exchange *exchange, size_t *count) {
  *count = exchange->body_count;
  return exchange->body;
}

void vlm_http_forget_body(vlm_http_exchange *exchange) {
  free(exchange->body);
  exchange->body = NULL;
  exchange->body_count = exchange->body_capacity = 0;
}

bool vlm_http_is_too_large(const vlm_http_exchange *exchange) { return exchange->is_too_large; }

bool vlm_http_is_short_of_memory(const vlm_http_exchange *exchange) {
  return exchange->is_short_of_memory;
}

const char *vlm_http_framing_fault(const vlm_http_exchange *exchange) {
  const char *length = NULL;
  for (const struct header *header = exchange->request_headers; header; header = header->next) {
    if (strcasecmp(header->name, "content-length") != 0) continue;
    if (length != NULL && strcmp(length, header->value) != 0) {
      return "two lengths, expected one 'Content-Length'";
    }
    length = header->value;
  }
  unsigned codings = vlm_http_header_count(exchange, "transfer-encoding");
  if (codings > 0 && length != NULL) {
    return "a length and a transfer coding, expected 'Content-Length' or 'Transfer-Encoding'";
  }
  if (codings > 1 || (codings == 1 && strcasecmp(vlm_http_header(exchange, "transfer-encoding"),
                                                 "chunked") != 0)) {
    return "another transfer coding, expected 'Transfer-Encoding: chunked'";
  }
  if (vlm_http_header_count(exchange, "host") > 1) return "two hosts, expected one 'Host'";
  return NULL;
}

void vlm_http_set_owner(vlm_http_exchange *exchange, void *owner) { exchange->owner = owner; }
void *vlm_http_owner(const vlm_http_exchange *exchange) { return exchange->owner; }

// ---- Answers ----

void vlm_http_add_header(vlm_http_exchange *exchange, const char *name, const char *value) {
  struct header *header = calloc(1, sizeof *header);
  if (header == NULL) return;
  header->name = strdup(name);
  header->value = strdup(value);
  pthread_mutex_lock(&exchange->server->lock);
  if (header->name == NULL || header->value == NULL || exchange->is_answered) {
    free_headers(header);
  } else {
    header->next = exchange->answer_headers;
    exchange->answer_headers = header;
  }
  pthread_mutex_unlock(&exchange->server->lock);
}

void vlm_exchange_resume(struct vlm_http_exchange *exchange) {
  if (!exchange->is_suspended || exchange->connection == NULL) return;
  exchange->is_suspended = false;
  MHD_resume_connection(exchange->connection->handle);
}

// Takes over `response` as the answer. The caller has the lock.
static bool answer(vlm_http_exchange *exchange, unsigned status, struct MHD_Response *response) {
  if (response == NULL) return false;
  if (exchange->is_answered || exchange->is_gone || exchange->connection == NULL) {
    MHD_destroy_response(response);
    return false;
  }
  for (const struct header *header = exchange->answer_headers; header; header = header->next) {
    MHD_add_response_header(response, header->name, header->value);
  }
  exchange->is_answered = true;
  exchange->status = status;
  exchange->response = response;
  vlm_exchange_resume(exchange);
  return true;
}

bool vlm_http_answer(
    vlm_http_exchange *exchange, unsigned status, const uint8_t *bytes, size_t count) {
  static const uint8_t nothing = 0;
  struct MHD_Response *response = MHD_create_response_from_buffer(
      count, (void *)(bytes != NULL ? bytes : &nothing), MHD_RESPMEM_MUST_COPY);
  pthread_mutex_lock(&exchange->server->lock);
  bool is_taken = answer(exchange, status, response);
  if (is_taken) exchange->sent = count;
  pthread_mutex_unlock(&exchange->server->lock);
  return is_taken;
}

// Called by the library when the connection can take more.
static ssize_t read_pieces(void *context, uint64_t position, char *buffer, size_t count) {
  (void)position;
  vlm_http_exchange *exchange = context;
  pthread_mutex_lock(&exchange->server->lock);
  ssize_t result = 0;
  size_t waiting = exchange->pending_end - exchange->pending_start;
  if (exchange->is_gone || exchange->is_broken || exchange->server->is_ending) {
    result = MHD_CONTENT_READER_END_WITH_ERROR;
  } else if (waiting > 0) {
    size_t taken = waiting < count ? waiting : count;
    memcpy(buffer, exchange->pending + exchange->pending_start, taken);
    exchange->pending_start += taken;
    exchange->sent += taken;
    if (exchange->pending_start == exchange->pending_end) {
      exchange->pending_start = exchange->pending_end = 0;
    }
    // The last piece was taken whole, or there would be no room for this one.
    if (exchange->connection != NULL) {
      exchange->connection->phase = PHASE_ANSWER;
      exchange->connection->since = vlm_http_now();
      exchange->connection->bytes = taken;
    }
    result = (ssize_t)taken;
  } else if (exchange->is_over) {
    result = MHD_CONTENT_READER_END_OF_STREAM;
  } else if (exchange->connection != NULL) {
    exchange->connection->phase = PHASE_WORK;
    exchange->is_suspended = true;
    MHD_suspend_connection(exchange->connection->handle);
  }
  pthread_mutex_unlock(&exchange->server->lock);
  return result;
}

static void release_pieces(void *context) { vlm_http_release(context); }

bool vlm_http_begin(vlm_http_exchange *exchange, unsigned status) {
  vlm_http_retain(exchange);
  struct MHD_Response *response = MHD_create_response_from_callback(
      MHD_SIZE_UNKNOWN, 16 << 10, read_pieces, exchange, release_pieces);
  if (response == NULL) {
    vlm_http_release(exchange);
    return false;
  }
  // One that is not taken is destroyed with the lock held, which must not be the last reference.
  vlm_http_retain(exchange);
  pthread_mutex_lock(&exchange->server->lock);
  exchange->is_streaming = true;
  bool is_taken = answer(exchange, status, response);
  pthread_mutex_unlock(&exchange->server->lock);
  vlm_http_release(exchange);
  return is_taken;
}

bool vlm_http_write(vlm_http_exchange *exchange, const uint8_t *bytes, size_t count) {
  pthread_mutex_lock(&exchange->server->lock);
  size_t limit = exchange->server->limits.pending_bytes;
  if (exchange->pending_end - exchange->pending_start > limit) {
    exchange->is_broken = exchange->is_over = true;
  }
  bool is_open = !exchange->is_gone && !exchange->is_over;
  if (is_open && exchange->pending_capacity - exchange->pending_end < count) {
    size_t waiting = exchange->pending_end - exchange->pending_start;
    size_t capacity = (waiting + count) * 2;
    uint8_t *larger = malloc(capacity);
    if (larger == NULL) {
      exchange->is_broken = exchange->is_over = true;
      is_open = false;
    } else {
      if (waiting > 0) memcpy(larger, exchange->pending + exchange->pending_start, waiting);
      free(exchange->pending);
      exchange->pending = larger;
      exchange->pending_capacity = capacity;
      exchange->pending_start = 0;
      exchange->pending_end = waiting;
    }
  }
  if (is_open && count > 0) {
    memcpy(exchange->pending + exchange->pending_end, bytes, count);
    exchange->pending_end += count;
  }
  vlm_exchange_resume(exchange);
  pthread_mutex_unlock(&exchange->server->lock);
  return is_open;
}

void vlm_http_end(vlm_http_exchange *exchange, bool complete) {
  pthread_mutex_lock(&exchange->server->lock);
  exchange->is_over = true;
  if (!complete) exchange->is_broken = true;
  vlm_exchange_resume(exchange);
  pthread_mutex_unlock(&exchange->server->lock);
}

unsigned vlm_http_status(vlm_http_exchange *exchange) {
  pthread_mutex_lock(&exchange->server->lock);
  unsigned status = exchange->status;
  pthread_mutex_unlock(&exchange->server->lock);
  return status;
}

uint64_t vlm_http_sent_bytes(vlm_http_exchange *exchange) {
  pthread_mutex_lock(&exchange->server->lock);
  uint64_t sent = exchange->sent;
  pthread_mutex_unlock(&exchange->server->lock);
  return sent;
}
