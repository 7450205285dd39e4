import Synchronization
import VLMCheckpoint
import VLMContainer
import VLMTensor

/// A run of whole outputs of one tensor, encoded in one go.
struct TensorPiece {
  let tensor: SourceTensor
  let item: ConversionPlan.Item
  /// Of axis 0 of the shape; a scalar has one.
  let outputs: Range<Int>
  /// Bytes of the container that the piece makes.
  let byteCount: Int
  let isFirst: Bool
  let isLast: Bool

  var perOutput: Int { item.spec.shape.dropFirst().reduce(1, *) }
  var elements: Range<Int> { outputs.lowerBound * perOutput..<outputs.upperBound * perOutput }
  /// Bytes of the checkpoint that it is made from.
  var sourceByteCount: Int {
    let share = Double(elements.count) / Double(max(1, tensor.stored.elementCount))
    return Int(Double(tensor.byteCount) * share)
  }

  /// What its encoder makes use of; nil where it makes use of nothing or nothing is known.
  func statistics(
    _ all: (any TensorStatistics)?, kernels: KernelSet, pool: WorkerPool
  ) throws -> CalibrationStatistics? {
    guard let all, item.format.layout == .panels,
      let (_, inputs) = item.format.matrixShape(item.spec.shape)
    else { return nil }
    return try all.statistics(
      of: item.spec.path, inputs: inputs, for: item.format.scheme, kernels: kernels, pool: pool)
  }
}

/// Encodes pieces of tensors, the panels of a piece in parallel.
///
/// Statistics are kept per panel and merged in order, so bytes and report do not depend on the
/// number of threads.
struct TensorStream {
  private let pool: WorkerPool
  private let kernels: KernelSet
  private let scratch: [Scratch]

  /// Values and bytes of one piece, about: enough panels that no thread waits long for another.
  private static let pieceValues = 8 << 20
  private static let pieceBytes = 16 << 20
  /// Values of a row-major tensor that a thread takes at a time.
  private static let chunkValues = 64 << 10

  /// What a thread works in; grows to the widest panel and stays.
  private final class Scratch: @unchecked Sendable {
    private var values = Activations(count: 1)
    private var ordered = Activations(count: 1)

    func withValues<R>(
      _ count: Int, _ body: (UnsafeMutableBufferPointer<Float>) throws -> R
    ) rethrows -> R {
      if values.count < count { values = Activations(count: count) }
      return try values.withValues(count, body)
    }

    func withOrdered<R>(
      _ count: Int, _ body: (UnsafeMutableBufferPointer<Float>) throws -> R
    ) rethrows -> R {
      if ordered.count < count { ordered = Activations(count: count) }
      return try ordered.withValues(count, body)
    }
  }

  /// - Parameter kernels: whose instruction set the encoders may use.
  init(pool: WorkerPool, kernels: KernelSet) {
    self.pool = pool
    self.kernels = kernels
    scratch = (0..<pool.threadCount).map { _ in Scratch() }
  }

  /// Cuts a tensor into pieces of bounded size.
  static func pieces(
    of tensor: SourceTensor, _ item: ConversionPlan.Item
  ) throws(TensorEncodingError) -> [TensorPiece] {
    let (format, shape) = (item.format, item.spec.shape)
    let misfit = TensorEncodingError(problem: .formatDoesNotFit(format: format, shape: shape))
    let outputs = shape.first ?? 1
    let perOutput = max(1, shape.dropFirst().reduce(1, *))
    let step: Int
    switch format.layout {
    case .panels:
      guard let (_, inputs) = format.matrixShape(shape),
        let panelBytes = format.panelByteCount(inputs: inputs)
      else { throw misfit }
      let panelOutputs = TensorFormat.panelOutputs
      let panels = min(pieceValues / (panelOutputs * inputs), pieceBytes / panelBytes)
      step = max(1, panels) * panelOutputs
    case .rowMajor:
      // A depthwise filter interleaves all its channels; it is small, and taken whole.
      let rows = max(1, pieceBytes / 4 / perOutput)
      step =
        format.order == .tapsFirst ? outputs : max(1, rows / tensor.unit) * tensor.unit
    }
    var pieces: [TensorPiece] = []
    for first in stride(from: 0, to: outputs, by: max(1, step)) {
      let range = first..<min(outputs, first + step)
      var pieceShape = shape
      if !pieceShape.isEmpty { pieceShape[0] = range.count }
      guard let byteCount = format.byteCount(shape: pieceShape) else { throw misfit }
      pieces.append(
        TensorPiece(
          tensor: tensor, item: item, outputs: range, byteCount: byteCount, isFirst: first == 0,
          isLast: range.upperBound == outputs))
    }
    return pieces
  }

