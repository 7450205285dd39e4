import CVLMKernels
import VLMTensor

extension CheckpointTensor {
  /// Writes the elements `range`, counted in C order, into `output` as 32-bit floats.
  ///
  /// Exact from formats of 24 bits of precision or fewer; 64-bit floats and wide integers are
  /// rounded to nearest, and a double beyond the range of a float becomes an infinity. Booleans
  /// become 0 and 1.
  ///
  /// - Precondition: `range` lies in `0..<elementCount`, and `output` has `range.count` elements.
  /// - Throws: `.notNumeric` for complex and sub-byte elements, `.notReadable` for blocks of a
  ///   type that is not decoded here.
  package func readFloats(
    _ range: Range<Int>, into output: UnsafeMutableBufferPointer<Float>
  ) throws(CheckpointError) {
    precondition(range.lowerBound >= 0 && range.upperBound <= elementCount, "elements exist")
    precondition(output.count == range.count, "as many floats as elements")
    guard dtype.isConvertibleToFloat else {
      throw CheckpointError(path: source.path, place: name, problem: .notNumeric(dtype))
    }
    if let blocks, !blocks.isReadable {
      throw CheckpointError(
        path: source.path, place: name, problem: .gguf(.notReadable(blocks.name)))
    }
    if range.isEmpty { return }
    if let blocks {
      return withBytes { blocks.decode($0, range, into: output) }
    }
    withBytes(ofElements: range) { Self.convert($0, dtype, into: output) }
  }

  /// All elements as 32-bit floats. Meant for small tensors.
  package func floats() throws(CheckpointError) -> [Float] {
    var failure: CheckpointError?
    let count = elementCount
    let values = [Float](unsafeUninitializedCapacity: count) { buffer, initialized in
      do throws(CheckpointError) {
        try readFloats(0..<count, into: UnsafeMutableBufferPointer(rebasing: buffer[..<count]))
        initialized = count
      } catch {
        failure = error
      }
    }
    if let failure { throw failure }
    return values
  }

  private static func convert(
    _ bytes: UnsafeRawBufferPointer, _ dtype: DType, into output: UnsafeMutableBufferPointer<Float>
  ) {
    switch dtype {
    case .f32: UnsafeMutableRawBufferPointer(output).copyMemory(from: bytes)
    case .f16: vlm_f32_from_f16(output.count, bytes.baseAddress, output.baseAddress)
    case .bf16: map(bytes, UInt16.self, output) { FloatFormats.bfloat16($0) }
    case .f64: map(bytes, UInt64.self, output) { Float(Double(bitPattern: $0)) }
    case .f8e5m2: map(bytes, UInt8.self, output) { FloatFormats.float8e5m2($0) }
    case .f8e4m3: map(bytes, UInt8.self, output) { FloatFormats.float8e4m3($0) }
    case .f8e8m0: map(bytes, UInt8.self, output) { FloatFormats.float8e8m0($0) }
    case .i64: map(bytes, Int64.self, output) { Float($0) }
    case .i32: map(bytes, Int32.self, output) { Float($0) }
    case .i16: map(bytes, Int16.self, output) { Float($0) }
    case .i8: map(bytes, Int8.self, output) { Float($0) }
    case .u64: map(bytes, UInt64.self, output) { Float($0) }
    case .u32: map(bytes, UInt32.self, output) { Float($0) }
    case .u16: map(bytes, UInt16.self, output) { Float($0) }
    case .u8: map(bytes, UInt8.self, output) { Float($0) }
    case .bool: map(bytes, UInt8.self, output) { $0 == 0 ? 0 : 1 }
    case .c64, .f4, .f6e2m3, .f6e3m2: assertionFailure("refused by the caller")
    }
  }

  /// `output[i] = body(element i)`, for elements at any alignment.
  @inline(__always)
  private static func map<T: FixedWidthInteger>(
    _ bytes: UnsafeRawBufferPointer, _: T.Type, _ output: UnsafeMutableBufferPointer<Float>,
    _ body: (T) -> Float
  ) {
    for position in 0..<output.count {
      let offset = position &* MemoryLayout<T>.size
      output[position] = body(
        T(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: T.self)))
    }
  }
}

extension DType {
  /// Whether an element is one real number that fills whole bytes.
  package var isConvertibleToFloat: Bool {
    switch self {
    case .c64, .f4, .f6e2m3, .f6e3m2: false
    default: true
    }
  }
}
