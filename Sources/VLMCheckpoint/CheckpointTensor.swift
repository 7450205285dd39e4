import VLMFoundation
import VLMTensor

/// Bytes that a reader had to make: inflated, or put into this machine's byte order.
package final class OwnedBytes: Sendable {
  let bytes: [UInt8]

  init(_ bytes: [UInt8]) { self.bytes = bytes }
}

/// A tensor in a checkpoint: what it is, and which bytes hold it.
///
/// Its elements are little-endian, at any alignment. Most tensors lie in a mapped file in C order
/// without gaps; `strides` says where the elements of any other are. The reader that made it has
/// checked that `range` lies in the storage and holds every element.
package struct CheckpointTensor: Sendable {
  package let name: String
  /// Of the elements; of those in blocks what they are read as.
  package let dtype: DType
  /// At most eight extents; empty for a scalar.
  package let shape: [Int]
  /// The file that it comes from.
  package let source: MappedFile
  /// What `range` counts in, when it is not the file itself.
  let owned: OwnedBytes?
  /// The bytes from the first element on: those of all elements when they are contiguous.
  package let range: Range<Int>
  /// Elements from one index to the next along each axis; nil when they are in C order without
  /// gaps.
  let strides: [Int]?
  /// How the elements are stored when not one by one, which is contiguous.
  package let blocks: (any StoredElements)?
  /// What it is put together from, along an axis; `range` is the first one's then.
  let parts: Parts?

  /// Tensors that lie one behind the other along an axis.
  struct Parts: Sendable {
    let axis: Int
    let tensors: [CheckpointTensor]
  }

  /// - Precondition: `range`, in `owned` or else in `source`, holds every element.
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

  /// - Precondition: the parts, of which there is one at least, are of one type that is stored element
  ///   by element, and their extents along `axis` add up to that of `shape`, all others being equal.
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

  /// A tensor of numbers that `elements` reads from `range` of `source`.
  ///
  /// - Precondition: the range holds every element, whose number does not overflow.
  package init(
    name: String, shape: [Int], source: MappedFile, range: Range<Int>,
    elements: any StoredElements
  ) {
    self.init(
      name: name, dtype: .f32, shape: shape, source: source, range: range, blocks: elements)
  }

  /// What the checkpoint's format calls the type.
  package var typeName: String { blocks?.name ?? dtype.rawValue }

  func renamed(_ name: String) -> CheckpointTensor {
    CheckpointTensor(self, name: name)
  }

  /// Product of the extents, which the reader has checked not to overflow.
  package var elementCount: Int { shape.reduce(1, *) }

  /// Bytes of the elements, each once, as they are stored.
  package var byteCount: Int {
    blocks == nil ? dtype.byteCount(shape: shape) ?? 0 : range.count
  }

  /// The elements' bytes in C order, or the blocks', valid inside `body` only. Copied first when
  /// they lie otherwise.
  package func withBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
    guard strides != nil || parts != nil else { return try withStorage(range, body) }
    let count = elementCount
    let copy = SystemMemory.allocate(byteCount)
    defer { copy.deallocate() }
    gather(0..<count, into: copy)
    return try body(UnsafeRawBufferPointer(copy))
  }

  /// The bytes of the elements `elements`, counted in C order, without a copy where possible.
  ///
  /// - Precondition: the elements exist and fill whole bytes, and do not lie in blocks.
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

  /// Copies the elements `elements`, counted in C order, one run along the last axis at a time.
  private func gather(_ elements: Range<Int>, into output: UnsafeMutableRawBufferPointer) {
    if let parts { return gather(elements, of: parts, into: output) }
    guard let strides, !elements.isEmpty, let base = output.baseAddress else { return }
    let width = dtype.bitCount / 8
    // The index of the first element, axis by axis.
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
