// Threads that share models: the same bits as one thread alone, and calls that meet.

#include <pthread.h>
#include <stdatomic.h>

#include "check.h"

enum { callers = 4, turns = 3 };

typedef struct outcome {
  double scores[10];
  float values[4096];
  size_t width;
  char answer[4096];
} outcome;

typedef struct shared {
  vlmz_model *classifier, *llava;
  vlmz_image *horse, *cup;
  vlmz_picture *picture;
} shared;

typedef struct caller {
  const shared *shared;
  outcome outcomes[turns];
} caller;

static void work(const shared *shared, outcome *outcome) {
  vlmz_session *session;
  vlmz_conversation *conversation;
  vlmz_candidate *candidates;
  vlmz_answer *answer;
  float *values;
  size_t count;
  memset(outcome, 0, sizeof *outcome);
  OK(vlmz_session_create(shared->classifier, NULL, &session));
  OK(vlmz_session_classify(session, shared->horse, 10, &candidates, &count));
  for (size_t index = 0; index < count; index += 1) {
    outcome->scores[candidates[index].index] = candidates[index].score;
  }
  vlmz_free(candidates);
  OK(vlmz_session_embed_image(session, shared->horse, &values, &outcome->width));
  CHECK(outcome->width <= 4096);
  memcpy(outcome->values, values, outcome->width * sizeof *values);
  vlmz_free(values);
  OK(vlmz_session_free(session));
  OK(vlmz_conversation_create(shared->llava, NULL, &conversation));
  OK(vlmz_conversation_ask(
      conversation, "What is in the picture?", (vlmz_picture *const *)&shared->picture, 1, NULL,
      NULL, NULL, &answer));
  CHECK(answer->length < sizeof outcome->answer);
  strcpy(outcome->answer, answer->text);
  vlmz_free(answer);
  OK(vlmz_conversation_free(conversation));
  // Messages are those of this thread.
  vlmz_model *none;
  EXPECT(VLMZ_NOT_FOUND, vlmz_model_open("/no/such/file", NULL, &none));
  CHECK(strstr(vlmz_last_error(), "/no/such/file") != NULL);
}

static void *run_caller(void *argument) {
  caller *caller = argument;
  CHECK(strcmp(vlmz_last_error(), "") == 0);
  int count = is_short ? 1 : turns;
  for (int turn = 0; turn < count; turn += 1) work(caller->shared, &caller->outcomes[turn]);
  return NULL;
}

static void test_sharing(const files *files) {
  static outcome alone;
  static caller all[callers];
  shared shared;
  vlmz_session *session;
  shared.classifier = open_model(files->classifier);
  shared.llava = open_model(files->llava);
  shared.horse = open_image(files->horse);
  shared.cup = open_image(files->cup);
  OK(vlmz_session_create(shared.llava, NULL, &session));
  OK(vlmz_session_encode(session, shared.cup, NULL, &shared.picture));
  OK(vlmz_session_free(session));
  work(&shared, &alone);
  pthread_t threads[callers];
  for (int index = 0; index < callers; index += 1) {
    all[index].shared = &shared;
    CHECK(pthread_create(&threads[index], NULL, run_caller, &all[index]) == 0);
  }
  for (int index = 0; index < callers; index += 1) {
    CHECK(pthread_join(threads[index], NULL) == 0);
    for (int turn = 0; turn < (is_short ? 1 : turns); turn += 1) {
      CHECK(memcmp(&all[index].outcomes[turn], &alone, sizeof alone) == 0);
    }
  }
  OK(vlmz_picture_free(shared.picture));
  OK(vlmz_image_free(shared.cup));
  OK(vlmz_image_free(shared.horse));
  OK(vlmz_model_free(shared.llava));
  OK(vlmz_model_free(shared.classifier));
}

// What a callback does to the conversation that it is called from.
static int meddle(const char *text, size_t length, void *user) {
  vlmz_conversation *conversation = *(vlmz_conversation **)user;
  vlmz_answer *answer;
  (void)text;
  (void)length;
  if (conversation == NULL) return 0;
  EXPECT(
      VLMZ_BUSY,
      vlmz_conversation_ask(conversation, "And?", NULL, 0, NULL, NULL, NULL, &answer));
  CHECK(answer == NULL);
  EXPECT(VLMZ_BUSY, vlmz_conversation_clear(conversation));
  // The call goes on without its handle.
  OK(vlmz_conversation_free(conversation));
  REFUSED(vlmz_conversation_free(conversation));
  *(vlmz_conversation **)user = NULL;
  return 0;
}