  /// Encodes `piece` into the first of its `byteCount` bytes of `bytes`, which are 64-byte aligned.
  ///
  /// - Parameter statistics: of the matrix that it is a piece of.
  func encode(
    _ piece: TensorPiece, _ statistics: CalibrationStatistics? = nil,
    into bytes: UnsafeMutableRawBufferPointer
  ) throws -> QuantizationError {
    precondition(bytes.count >= piece.byteCount, "room for the piece")
    let format = piece.item.format
    if let stored = piece.tensor.container, stored.format == format,
      stored.shape == piece.item.spec.shape, !piece.tensor.isScaled
    {
      return try copy(piece, stored, into: bytes)
    }
    if format.layout == .panels { return try encodePanels(piece, statistics, into: bytes) }
    let isInPlace = format.holdsFloats && format.order == .natural
    return try isInPlace ? encodeFloats(piece, into: bytes) : encodeWhole(piece, into: bytes)
  }

  private func encodePanels(
    _ piece: TensorPiece, _ statistics: CalibrationStatistics?,
    into bytes: UnsafeMutableRawBufferPointer
  ) throws -> QuantizationError {
    let (format, shape) = (piece.item.format, piece.item.spec.shape)
    guard let (_, inputs) = format.matrixShape(shape),
      let panelBytes = format.panelByteCount(inputs: inputs)
    else { throw TensorEncodingError(problem: .formatDoesNotFit(format: format, shape: shape)) }
    let panelOutputs = TensorFormat.panelOutputs
    let destination = SendableBuffer(bytes)
    let count = (piece.outputs.count + panelOutputs - 1) / panelOutputs
    return try inParallel(count) { part, scratch in
      let start = piece.outputs.lowerBound + part * panelOutputs
      let outputs = start..<min(start + panelOutputs, piece.outputs.upperBound)
      let elements = outputs.lowerBound * inputs..<outputs.upperBound * inputs
      let panel = destination.base + part * panelBytes
      func encode(_ rows: UnsafeMutableBufferPointer<Float>) -> QuantizationError {
        guard let rows = rows.baseAddress else { return QuantizationError() }
        return PanelEncoder.encode(
          rows: rows, rowCount: outputs.count, rowStride: inputs, inputs: inputs,
          scheme: format.scheme, statistics: statistics, kernels: kernels, into: panel)
      }
      return try scratch.withValues(elements.count) { values in
        try piece.tensor.readFloats(elements, into: values)
        if format.order == .natural { return encode(values) }
        return scratch.withOrdered(elements.count) { ordered in
          guard let from = values.baseAddress, let to = ordered.baseAddress else {
            return QuantizationError()
          }
          format.order.store(from, shape: shape, outputs: outputs, into: to)
          return encode(ordered)
        }
      }
    }
  }

