"""Tests of vlm-serve --memory; run by scripts/test-server."""

import concurrent.futures
import unittest

from server import Server
from test_server import model

MIB = 1 << 20
LIMIT = 64 * MIB


def completion(seed, **more):
    return {
        "model": "stories", "prompt": "Once upon a time", "max_tokens": 200, "temperature": 1,
        "seed": seed, **more,
    }


class MemoryTests(unittest.TestCase):
    def test_keys_and_values_have_a_bound_and_answers_wait_for_them(self):
        # 256 contexts would take more than there is.
        arguments = (model("stories"), "--port", "0", "--parallel", "256", "--kv", "f32")
        with Server(*arguments) as server:
            unbounded = server.metrics()
            alone = server.post("/v1/completions", completion(1))[1]
        with Server(*arguments, "--memory", "64MiB") as server:
            before = server.metrics()
            self.assertEqual(before["vlmz_memory_limit_bytes"], LIMIT)
            self.assertNotIn("vlmz_memory_limit_bytes", unbounded)
            name = 'vlmz_cache_bytes{model="stories"}'
            self.assertLess(before[name], LIMIT)
            self.assertLess(before[name], unbounded[name])
            self.assertTrue(any("memory has room for" in line for line in server.errors))
            with concurrent.futures.ThreadPoolExecutor(32) as pool:
                answers = list(pool.map(
                    lambda seed: server.post("/v1/completions", completion(seed, n=8)), range(32)))
            self.assertEqual({status for status, _ in answers} - {200, 429}, set())
            self.assertIn(200, {status for status, _ in answers})
            after = server.metrics()
            self.assertEqual(after[name], before[name])
            self.assertLessEqual(after['vlmz_cache_bytes_used{model="stories"}'], after[name])
            # The debug build's own pages are a file's; what is left over is its heap's.
            self.assertLess(after["vlmz_private_memory_bytes"], LIMIT)
            again = server.post("/v1/completions", completion(1))[1]
            self.assertEqual(again["choices"][0]["text"], alone["choices"][0]["text"])

    def test_a_context_that_has_no_room_ends_the_start(self):
        server = Server(
            model("stories"), "--port", "0", "--memory", "24MiB", "--ctx", "200000", listens=False)
        self.assertEqual(server.process.wait(timeout=60), 71)
        server.close()
        self.assertTrue(any("a context of 200000 positions" in line for line in server.errors))

    def test_weights_without_room_are_read_as_they_are_used_beside_keys_and_values(self):
        with Server(model("stories"), model("llava"), "--port", "0", "--memory", "16MiB") as server:
            metrics = server.metrics()
            for name in ("stories", "llava"):
                label = '{model="%s"}' % name
                self.assertGreater(metrics["vlmz_weight_bytes" + label], 0)
                self.assertLessEqual(
                    metrics["vlmz_weight_bytes_held" + label], metrics["vlmz_weight_bytes" + label])
                self.assertLess(metrics["vlmz_cache_bytes" + label], 16 * MIB)
            status, answer = server.post("/v1/completions", completion(1, max_tokens=20))
            self.assertEqual(status, 200, answer)


if __name__ == "__main__":
    unittest.main()