static void test_meeting(const files *files) {
  vlmz_model *model = open_model(files->stories);
  vlmz_conversation *conversation;
  vlmz_answer *answer;
  vlmz_answer_options how = VLMZ_ANSWER_OPTIONS_INIT;
  how.maximum_tokens = 20;
  OK(vlmz_conversation_create(model, NULL, &conversation));
  OK(vlmz_model_free(model));
  OK(vlmz_conversation_ask(
      conversation, "Once upon a time", NULL, 0, &how, meddle, &conversation, &answer));
  CHECK(conversation == NULL);
  CHECK(answer->tokens == 20);
  vlmz_free(answer);
}

void test_threads(const files *files) {
  test_sharing(files);
  test_meeting(files);
}

// A thread that waits for an answer to begin and then cancels it.
typedef struct canceller {
  pthread_mutex_t lock;
  pthread_cond_t changed;
  int has_begun, is_cancelled;
  vlmz_conversation *conversation;
} canceller;

static int on_text(const char *text, size_t length, void *user) {
  canceller *canceller = user;
  (void)text;
  (void)length;
  pthread_mutex_lock(&canceller->lock);
  canceller->has_begun = 1;
  pthread_cond_broadcast(&canceller->changed);
  while (!canceller->is_cancelled) pthread_cond_wait(&canceller->changed, &canceller->lock);
  pthread_mutex_unlock(&canceller->lock);
  return 0;
}

static void *cancel_answer(void *argument) {
  canceller *canceller = argument;
  pthread_mutex_lock(&canceller->lock);
  while (!canceller->has_begun) pthread_cond_wait(&canceller->changed, &canceller->lock);
  EXPECT(VLMZ_BUSY, vlmz_conversation_clear(canceller->conversation));
  OK(vlmz_conversation_cancel(canceller->conversation));
  canceller->is_cancelled = 1;
  pthread_cond_broadcast(&canceller->changed);
  pthread_mutex_unlock(&canceller->lock);
  return NULL;
}

static int stop_at_once(const char *text, size_t length, void *user) {
  (void)text;
  (void)length;
  *(int *)user += 1;
  return 1;
}

// Cancels whatever runs on a session until it is told to stop.
typedef struct hurry {
  vlmz_session *session;
  atomic_int is_over;
} hurry;

static void *cancel_session(void *argument) {
  hurry *hurry = argument;
  while (!atomic_load(&hurry->is_over)) OK(vlmz_session_cancel(hurry->session));
  return NULL;
}

void test_cancellation(const files *files) {
  vlmz_model *model = open_model(files->stories);
  vlmz_conversation *conversation;
  vlmz_answer *answer;
  OK(vlmz_conversation_create(model, NULL, &conversation));
  // Nothing runs: nothing happens, also not to the next call.
  OK(vlmz_conversation_cancel(conversation));
  canceller canceller = {
      PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0, conversation};
  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, cancel_answer, &canceller) == 0);
  OK(vlmz_conversation_ask(
      conversation, "Once upon a time", NULL, 0, NULL, on_text, &canceller, &answer));
  CHECK(pthread_join(thread, NULL) == 0);
  CHECK(answer->ending == VLMZ_ENDING_CANCELLED);
  CHECK(answer->length > 0 && answer->tokens < 20);
  vlmz_free(answer);
  OK(vlmz_conversation_clear(conversation));
  int calls = 0;
  OK(vlmz_conversation_ask(
      conversation, "Once upon a time", NULL, 0, NULL, stop_at_once, &calls, &answer));
  CHECK(calls == 1);
  CHECK(answer->ending == VLMZ_ENDING_CANCELLED);
  vlmz_free(answer);
  OK(vlmz_conversation_free(conversation));
  OK(vlmz_model_free(model));

  model = open_model(files->classifier);
  vlmz_image *image = open_image(files->horse);
  hurry hurry = {NULL, 0};
  OK(vlmz_session_create(model, NULL, &hurry.session));
  OK(vlmz_session_cancel(hurry.session));
  CHECK(pthread_create(&thread, NULL, cancel_session, &hurry) == 0);
  vlmz_candidate *candidates;
  size_t count;
  vlmz_status status = VLMZ_OK;
  for (int run = 0; run < 10000 && status != VLMZ_CANCELLED; run += 1) {
    status = vlmz_session_classify(hurry.session, image, 1, &candidates, &count);
    CHECK(status == VLMZ_OK || (status == VLMZ_CANCELLED && candidates == NULL));
    vlmz_free(candidates);
  }
  CHECK(status == VLMZ_CANCELLED);
  atomic_store(&hurry.is_over, 1);
  CHECK(pthread_join(thread, NULL) == 0);
  OK(vlmz_session_classify(hurry.session, image, 1, &candidates, &count));
  vlmz_free(candidates);
  OK(vlmz_session_free(hurry.session));
  OK(vlmz_image_free(image));
  OK(vlmz_model_free(model));
}
