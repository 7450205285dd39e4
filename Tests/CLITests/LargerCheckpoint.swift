import Foundation
import VLMCheckpoint
import VLMTensor
import VLMTestSupport

/// A ConvNeXt of some 15 million parameters with arbitrary weights, in the names of timm: large
/// enough that a conversion can be met in the middle of it.
struct LargerCheckpoint {
  let folder: TemporaryFolder
  var path: String { folder.path("source/model.safetensors") }
  var output: String { folder.path("out/model.vlmz") }
  var partial: String { output + ".partial" }
  var journal: String { partial + ".journal" }

  /// Half the bytes of its container at 8 bits.
  static let halfway = 8_000_000
  private static let depths = [2, 2, 8, 2]
  private static let widths = [80, 160, 320, 640]

  init() throws {
    folder = try TemporaryFolder()
    for name in ["source", "out"] {
      try FileManager.default.createDirectory(
        atPath: folder.path(name), withIntermediateDirectories: true)
    }
    try Self.write(folder.path("source/model.safetensors"), seed: 1)
  }

  /// What is in the folder of the output.
  var names: [String] {
    get throws { try FileManager.default.contentsOfDirectory(atPath: folder.path("out")).sorted() }
  }

  static func write(_ path: String, seed: UInt64) throws {
    var shapes: [(String, [Int])] = []
    func pair(_ name: String, _ shape: [Int]) {
      shapes.append((name + ".weight", shape))
      shapes.append((name + ".bias", [shape[0]]))
    }
    pair("stem.0", [widths[0], 3, 4, 4])
    pair("stem.1", [widths[0]])
    for stage in 0..<4 {
      let width = widths[stage]
      if stage > 0 {
        pair("stages.\(stage).downsample.0", [widths[stage - 1]])
        pair("stages.\(stage).downsample.1", [width, widths[stage - 1], 2, 2])
      }
      for block in 0..<depths[stage] {
        let name = "stages.\(stage).blocks.\(block)"
        shapes.append((name + ".gamma", [width]))
        pair(name + ".conv_dw", [width, 1, 7, 7])
        pair(name + ".norm", [width])
        pair(name + ".mlp.fc1", [4 * width, width])
        pair(name + ".mlp.fc2", [width, 4 * width])
      }
    }
    pair("head.norm", [widths[3]])
    pair("head.fc", [100, widths[3]])
    var state = seed
    let entries = shapes.map { name, shape in
      let count = shape.reduce(1, *)
      let bytes = [UInt8](unsafeUninitializedCapacity: count * 2) { buffer, initialized in
        buffer.withMemoryRebound(to: UInt16.self) { halves in
          for index in 0..<count {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            // f16 of some size up to 0.06, either sign.
            let bits = UInt16(truncatingIfNeeded: state >> 40)
            halves[index] = bits & 0x83ff | 0x2400 | bits >> 4 & 0x0700
          }
        }
        initialized = count * 2
      }
      return SafetensorsWriter.Entry(name: name, dtype: .f16, shape: shape, bytes: bytes)
    }
    try SafetensorsWriter.write(path: path, overwrite: true, tensors: entries)
  }

  /// The container that an undisturbed conversion makes.
  func reference(_ flags: String...) throws -> Data {
    let path = folder.path("reference.vlmz")
    let outcome = try CommandRunner.run(
      "vlm-convert", [self.path, path, "--force", "-q"] + flags)
    guard outcome.status == 0 else { throw Failure(text: outcome.errors) }
    return try Data(contentsOf: URL(fileURLWithPath: path))
  }

  func content(_ path: String) throws -> Data { try Data(contentsOf: URL(fileURLWithPath: path)) }

  /// Starts a conversion, and stops it with a signal once the partial file has `byteCount` bytes.
  ///
  /// - Returns: whether it was still running.
  func start(_ flags: [String], and signal: Int32, at byteCount: Int) throws -> Bool {
    let command = try RunningCommand("vlm-convert", [path, output] + flags)
    let met = command.waits(until: partial, has: byteCount)
    command.send(signal)
    _ = try command.finish()
    return met
  }

  struct Failure: Error { let text: String }
}
