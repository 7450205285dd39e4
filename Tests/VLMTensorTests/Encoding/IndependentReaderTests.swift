import Foundation
import Testing
import VLMTestSupport

@testable import VLMTensor

/// `scripts/vlmz_blocks.py` was written from `formats/blocks.md` alone; the two must agree.
@Suite("Independent reader")
struct IndependentReaderTests {
  static let script = TestFiles.root.appendingPathComponent("scripts/vlmz_blocks.py").path

  /// Runs Python over `input`; nil when there is none.
  private static func python(_ arguments: [String], input: [UInt8] = []) throws -> [UInt8]? {
    let folder = FileManager.default.temporaryDirectory
      .appendingPathComponent("vlmz-blocks-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    // Files and not pipes: neither side can block the other.
    let (from, to) = (folder.appendingPathComponent("in"), folder.appendingPathComponent("out"))
    try Data(input).write(to: from)
    try Data().write(to: to)
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = ["python3"] + arguments
    process.standardInput = try FileHandle(forReadingFrom: from)
    process.standardOutput = try FileHandle(forWritingTo: to)
    try process.run()
    process.waitUntilExit()
    return process.terminationStatus == 0 ? [UInt8](try Data(contentsOf: to)) : nil
  }

  static let hasPython = (try? python(["--version"])).flatMap { $0 } != nil

  @Test(
    "the Python reader finds no broken rule and decodes the same bits",
    .enabled(if: hasPython, "needs python3"),
    arguments: [Scheme.f16, .bf16, .q8, .q4, .q3, .q5, .q6])
  func agrees(scheme: Scheme) throws {
    let format = TensorFormat(scheme: scheme, layout: .panels)
    for (outputs, inputs) in [(17, 33), (1, 1), (33, 95)] {
      let values = Distribution.studentT5.values(outputs * inputs, seed: 31)
      let shape = [outputs, inputs]
      let (bytes, _) = try TensorEncoder.encode(values: values, shape: shape, format: format)
      let ours = try TensorEncoder.decode(bytes: bytes, shape: shape, format: format)
      let theirs = try #require(
        try Self.python(
          [Self.script, "decode", "\(scheme.code)", "\(outputs)", "\(inputs)"], input: bytes))
      #expect(theirs == ours.withUnsafeBytes { [UInt8]($0) }, "\(shape)")
    }
  }

  @Test(
    "the Python reader's own check of the worked example passes",
    .enabled(if: hasPython, "needs python3"))
  func selfCheck() throws {
    #expect(try Self.python([Self.script]) != nil)
  }
}
