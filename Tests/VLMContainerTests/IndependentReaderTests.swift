import Foundation
import Testing
import VLMContainer

/// `scripts/read_vlmz.py` was written from the specification alone; the two readers must agree.
@Suite("The second reader")
struct IndependentReaderTests {
  static let script = Golden.root.appendingPathComponent("scripts/read_vlmz.py").path

  private static func run(_ arguments: [String]) throws -> (status: Int32, output: String) {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = ["python3"] + arguments
    let pipe = Pipe()
    process.standardOutput = pipe
    process.standardError = FileHandle.nullDevice
    try process.run()
    let data = pipe.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return (process.terminationStatus, String(decoding: data, as: UTF8.self))
  }

  /// Python, and something that decodes zstd.
  static let isPossible =
    (try? run([
      "-c",
      "import shutil, importlib.util as u, sys; "
        + "sys.exit(0 if shutil.which('zstd') or u.find_spec('zstandard') else 1)",
    ]))?.status == 0

  @Test(
    "it accepts and refuses the golden files, for the same rules",
    .enabled(if: isPossible, "needs python3 and zstd"))
  func goldens() throws {
    let files = Golden.files("accept") + Golden.files("reject")
    let lines = try Self.run([Self.script] + files).output.split(separator: "\n")
    #expect(lines.count == files.count)
    for (file, line) in zip(files, lines) {
      let error = try Golden.firstDefect(file).error
      let ending = error.flatMap(\.rule).map { "[\($0.rawValue)]" } ?? "tensors"
      #expect(line.hasPrefix(file) && line.hasSuffix(ending), "\(line)")
    }
  }

  @Test(
    "it reads what the writer writes", .enabled(if: isPossible, "needs python3 and zstd"))
  func written() throws {
    let sample = try Sample()
    // Without panels, because the sample's are not valid blocks.
    let summary = try sample.write(
      pieces: Sample.pieces.filter { $0.format.layout == .rowMajor })
    let path = sample.folder.path("sample.vlmz")
    let all = try Self.run([Self.script, path])
    #expect(all.status == 0)
    #expect(all.output.contains("root \(hexadecimal(summary.rootHash)), 4 sections, 4 tensors"))
    let labels = try Self.run([Self.script, "--section", "4", path])
    #expect(labels.output == String(decoding: Sample.labels, as: UTF8.self))
  }
}
