import Foundation
import Testing
import VLMContainer
import VLMFoundation
import VLMTensor
import VLMTestSupport

@testable import VLMDelta

/// Two containers, and what is done with them.
struct Pair {
  let folder: TemporaryFolder
  var old: String { folder.path("old.vlmz") }
  var new: String { folder.path("new.vlmz") }
  var delta: String { folder.path("d.vlmzd") }

  init() throws { folder = try TemporaryFolder() }

  struct Tensor {
    let name: String
    let format: TensorFormat
    let shape: [Int]
    var bytes: [UInt8]

    /// Bytes that look like noise, the same for a seed.
    init(_ name: String, _ format: TensorFormat, _ shape: [Int], seed: UInt64) {
      self.name = name
      self.format = format
      self.shape = shape
      var random = SplitMix64(seed: seed)
      let count = format.byteCount(shape: shape) ?? 0
      bytes = []
      bytes.reserveCapacity(count + 8)
      while bytes.count < count {
        withUnsafeBytes(of: random.next()) { bytes.append(contentsOf: $0) }
      }
      bytes.removeLast(bytes.count - count)
    }

    /// The same with every value of `step` bytes changed a little, up or down.
    func nudged(step: Int) -> Tensor {
      var other = self
      for start in stride(from: 0, to: bytes.count, by: step) {
        other.bytes[start] = bytes[start] &+ UInt8(truncatingIfNeeded: start / step % 3 &- 1)
      }
      return other
    }
  }

  static let panels = TensorFormat(scheme: .q8, layout: .panels)
  static let tensors = [
    Tensor("q8", panels, [48, 640], seed: 1),
    Tensor("q4", TensorFormat(scheme: .q4, layout: .panels), [48, 640], seed: 2),
    Tensor("f16", TensorFormat(scheme: .f16, layout: .panels), [32, 320], seed: 3),
    Tensor("f32", TensorFormat(scheme: .f32), [5000], seed: 4),
    Tensor("bf16", TensorFormat(scheme: .bf16), [77], seed: 5),
    Tensor("same", panels, [64, 640], seed: 6),
  ]

  @discardableResult
  static func write(
    _ path: String, _ tensors: [Tensor], config: String = #"{"a": 1}"#, labels: Int = 0,
    compress: Bool = true
  ) throws -> ContainerSummary {
    let writer = try ContainerWriter(path: path, overwrite: true, compress: compress)
    for tensor in tensors {
      try writer.beginTensor(
        name: tensor.name, format: tensor.format, role: .matrix, shape: tensor.shape)
      try writer.write(tensor.bytes)
      try writer.endTensor()
    }
    try writer.add(section: .config, Array(config.utf8))
    if labels > 0 {
      let names = (0..<labels).map { "\"class \($0)\"" }.joined(separator: ",")
      try writer.add(section: .labels, Array("[\(names)]".utf8))
    }
    return try writer.finish()
  }

  /// Writes the base and a target in which all but one tensor changed a little.
  func writeNudged() throws {
    try Self.write(old, Self.tensors, labels: 2000)
    let changed = Self.tensors.map { tensor in
      switch tensor.name {
      case "same": tensor
      case "f16", "bf16": tensor.nudged(step: 2)
      case "f32": tensor.nudged(step: 4)
      default: tensor.nudged(step: 1)
      }
    }
    try Self.write(new, changed, config: #"{"a": 2}"#, labels: 2000)
  }

  @discardableResult
  func make() throws -> DeltaSummary {
    try DeltaMaker(from: Container.open(path: old), to: Container.open(path: new))
      .write(to: delta, overwrite: true)
  }

  /// Applies the delta at `delta` to the model at `model`, which is replaced unless there is
  /// another output.
  static func apply(
    _ delta: String, to model: String, output: String? = nil, keeping: String? = nil,
    overwrite: Bool = false
  ) throws {
    let application = DeltaApplication(
      try DeltaFile.open(path: delta), to: try Container.open(path: model, isInput: false))
    try application.check()
    try application.write(
      to: output ?? model, overwrite: output == nil || overwrite, keepingOldAs: keeping,
      replacingKept: overwrite)
  }

  /// Makes the delta, applies it to the base, and compares the result with the target.
  @discardableResult
  func expectRoundTrip(
    sourceLocation: SourceLocation = #_sourceLocation
  ) throws -> DeltaSummary {
    let summary = try make()
    let result = folder.path("result.vlmz")
    try Self.apply(delta, to: old, output: result, overwrite: true)
    let isSame = try folder.read("result.vlmz") == Self.bytes(new)
    #expect(isSame, sourceLocation: sourceLocation)
    return summary
  }

  static func bytes(_ path: String) throws -> [UInt8] {
    Array(try Data(contentsOf: URL(fileURLWithPath: path)))
  }

  static let root = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
  static let goldens = root.appendingPathComponent("formats/golden/delta").path

  /// Paths of the files of a folder of `formats/golden` that end so, sorted.
  static func goldenFiles(_ folder: String, ending: String) throws -> [String] {
    let path = root.appendingPathComponent("formats/golden/" + folder).path
    return try FileManager.default.contentsOfDirectory(atPath: path)
      .filter { $0.hasSuffix(ending) }.sorted().map { path + "/" + $0 }
  }
}

/// The error thrown by `body`; records an issue if it throws nothing or another type.
func thrown<R>(
  sourceLocation: SourceLocation = #_sourceLocation, by body: () throws -> R
) -> DeltaError? {
  var error: DeltaError?
  do { _ = try body() } catch let caught { error = caught as? DeltaError }
  #expect(error != nil, sourceLocation: sourceLocation)
  return error
}
