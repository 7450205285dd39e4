import VLMFoundation
import VLMTensor

/// Bytes that a reader had to produce: decompressed, or converted to the machine's byte order.
package final class OwnedBytes: Sendable {
  let bytes: [UInt8]

  init(_ bytes: [UInt8]) { self.bytes = bytes }
}

/// A tensor in a checkpoint: its type, its shape and its bytes.
///
/// Elements are little-endian, at any alignment. Most tensors are contiguous and in C order in a
/// mapped file; `strides` describes the others. The reader has checked that `range` lies in the
/// storage and holds every element.
package struct CheckpointTensor: Sendable {
  package let name: String
  /// The element type; for block-quantized tensors, the type they are decoded to.
  package let dtype: DType
  /// At most eight extents; empty for a scalar.
  package let shape: [Int]
  /// The file that holds the tensor.
  package let source: MappedFile
  /// The storage that `range` refers to; nil for `source`.
  let owned: OwnedBytes?
  /// The byte range of the tensor, from its first element to its last.
  package let range: Range<Int>
  /// Strides in elements, per axis; nil if contiguous in C order.
  let strides: [Int]?
  /// The block coding of the elements; nil if they are stored one by one. Blocks are contiguous.
  package let blocks: (any StoredElements)?
  /// The tensors this one is concatenated from, if any; `range` is then the first one's.
  let parts: Parts?

  /// Tensors to be concatenated along an axis.
  struct Parts: Sendable {
    let axis: Int
    let tensors: [CheckpointTensor]
  }

  /// - Precondition: `range` of `owned`, or of `source` if `owned` is nil, holds every element.
  init(
    name: String, dtype: DType, shape: [Int], source: MappedFile, owned: OwnedBytes? = nil,
    range: Range<Int>, strides: [Int]? = nil,
    blocks: (any StoredElements)? = nil
  ) {
    self.name = name
    self.dtype = dtype
    self.shape = shape
    self.source = source
    self.owned = owned
    self.range = range
    self.strides = strides
    self.blocks = blocks
    parts = nil
  }

  /// - Precondition: there is at least one part; all have one dtype and are stored element by
  ///   element; their extents along `axis` add up to that of `shape`, and all other extents are
  ///   equal.
  init(joining tensors: [CheckpointTensor], axis: Int, shape: [Int]) {
    let first = tensors[0]
    (name, dtype, self.shape, blocks) = (first.name, first.dtype, shape, nil)
    (source, owned, range, strides) = (first.source, first.owned, first.range, first.strides)
    parts = Parts(axis: axis, tensors: tensors)
  }

  private init(_ other: CheckpointTensor, name: String) {
    self.name = name
    (dtype, shape, source, owned) = (other.dtype, other.shape, other.source, other.owned)
    (range, strides, blocks, parts) = (other.range, other.strides, other.blocks, other.parts)
  }

  /// A tensor of floats that `elements` decodes from `range` of `source`.
  ///
  /// - Precondition: the range holds every element, and the element count does not overflow.
  package init(
    name: String, shape: [Int], source: MappedFile, range: Range<Int>,
    elements: any StoredElements
  ) {
    self.init(
      name: name, dtype: .f32, shape: shape, source: source, range: range, blocks: elements)
  }

  /// The type's name in the checkpoint's format.
  package var typeName: String { blocks?.name ?? dtype.rawValue }

  func renamed(_ name: String) -> CheckpointTensor {
    CheckpointTensor(self, name: name)
  }

  /// Product of the extents, which the reader has checked not to overflow.
  package var elementCount: Int { shape.reduce(1, *) }

  /// Stored size of the elements in bytes.
  package var byteCount: Int {
    blocks == nil ? dtype.byteCount(shape: shape) ?? 0 : range.count
  }

  /// Calls `body` with the bytes of the elements in C order, or of the blocks. They are valid
  /// inside `body` only. Strided tensors are copied first.
  package func withBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
    guard strides != nil || parts != nil else { return try withStorage(range, body) }
    let count = elementCount
    let copy = SystemMemory.allocate(byteCount)
    defer { copy.deallocate() }
    gather(0..<count, into: copy)
    return try body(UnsafeRawBufferPointer(copy))
  }

  /// Calls `body` with the bytes of `elements`, counted in C order, without a copy if possible.
  ///
  /// - Precondition: the elements exist, fill whole bytes and are not block-coded.
  package func withBytes<R>(
    ofElements elements: Range<Int>, _ body: (UnsafeRawBufferPointer) throws -> R
  ) rethrows -> R {
    precondition(blocks == nil, "elements that have bytes of their own")
    let width = dtype.bitCount / 8
    guard strides != nil || parts != nil else {
      let start = range.lowerBound + elements.lowerBound * width
      return try withStorage(start..<start + elements.count * width, body)
    }
    let copy = SystemMemory.allocate(elements.count * width)
    defer { copy.deallocate() }
    gather(elements, into: copy)
    return try body(UnsafeRawBufferPointer(copy))
  }

  private func withStorage<R>(
    _ range: Range<Int>, _ body: (UnsafeRawBufferPointer) throws -> R
  ) rethrows -> R {
    guard let owned else { return try source.withBytes(range, body) }
    return try owned.bytes.withUnsafeBytes { try body(UnsafeRawBufferPointer(rebasing: $0[range])) }
  }

  /// Copies `elements`, counted in C order, one run along the last axis at a time.
  private func gather(_ elements: Range<Int>, into output: UnsafeMutableRawBufferPointer) {
    if let parts { return gather(elements, of: parts, into: output) }
    guard let strides, !elements.isEmpty, let base = output.baseAddress else { return }
    let width = dtype.bitCount / 8
    // The multi-dimensional index of the first element.
    var index = [Int](repeating: 0, count: shape.count)
    var rest = elements.lowerBound
    for axis in shape.indices.reversed() {
      index[axis] = rest % shape[axis]
      rest /= shape[axis]
    }
    withStorage(range) { storage in
      guard let start = storage.baseAddress else { return }
      var done = 0
      while done < elements.count {
        var offset = 0
        for axis in shape.indices { offset += index[axis] * strides[axis] }
        let last = shape.count - 1
        let run = last < 0 ? 1 : min(shape[last] - index[last], elements.count - done)
        let step = last < 0 ? 1 : strides[last]
        Self.copyRun(
          from: start + offset * width, step: step * width, to: base + done * width, count: run,
          width: width)
        done += run
        guard last >= 0 else { break }
        index[last] = 0
        var axis = last - 1
        while axis >= 0 {
          index[axis] += 1
          if index[axis] < shape[axis] { break }
          index[axis] = 0
          axis -= 1
        }
      }
    }
  }

  private static func copyRun(
    from source: UnsafeRawPointer, step: Int, to output: UnsafeMutableRawPointer, count: Int,
    width: Int
  ) {
    if step == width {
      output.copyMemory(from: source, byteCount: count * width)
      return
    }
    switch width {
    case 4: copyElements(source, step, output, count, UInt32.self)
    case 2: copyElements(source, step, output, count, UInt16.self)
    case 8: copyElements(source, step, output, count, UInt64.self)
    default: copyElements(source, step, output, count, UInt8.self)
    }
  }

  @inline(__always)
  private static func copyElements<T: FixedWidthInteger>(
    _ source: UnsafeRawPointer, _ step: Int, _ output: UnsafeMutableRawPointer, _ count: Int,
    _: T.Type
  ) {
    for position in 0..<count {
      let value = source.loadUnaligned(fromByteOffset: position &* step, as: T.self)
      output.storeBytes(of: value, toByteOffset: position &* MemoryLayout<T>.size, as: T.self)
    }
  }
}

/// How a tensor's elements are coded in its bytes if they are not stored one by one, such as blocks
/// of quantized values with their scales.
package protocol StoredElements: Sendable {
  /// The coding's name in the checkpoint's format.
  var name: String { get }
  /// Whether the elements can be decoded to floats; other codings can only be listed.
  var isReadable: Bool { get }

  /// The bytes that reading `elements` touches, counted from the tensor's first byte.
  func byteRange(ofElements elements: Range<Int>) -> Range<Int>

  /// Decodes the elements `range`, counted in C order, into `output`, which has `range.count`
  /// elements.
  ///
  /// - Precondition: `isReadable`, and `bytes` are all of the tensor's bytes.
  func decode(
    _ bytes: UnsafeRawBufferPointer, _ range: Range<Int>,
    into output: UnsafeMutableBufferPointer<Float>)
}
