/// Encodes and decodes tensors that fit in memory. The streaming converter does the same work 16
/// outputs at a time with `AxisOrder.store` and `PanelEncoder`.
package enum TensorEncoder {
  /// Encodes `values`, in C order of `shape`, as the bytes of a container.
  ///
  /// `importance` is one weight per input of the matrix, in storage order; see `PanelEncoder`.
  package static func encode(
    values: [Float], shape: [Int], format: TensorFormat, importance: [Float]? = nil
  ) throws(TensorEncodingError) -> (bytes: [UInt8], error: QuantizationError) {
    let (count, byteCount) = try checkedSizes(shape: shape, format: format)
    guard values.count == count else {
      throw TensorEncodingError(problem: .valueCount(found: values.count, expected: count))
    }
    if let importance, let (_, inputs) = format.matrixShape(shape), importance.count != inputs {
      throw TensorEncodingError(
        problem: .importanceCount(found: importance.count, expected: inputs))
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
          importance: importance)
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
    format: TensorFormat, importance: [Float]?
  ) -> QuantizationError {
    var error = QuantizationError()
    switch format.layout {
    case .rowMajor where format.scheme == .f32:
      copy(stored, to: destination)
      error = QuantizationError(values: stored, decoded: stored)
    case .rowMajor:
      // Not bound in place: an array of bytes promises no alignment for 16-bit values.
      let halves = [UInt16](unsafeUninitializedCapacity: stored.count) { buffer, initialized in
        if let start = buffer.baseAddress {
          error = HalfEncoder.encode(
            stored, count: stored.count, scheme: format.scheme, into: start)
        }
        initialized = stored.count
      }
      copy(halves, to: destination)
    case .panels:
      forEachPanel(shape: shape, format: format) { first, rows, inputs, offset in
        stored.withUnsafeBufferPointer { values in
          guard let start = values.baseAddress else { return }
          func encode(_ weights: UnsafePointer<Float>?) -> QuantizationError {
            PanelEncoder.encode(
              rows: start + first * inputs, rowCount: rows, rowStride: inputs, inputs: inputs,
              scheme: format.scheme, importance: weights, into: destination + offset)
          }
          error.merge(importance?.withUnsafeBufferPointer { encode($0.baseAddress) } ?? encode(nil))
        }
      }
    }
    return error
  }

  private static func copy<Element>(_ values: [Element], to destination: UnsafeMutableRawPointer) {
    values.withUnsafeBytes {
      UnsafeMutableRawBufferPointer(start: destination, count: $0.count).copyMemory(from: $0)
    }
  }

  private static func read(
    _ source: UnsafeRawPointer, shape: [Int], format: TensorFormat, count: Int,
    into destination: UnsafeMutablePointer<Float>
  ) {
    switch format.layout {
    case .rowMajor where format.scheme == .f32:
      UnsafeMutableRawPointer(destination).copyMemory(from: source, byteCount: count * 4)
    case .rowMajor:
      let halves = [UInt16](unsafeUninitializedCapacity: count) { buffer, initialized in
        UnsafeMutableRawBufferPointer(buffer).copyMemory(
          from: UnsafeRawBufferPointer(start: source, count: count * 2))
        initialized = count
      }
      HalfEncoder.decode(halves, count: count, scheme: format.scheme, into: destination)
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