  /// Copies a tensor that a container stores in the wanted format already: encoding it again could only
  /// lose accuracy.
  private func copy(
    _ piece: TensorPiece, _ stored: ContainerElements,
    into bytes: UnsafeMutableRawBufferPointer
  ) throws -> QuantizationError {
    let tensor = piece.tensor.stored
    let range = stored.byteRange(ofElements: piece.elements)
    precondition(range.count == piece.byteCount, "a piece is of whole panels")
    let fault = tensor.withBytes { source in
      bytes.copyMemory(from: UnsafeRawBufferPointer(rebasing: source[range]))
      return stored.fault(in: source, outputs: piece.outputs)
    }
    if let fault {
      throw ContainerError(
        path: tensor.source.path, place: .tensor(tensor.name), problem: .broken(.r51, fault))
    }
    // The values are read all the same, because the report counts them and those that are not finite.
    let chunk = Self.chunk(of: piece)
    let elements = piece.elements
    return try inParallel((elements.count + chunk - 1) / chunk) { part, scratch in
      let first = elements.lowerBound + part * chunk
      let range = first..<min(first + chunk, elements.upperBound)
      return try scratch.withValues(range.count) { values in
        try piece.tensor.readFloats(range, into: values)
        guard let base = values.baseAddress else { return QuantizationError() }
        return QuantizationError(count: range.count, values: base, decoded: base)
      }
    }
  }

  /// Values that a thread takes at a time: a multiple of those that must be read together.
  private static func chunk(of piece: TensorPiece) -> Int {
    guard piece.tensor.unit > 1 else { return chunkValues }
    let together = piece.tensor.unit * piece.perOutput
    return max(1, chunkValues / together) * together
  }

  /// f32 in the order of the checkpoint: read straight into place.
  private func encodeFloats(
    _ piece: TensorPiece, into bytes: UnsafeMutableRawBufferPointer
  ) throws -> QuantizationError {
    let (elements, chunk) = (piece.elements, Self.chunk(of: piece))
    let destination = SendableBuffer(bytes)
    let count = (elements.count + chunk - 1) / chunk
    return try inParallel(count) { part, _ in
      let start = part * chunk
      let length = min(chunk, elements.count - start)
      let values = (destination.base + start * 4).bindMemory(to: Float.self, capacity: length)
      let first = elements.lowerBound + start
      try piece.tensor.readFloats(
        first..<first + length, into: UnsafeMutableBufferPointer(start: values, count: length))
      return QuantizationError(count: length, values: values, decoded: values)
    }
  }

  /// Everything else is small.
  private func encodeWhole(
    _ piece: TensorPiece, into bytes: UnsafeMutableRawBufferPointer
  ) throws -> QuantizationError {
    var values = [Float](repeating: 0, count: piece.elements.count)
    try values.withUnsafeMutableBufferPointer {
      try piece.tensor.readFloats(piece.elements, into: $0)
    }
    var shape = piece.item.spec.shape
    if !shape.isEmpty { shape[0] = piece.outputs.count }
    let (encoded, error) = try TensorEncoder.encode(
      values: values, shape: shape, format: piece.item.format, kernels: kernels)
    encoded.withUnsafeBytes { bytes.copyMemory(from: $0) }
    return error
  }

  /// Runs `body` for each part on the pool's threads, and merges what they return in order.
  private func inParallel(
    _ count: Int, _ body: (Int, Scratch) throws -> QuantizationError
  ) throws -> QuantizationError {
    let results = Mutex([QuantizationError](repeating: .init(), count: count))
    let failure = Mutex<(any Error)?>(nil)
    pool.forEach(count: count) { part, worker in
      do {
        let error = try body(part, scratch[worker])
        results.withLock { $0[part] = error }
      } catch {
        failure.withLock { $0 = $0 ?? error }
      }
    }
    if let error = failure.withLock({ $0 }) { throw error }
    var total = QuantizationError()
    results.withLock { $0.forEach { total.merge($0) } }
    return total
  }
}

/// A buffer whose parts different threads write.
struct SendableBuffer: @unchecked Sendable {
  let base: UnsafeMutableRawPointer

  init(_ buffer: UnsafeMutableRawBufferPointer) {
    precondition(buffer.baseAddress != nil, "a buffer with bytes")
    base = buffer.baseAddress!
  }
}
