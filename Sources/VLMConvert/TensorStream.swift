import Synchronization
import VLMCheckpoint
import VLMKernels
import VLMQuantize
import VLMTensor

/// Encodes one tensor at a time in pieces of bounded size, the panels of a piece in parallel.
///
/// Statistics are kept per panel and merged in order, so bytes and report do not depend on the
/// number of threads.
struct TensorStream {
  private let pool: WorkerPool
  /// Values read for one piece: 16 MiB of f32.
  private static let pieceValues = 4 << 20

  init(pool: WorkerPool) { self.pool = pool }

  func encode(
    _ tensor: SourceTensor, _ item: ConversionPlan.Item,
    write: (UnsafeRawBufferPointer) throws -> Void
  ) throws -> QuantizationError {
    switch item.format.layout {
    case .panels: try encodePanels(tensor, item, write: write)
    case .rowMajor: try encodeRows(tensor, item, write: write)
    }
  }

  private func encodePanels(
    _ tensor: SourceTensor, _ item: ConversionPlan.Item,
    write: (UnsafeRawBufferPointer) throws -> Void
  ) throws -> QuantizationError {
    let format = item.format
    guard let (outputs, inputs) = format.matrixShape(item.spec.shape),
      let panelBytes = format.panelByteCount(inputs: inputs)
    else {
      throw TensorEncodingError(
        problem: .formatDoesNotFit(format: format, shape: item.spec.shape))
    }
    let panelOutputs = TensorFormat.panelOutputs
    let panels = (outputs + panelOutputs - 1) / panelOutputs
    let perPiece = max(1, min(panels, Self.pieceValues / (panelOutputs * inputs)))
    let bytes = UnsafeMutableRawBufferPointer.allocate(
      byteCount: perPiece * panelBytes, alignment: 64)
    defer { bytes.deallocate() }
    let rows = (0..<pool.threadCount).map { _ in Activations(count: panelOutputs * inputs) }
    let stored = (0..<pool.threadCount).map { _ in Activations(count: panelOutputs * inputs) }
    var total = QuantizationError()
    for first in stride(from: 0, to: panels, by: perPiece) {
      let count = min(perPiece, panels - first)
      let results = Mutex([QuantizationError](repeating: .init(), count: count))
      let failure = Mutex<(any Error)?>(nil)
      let destination = SendableBuffer(bytes)
      pool.forEach(count: count) { piece, worker in
        let start = (first + piece) * panelOutputs
        let rowCount = min(panelOutputs, outputs - start)
        let range = start * inputs..<(start + rowCount) * inputs
        let error = rows[worker].withValues(range.count) { values in
          do { try tensor.readFloats(range, into: values) } catch {
            failure.withLock { $0 = $0 ?? error }
            return QuantizationError()
          }
          return stored[worker].withValues(range.count) { ordered in
            format.order.store(
              values.baseAddress!, shape: item.spec.shape, outputs: start..<start + rowCount,
              into: ordered.baseAddress!)
            return PanelEncoder.encode(
              rows: ordered.baseAddress!, rowCount: rowCount, rowStride: inputs, inputs: inputs,
              scheme: format.scheme, importance: nil,
              into: destination.base + piece * panelBytes)
          }
        }
        results.withLock { $0[piece] = error }
      }
      if let error = failure.withLock({ $0 }) { throw error }
      results.withLock { $0.forEach { total.merge($0) } }
      try write(UnsafeRawBufferPointer(rebasing: bytes[..<(count * panelBytes)]))
    }
    return total
  }

  private func encodeRows(
    _ tensor: SourceTensor, _ item: ConversionPlan.Item,
    write: (UnsafeRawBufferPointer) throws -> Void
  ) throws -> QuantizationError {
    let shape = item.spec.shape
    let count = shape.reduce(1, *)
    // A depthwise filter interleaves all its channels; it is small, and taken whole. Everything
    // else goes by whole outputs.
    let outputs = shape.first ?? 1
    let perOutput = max(1, count / max(1, outputs))
    let step =
      item.format.order == .tapsFirst ? outputs : max(1, Self.pieceValues / perOutput)
    var total = QuantizationError()
    for first in stride(from: 0, to: outputs, by: max(1, step)) {
      let range = first..<min(outputs, first + step)
      var values = [Float](repeating: 0, count: range.count * perOutput)
      try values.withUnsafeMutableBufferPointer { buffer in
        try tensor.readFloats(
          range.lowerBound * perOutput..<range.upperBound * perOutput, into: buffer)
      }
      var pieceShape = shape
      if !pieceShape.isEmpty { pieceShape[0] = range.count }
      let (bytes, error) = try TensorEncoder.encode(
        values: values, shape: pieceShape, format: item.format)
      total.merge(error)
      try bytes.withUnsafeBytes { try write($0) }
    }
    return total
  }
}

/// A buffer whose parts different threads write.
private struct SendableBuffer: @unchecked Sendable {
  let base: UnsafeMutableRawPointer

  init(_ buffer: UnsafeMutableRawBufferPointer) {
    precondition(buffer.baseAddress != nil, "a buffer with bytes")
    base = buffer.baseAddress!
  }
}
