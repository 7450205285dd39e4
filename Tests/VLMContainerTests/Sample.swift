import VLMContainer
import VLMTensor
import VLMTestSupport

/// A small container with every feature, and functions to write and read it.
struct Sample {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  struct Piece {
    let name: String
    let format: TensorFormat
    let role: TensorRole
    let shape: [Int]
    let bytes: [UInt8]

    init(
      _ name: String, _ format: TensorFormat, _ role: TensorRole, _ shape: [Int], seed: Int = 1
    ) {
      self.name = name
      self.format = format
      self.role = role
      self.shape = shape
      let count = format.byteCount(shape: shape) ?? 0
      bytes = (0..<count).map { UInt8(truncatingIfNeeded: ($0 &+ seed) &* 89 &+ $0 >> 6) }
    }
  }

  /// Not sorted by name. The panels are not valid blocks.
  static let pieces = [
    Piece(
      "stem.weight", TensorFormat(scheme: .f32, order: .channelsLast), .convolution, [4, 3, 2, 2]),
    Piece("head", TensorFormat(scheme: .q8, layout: .panels), .head, [17, 33], seed: 2),
    Piece("fc.weight", TensorFormat(scheme: .q4, layout: .panels), .matrix, [3, 32], seed: 3),
    Piece("norm", TensorFormat(scheme: .f32), .vector, [5], seed: 4),
    Piece("scale", TensorFormat(scheme: .f16), .vector, [], seed: 5),
    Piece("dw", TensorFormat(scheme: .f32, order: .tapsFirst), .depthwise, [2, 1, 3, 3], seed: 6),
  ]

  static let config = Array(#"{"model":"convnext","depths":[3,3,27,3]}"#.utf8)
  /// Long enough to be compressed.
  static let labels = Array(
    ("[" + (0..<1000).map { "\"class \($0)\"" }.joined(separator: ",") + "]").utf8)

  /// Writes the sample, cutting tensors into pieces of `chunk` bytes.
  @discardableResult
  func write(
    _ name: String = "sample.vlmz", pieces: [Piece] = Sample.pieces, chunk: Int = 1 << 20,
    labelsFirst: Bool = true, compress: Bool = true, overwrite: Bool = false
  ) throws -> ContainerSummary {
    let writer = try ContainerWriter(
      path: folder.path(name), overwrite: overwrite, compress: compress)
    if labelsFirst { try writer.add(section: .labels, Self.labels) }
    for piece in pieces {
      try writer.beginTensor(
        name: piece.name, format: piece.format, role: piece.role, shape: piece.shape)
      for start in stride(from: 0, to: piece.bytes.count, by: chunk) {
        try writer.write(Array(piece.bytes[start..<min(start + chunk, piece.bytes.count)]))
      }
      try writer.endTensor()
    }
    try writer.add(section: .config, Self.config)
    if !labelsFirst { try writer.add(section: .labels, Self.labels) }
    return try writer.finish()
  }

  func open(_ name: String = "sample.vlmz") throws -> Container {
    try Container.open(path: folder.path(name))
  }

  /// The first defect of `bytes` as a file; nil if none.
  func defect(_ bytes: [UInt8]) throws -> ContainerError? {
    try Golden.firstDefect(folder.write("case.vlmz", bytes), strict: false).error
  }
}
