import Foundation
import Testing
import VLMCommandLine
import VLMTestSupport

/// What the commands do with names that are no UTF-8, and where `/proc` is not there.
@Suite("Names and places of the system")
struct FileNameCommandTests {
  static let checkpoint = TestFiles.fixture("convnext-cifar10")
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  @Test("the arguments of the process are its own")
  func arguments() {
    #expect(ProcessArguments.all == CommandLine.arguments)
  }

  @Test("a name is the bytes of the argument, of inputs and of outputs")
  func latin() throws {
    let outcome = try CommandRunner.shell(
      """
      set -e; cd "$1"; e=$(printf '\\351'); mkdir "in$e"; cp "$2"/* "in$e"
      cp "$3" "bild$e.png"
      "$BIN/vlm-convert" "in$e" "out$e.vlmz" -q
      "$BIN/vlm-run" "out$e.vlmz" "bild$e.png" --top 1 -q
      "$BIN/vlm-run" "out$e.vlmz" "bild$e.png" --embed "zeilen$e.npy" --dump "alles$e.safetensors" \\
        --explain "sicht$e.png" -q >/dev/null
      "$BIN/vlm-convert" extract "out$e.vlmz" "tensoren$e.safetensors" -q
      "$BIN/vlm-convert" inspect "tensoren$e.safetensors" | head -n 1
      "$BIN/vlm-convert" diff "in$e" "out$e.vlmz" --tolerance 1 -q
      "$BIN/vlm-run" "out$e.vlmz" "bild$e.png" --jsonl -q | cut -c1-50
      for name in "out$e.vlmz" "zeilen$e.npy" "alles$e.safetensors" "sicht$e.png" \\
        "tensoren$e.safetensors"; do test -f "$name"; done
      ls | LC_ALL=C tr -d '\\001-\\176' | wc -c
      """, folder.url.path, Self.checkpoint, DemonstrationTests.horse)
    #expect(outcome.status == 0, "\(outcome.errors)")
    let lines = outcome.output.split(separator: "\n").map(String.init)
    try #require(lines.count >= 5, "\(outcome.output)")
    #expect(lines[0].hasPrefix("bild\\xE9.png  ("))
    #expect(lines[1].contains("horse"))
    #expect(lines[2].hasPrefix("tensoren\\xE9.safetensors: safetensors"))
    #expect(lines[3].contains("\"image\":\"bild\u{10ffe9}.png\""))
    // A byte of each name, and nothing else that is not ASCII.
    #expect(lines[4].trimmingCharacters(in: .whitespaces) >= "7")
  }

  @Test("a name that is not there is told byte by byte")
  func missing() throws {
    let outcome = try CommandRunner.shell("\"$BIN/vlm-run\" \"$(printf 'a\\351\\n\\033b')\" x.png")
    #expect(outcome.status == 66)
    #expect(
      outcome.errorLine
        == "vlm-run: a\\xE9\\u{a}\\u{1b}b: open failed: No such file or directory")
  }

  @Test("a text that is no UTF-8 is repaired as any other input is")
  func text() throws {
    let model = folder.path("m.vlmz")
    try #require(
      try CommandRunner.convert(TestFiles.fixture("stories260K"), model, "--f32", "-q").status == 0)
    let script = "\"$BIN/vlm-run\" \"$1\" -p \"$(printf \"$2\")\" --template none -n 8 -q"
    let raw = try CommandRunner.shell(script, model, "Once \\351 upon")
    let repaired = try CommandRunner.shell(script, model, "Once \\357\\277\\275 upon")
    #expect(raw.status == 0, "\(raw.errors)")
    #expect(raw.output == repaired.output)
  }

  /// Whether this process may leave `/proc` away.
  static let canUnshare: Bool = {
    guard getuid() == 0 else { return false }
    let outcome = try? CommandRunner.shell(
      "unshare -m sh -c 'umount -l /proc && ! test -e /proc/self'")
    return outcome?.status == 0
  }()

  @Test(
    "the commands run without /proc",
    .enabled(if: canUnshare, "needs the right to unmount /proc for a process"))
  func withoutProc() throws {
    let model = folder.path("m.vlmz")
    let outcome = try CommandRunner.shell(
      """
      export BIN; exec unshare -m sh -c 'umount -l /proc; set -e
      "$BIN/vlm-convert" "$1" "$2" -q; "$BIN/vlm-convert" verify "$2" -q
      "$BIN/vlm-run" "$2" "$3" --top 1 -q; "$BIN/vlm-run" --version | head -n 1' sh "$@"
      """, Self.checkpoint, model, DemonstrationTests.horse)
    #expect(outcome.status == 0, "\(outcome.errors)")
    #expect(outcome.output.contains("horse"))
    #expect(outcome.output.contains("vlm-run 0."))
  }
}
