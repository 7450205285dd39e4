import Foundation
import Testing
import VLMFoundation
import VLMTensor
import VLMTestSupport

/// Small models and pictures, sound and not, for commands about many of them.
struct BatchFixture {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  static let horse = TestFiles.root.appendingPathComponent("docs/images/horse.png").path
  static let rocket = TestFiles.root.appendingPathComponent("docs/images/rocket.jpg").path
  static let trained = TestFiles.fixture("goldens/convllava-trained")
  static let cup = trained + "/cup.png"
  static let cat = trained + "/cat.png"
  static let zeroShot = TestFiles.fixture("zero-shot")

  func model(_ checkpoint: String, _ scheme: String) throws -> String {
    let path = folder.path("model.vlmz")
    let outcome = try CommandRunner.convert(checkpoint, path, scheme, "-q", "--force")
    try #require(outcome.status == 0, "\(outcome.errors)")
    return path
  }

  /// Ten classes of CIFAR-10.
  func classifier() throws -> String { try model(TestFiles.fixture("convnext-cifar10"), "--q8") }

  /// The LLaVA that was taught a dozen answers about the pictures beside it.
  func llava() throws -> String { try model(Self.trained + "/hf-A-safetensors", "--q4") }

  func language() throws -> String { try model(TestFiles.fixture("stories260K"), "--f32") }

  static func bytes(_ path: String) throws -> [UInt8] {
    Array(try Data(contentsOf: URL(fileURLWithPath: path)))
  }

  /// The first half of a PNG.
  func damaged(_ name: String = "damaged.png") throws -> String {
    let bytes = try Self.bytes(Self.horse)
    return try folder.write(name, Array(bytes.prefix(bytes.count / 2)))
  }

  func run(
    _ model: String, _ arguments: [String], input: String? = nil, status: Int32 = 0,
    sourceLocation: SourceLocation = #_sourceLocation
  ) throws -> CommandRunner.Outcome {
    let outcome = try CommandRunner.run(
      "vlm-run", [model] + arguments, input: input.map { Data($0.utf8) })
    #expect(outcome.status == status, "\(outcome.errors)", sourceLocation: sourceLocation)
    return outcome
  }
}

extension CommandRunner.Outcome {
  /// The objects of `--jsonl`.
  var objects: [JSONValue] {
    get throws {
      try output.split(separator: "\n").map { try JSONValue.parse(Array($0.utf8)) }
    }
  }
}

/// The array of a `.npy` file of 32-bit floats.
func numpy(_ bytes: [UInt8]) -> (header: String, values: [Float]) {
  let length = Int(bytes[8]) | Int(bytes[9]) << 8
  let values = bytes[(10 + length)...].withUnsafeBytes { buffer in
    (0..<buffer.count / 4).map { buffer.loadUnaligned(fromByteOffset: 4 * $0, as: Float.self) }
  }
  return (String(decoding: bytes[10..<10 + length], as: UTF8.self), values)
}
