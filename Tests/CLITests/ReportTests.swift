import Foundation
import Testing
import VLMFoundation

@testable import VLMCommandLine

/// What reaches a terminal.
struct ReportTests {
  @Test(
    "sizes are told in powers of 1000",
    arguments: [
      (0, "0 B"), (999, "999 B"), (1000, "1.00 kB"), (353_704, "353.7 kB"),
      (1_690_000, "1.69 MB"), (4_560_000_000, "4.56 GB"), (13_540_000_000_000, "13540.0 GB"),
    ])
  func sizes(_ count: Int, _ text: String) {
    #expect(byteText(count) == text)
  }

  @Test("what could move a cursor, hide text or end a line is spelled out")
  func escaping() {
    let name = "a\u{1B}[2Jb\nc\r\t\u{202E}d\u{2028}e\u{0}\u{200B}é日🌋"
    let shown = name.escapedForDisplay()
    #expect(
      shown == "a\\u{1b}[2Jb\\u{a}c\\u{d}\\u{9}\\u{202e}d\\u{2028}e\\u{0}\\u{200b}é日🌋")
    #expect(String(repeating: "é", count: 300).escapedForDisplay().count == 201)
    #expect("abc".escapedForDisplay(limit: 2) == "ab…")
    #expect("".escapedForDisplay().isEmpty)
  }

  @Test("an error of a file is one line with the name, the call and the system's reason")
  func fileErrors() {
    let error = FileError(path: "a\nb", problem: .call("open", errno: ENOENT))
    #expect(error.description == "a\\u{a}b: open failed: No such file or directory")
    #expect(!error.description.contains("\n"))
  }

  @Test("a line of progress has share, bytes, rate and the time that is left")
  func progress() {
    let bytes = Progress("copying", total: 1_000_000_000, unit: .bytes, quiet: true)
    #expect(bytes.line(0, elapsed: 0) == "copying 0 %, 0 MB of 1000 MB")
    #expect(
      bytes.line(500_000_000, elapsed: 2, detail: "name")
        == "copying 50 %, 500 MB of 1000 MB, 250 MB/s, 3 s left  name")
    #expect(
      bytes.line(1_000_000_000, elapsed: 4)
        == "copying 100 %, 1000 MB of 1000 MB, 250 MB/s, 1 s left")
    let large = Progress("loading", total: 13_540_000_000, unit: .bytes, quiet: true)
    #expect(large.line(12_000_000_000, elapsed: 0) == "loading 88 %, 12.0 GB of 13.5 GB")
    let items = Progress("scoring", total: 3, unit: .items, quiet: true)
    #expect(items.line(1, elapsed: 1) == "scoring 33 %, 3 s left")
    #expect(items.line(1, elapsed: 0.4) == "scoring 33 %")
    let long = String(repeating: "n", count: 100)
    #expect(items.line(0, elapsed: 9, detail: long).count == "scoring 0 %  ".count + 48)
  }

  @Test("of nothing all is done")
  func nothing() {
    let none = Progress("scoring", total: 0, unit: .items, quiet: true)
    #expect(none.line(0, elapsed: 9) == "scoring 100 %")
  }

  @Test("the clock does not go back")
  func clock() {
    let first = Progress.now()
    #expect(Progress.now() >= first)
  }
}
