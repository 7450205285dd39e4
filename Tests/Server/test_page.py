"""The page at / in headless Chromium; run by scripts/test-server.

VLM_SCREENSHOTS names a folder for pictures of it, in light and dark.
"""

import os
import shutil
import unittest

from playwright.sync_api import sync_playwright

from server import Server
from test_server import CUP, HORSE, model, vlm_run

CHROMIUM = shutil.which("chromium")


class PageTests(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server(
            model("llava"), model("cifar"), model("clip"), "--port", "0", "--api-key", "page-key")
        cls.playwright = sync_playwright().start()
        # Chromium's own sandbox needs what containers do not give.
        cls.browser = cls.playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox"])

    @classmethod
    def tearDownClass(cls):
        cls.browser.close()
        cls.playwright.stop()
        assert cls.server.stop() == 0, cls.server.errors

    def open(self, **options):
        context = self.browser.new_context(viewport={"width": 900, "height": 760}, **options)
        self.addCleanup(context.close)
        page = context.new_page()
        self.problems = []
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        # Chromium calls a stream aborted whose end the page saw before the network did.
        page.on("requestfailed", lambda request: self.problems.append(request.url)
                if request.failure != "net::ERR_ABORTED" else None)
        page.on("request", lambda request: self.problems.append(request.url)
                if not request.url.startswith((self.server.url, "data:", "blob:")) else None)
        page.goto(self.server.url)
        # The key is asked for, and has the focus.
        page.get_by_label("Key").wait_for()
        page.keyboard.type("page-key")
        page.keyboard.press("Enter")
        page.locator("#model option").first.wait_for(state="attached")
        return page

    def add(self, page, path):
        page.get_by_label("Add picture").set_input_files(path)
        page.get_by_role("button", name="Remove").wait_for()

    def shot(self, page, name):
        folder = os.environ.get("VLM_SCREENSHOTS")
        if folder:
            page.screenshot(path=os.path.join(folder, name + ".png"))

    def test_question_about_a_picture_is_answered_and_talked_on(self):
        for scheme in ("light", "dark"):
            page = self.open(color_scheme=scheme)
            self.shot(page, f"page-{scheme}-begin")
            self.add(page, CUP)
            question = page.get_by_label("Question")
            question.fill("What is in the picture?")
            question.press("Enter")
            page.locator(".note").nth(0).wait_for()
            expected = vlm_run(model("llava"), CUP, "-p", "What is in the picture?")["text"]
            self.assertEqual(page.locator(".assistant .said").inner_text(), expected)
            question.fill("Is there an animal?")
            question.press("Enter")
            page.locator(".note").nth(1).wait_for()
            self.assertEqual(page.locator("[role=log] > section").count(), 4)
            self.shot(page, f"page-{scheme}-chat")
            # The picture of the conversation.
            page.get_by_role("button", name="Explain").click()
            page.locator("img.map").wait_for()
            page.get_by_role("button", name="New conversation").click()
            self.assertEqual(page.locator("[role=log] > section").count(), 0)
            self.assertEqual(self.problems, [])

    def test_classes_are_bars_and_the_features_a_drawing(self):
        page = self.open(color_scheme="dark")
        page.get_by_label("Model").select_option("cifar")
        self.add(page, HORSE)
        page.get_by_role("button", name="Classify").click()
        page.locator("ol.bars").wait_for()
        self.assertTrue(page.locator("ol.bars li").first.inner_text().startswith("horse"))
        self.shot(page, "page-dark-classes")
        page.get_by_role("button", name="Explain").click()
        page.locator("img.map").wait_for()
        self.shot(page, "page-dark-explain")
        self.assertEqual(self.problems, [])

    def test_labels_choose_for_models_that_read_texts(self):
        page = self.open()
        page.get_by_label("Model").select_option("clip")
        hint = page.get_by_role("alert")
        page.get_by_role("button", name="Classify").click()
        self.assertEqual(hint.inner_text(), "Add a picture first")
        page.get_by_label("Add picture").set_input_files(__file__)
        self.assertEqual(hint.inner_text(), os.path.basename(__file__) + " is no picture")
        self.add(page, CUP)
        page.get_by_role("button", name="Classify").click()
        self.assertIn("labels", hint.inner_text())
        page.get_by_label("Labels").fill("a cat, a cup")
        page.get_by_role("button", name="Classify").click()
        page.locator("ol.bars").wait_for()
        self.assertEqual(page.locator("ol.bars li").count(), 2)
        self.assertEqual(self.problems, [])

    def test_everything_has_a_name_and_the_keyboard_reaches_it(self):
        page = self.open()
        names = set()
        for _ in range(12):
            page.keyboard.press("Tab")
            names.add(page.evaluate_handle("document.activeElement").get_property("id").json_value())
        self.assertLessEqual({"model", "fresh", "file", "draw", "text", "send"}, names)
        for control in page.locator("button:visible, input:visible, select:visible, textarea:visible").all():
            name = control.evaluate(
                "e => e.getAttribute('aria-label') || e.labels?.[0]?.textContent || e.textContent")
            self.assertTrue(name.strip(), control)

    def test_error_of_the_server_is_shown(self):
        page = self.open()
        page.get_by_label("Question").fill("word " * 20000)
        page.get_by_label("Question").press("Enter")
        page.locator(".error").wait_for()
        self.assertIn("expected at most", page.locator(".error").inner_text())


if __name__ == "__main__":
    unittest.main(verbosity=2)
