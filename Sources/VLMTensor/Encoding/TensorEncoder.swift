/// Encodes and decodes tensors that fit in memory. The streaming converter does the same work 16
/// outputs at a time with `AxisOrder.store` and `PanelEncoder`.
package enum TensorEncoder {
  /// Encodes `values`, in C order of `shape`, as the bytes of a container.
  ///
  /// - Parameters:
  ///   - statistics: of the rows that the matrix will be multiplied by; of no effect on what is not
  ///     stored in panels.
  ///   - kernels: whose instruction set the encoder may use; the bytes do not depend on it.
  package static func encode(
    values: [Float], shape: [Int], format: TensorFormat,
    statistics: CalibrationStatistics? = nil, kernels: KernelSet = .best
  ) throws(TensorEncodingError) -> (bytes: [UInt8], error: QuantizationError) {
    let (count, byteCount) = try checkedSizes(shape: shape, format: format)
    guard values.count == count else {
      throw TensorEncodingError(problem: .valueCount(found: values.count, expected: count))
    }
    if let statistics, let (_, inputs) = format.matrixShape(shape), statistics.inputs != inputs {
      throw TensorEncodingError(
        problem: .statisticsInputs(found: statistics.inputs, expected: "\(inputs)"))
    }
    var stored = values
    if format.order != .natural, count > 0 {
      values.withUnsafeBufferPointer { source in
        stored.withUnsafeMutableBufferPointer { destination in
          guard let from = source.baseAddress, let to = destination.baseAddress else { return }
          format.order.store(from, shape: shape, outputs: 0..<shape[0], into: to)
        }
      }
    }
    var error = QuantizationError()
    let bytes = [UInt8](unsafeUninitializedCapacity: byteCount) { buffer, initialized in
      if let start = buffer.baseAddress, byteCount > 0 {
        error = fill(
          UnsafeMutableRawPointer(start), from: stored, shape: shape, format: format,
          statistics: statistics, kernels: kernels)
      }
      initialized = byteCount
    }
    return (bytes, error)
  }

  /// Decodes the bytes of a container to values in C order of `shape`.
  package static func decode(
    bytes: [UInt8], shape: [Int], format: TensorFormat
  ) throws(TensorEncodingError) -> [Float] {
    let (count, byteCount) = try checkedSizes(shape: shape, format: format)
    guard bytes.count == byteCount else {
      throw TensorEncodingError(problem: .byteCount(found: bytes.count, expected: byteCount))
    }
    let stored = [Float](unsafeUninitializedCapacity: count) { buffer, initialized in
      if let start = buffer.baseAddress, count > 0 {
        bytes.withUnsafeBytes { source in
          guard let from = source.baseAddress else { return }
          read(from, shape: shape, format: format, count: count, into: start)
        }
      }
      initialized = count
    }
    if format.order == .natural || count == 0 { return stored }
    return [Float](unsafeUninitializedCapacity: count) { buffer, initialized in
      if let start = buffer.baseAddress {
        format.order.restore(stored, shape: shape, outputs: 0..<shape[0], into: start)
      }
      initialized = count
    }
  }

  private static func checkedSizes(
    shape: [Int], format: TensorFormat
  ) throws(TensorEncodingError) -> (count: Int, byteCount: Int) {
    let misfit = TensorEncodingError(problem: .formatDoesNotFit(format: format, shape: shape))
    guard let byteCount = format.byteCount(shape: shape) else { throw misfit }
    // Two q4 values share a byte, so the count can overflow where the bytes do not.
    var count = shape.contains(0) ? 0 : 1
    for extent in shape where count > 0 {
      let (product, overflow) = count.multipliedReportingOverflow(by: extent)
      if overflow { throw misfit }
      count = product
    }
    return (count, byteCount)
  }

  private static func fill(
    _ destination: UnsafeMutableRawPointer, from stored: [Float], shape: [Int],
    format: TensorFormat, statistics: CalibrationStatistics?, kernels: KernelSet
  ) -> QuantizationError {
    var error = QuantizationError()
    switch format.layout {
    case .rowMajor:
      stored.withUnsafeBufferPointer { values in
        guard let start = values.baseAddress, let scheme = format.scheme.rowMajor else { return }
        error = scheme.encode(start, count: values.count, into: destination)
      }
    case .panels:
      forEachPanel(shape: shape, format: format) { first, rows, inputs, offset in
        stored.withUnsafeBufferPointer { values in
          guard let start = values.baseAddress else { return }
          error.merge(
            PanelEncoder.encode(
              rows: start + first * inputs, rowCount: rows, rowStride: inputs, inputs: inputs,
              scheme: format.scheme, statistics: statistics, kernels: kernels,
              into: destination + offset))
        }
      }
    }
    return error
  }

  private static func read(
    _ source: UnsafeRawPointer, shape: [Int], format: TensorFormat, count: Int,
    into destination: UnsafeMutablePointer<Float>
  ) {
    switch format.layout {
    case .rowMajor:
      format.scheme.rowMajor?.restore(source, count: count, into: destination)
    case .panels:
      forEachPanel(shape: shape, format: format) { first, rows, inputs, offset in
        PanelEncoder.decode(
          panel: source + offset, scheme: format.scheme, inputs: inputs, rowCount: rows,
          into: destination + first * inputs, rowStride: inputs)
      }
    }
  }

  /// Calls `body` with the first output, the number of outputs, the inputs and the byte offset of
  /// every panel of the matrix that `shape` is run as.
  private static func forEachPanel(
    shape: [Int], format: TensorFormat, body: (Int, Int, Int, Int) -> Void
  ) {
    guard let (outputs, inputs) = format.matrixShape(shape),
      let panelBytes = format.panelByteCount(inputs: inputs)
    else { return }
    for first in stride(from: 0, to: outputs, by: TensorFormat.panelOutputs) {
      let rows = min(TensorFormat.panelOutputs, outputs - first)
      body(first, rows, inputs, first / TensorFormat.panelOutputs * panelBytes)
    }
  }
}
