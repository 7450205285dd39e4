import VLMFoundation
import VLMTensor

/// Writes safetensors files. The same tensors and metadata always give the same bytes.
package enum SafetensorsWriter {
  /// A tensor to be written. Its bytes are requested in chunks, in order, each once.
  package struct Entry {
    package let name: String
    package let dtype: DType
    package let shape: [Int]
    /// Fills the buffer with the tensor's bytes, starting at the given offset.
    let fill: (Int, UnsafeMutableRawBufferPointer) throws(CheckpointError) -> Void

    package init(
      name: String, dtype: DType, shape: [Int],
      fill: @escaping (Int, UnsafeMutableRawBufferPointer) throws(CheckpointError) -> Void
    ) {
      self.name = name
      self.dtype = dtype
      self.shape = shape
      self.fill = fill
    }

    /// - Precondition: `bytes` has the size of `shape` in `dtype`.
    package init(name: String, dtype: DType, shape: [Int], bytes: [UInt8]) {
      precondition(bytes.count == dtype.byteCount(shape: shape), "as many bytes as the shape needs")
      self.init(name: name, dtype: dtype, shape: shape) { offset, buffer in
        buffer.copyBytes(from: bytes[offset..<offset + buffer.count])
      }
    }

    package init(name: String, shape: [Int], floats: [Float]) {
      let bytes = floats.withUnsafeBytes { Array($0) }
      self.init(name: name, dtype: .f32, shape: shape, bytes: bytes)
    }

    /// Copies a tensor of another checkpoint. Block-quantized tensors are written as 32-bit floats.
    package init(_ tensor: CheckpointTensor) {
      guard tensor.blocks == nil else {
        self.init(name: tensor.name, dtype: .f32, shape: tensor.shape) {
          (offset, buffer) throws(CheckpointError) in
          let first = offset / 4
          try tensor.readFloats(
            first..<first + buffer.count / 4, into: buffer.bindMemory(to: Float.self))
        }
        return
      }
      self.init(name: tensor.name, dtype: tensor.dtype, shape: tensor.shape) { offset, buffer in
        tensor.withBytes { buffer.copyBytes(from: $0[offset..<offset + buffer.count]) }
      }
    }
  }

  /// Chunk size in bytes.
  private static let pieceBytes = 1 << 20

  /// Writes the file. Tensors are sorted by descending element size, then by name, so that each is
  /// aligned.
  ///
  /// - Parameters:
  ///   - metadata: written first, in the given order.
  ///   - beforeCommit: called when everything is written, before the file appears at its path.
  package static func write(
    path: String, overwrite: Bool, metadata: [(key: String, value: String)] = [],
    tensors: [Entry], beforeCommit: () throws(CheckpointError) -> Void = {}
  ) throws(CheckpointError) {
    let ordered = tensors.sorted { a, b in
      a.dtype.bitCount != b.dtype.bitCount
        ? a.dtype.bitCount > b.dtype.bitCount
        : a.name.utf8.lexicographicallyPrecedes(b.name.utf8)
    }
    let (header, sizes) = try header(path, metadata, ordered)
    let output = try wrap { () throws(FileError) in
      let output = try OutputFile(path: path, overwrite: overwrite)
      try output.reserve(sizes.reduce(header.count, +))
      try output.write(header)
      return output
    }
    let buffer = SystemMemory.allocate(pieceBytes)
    defer { buffer.deallocate() }
    for (entry, size) in zip(ordered, sizes) {
      var offset = 0
      while offset < size {
        let piece = UnsafeMutableRawBufferPointer(
          rebasing: buffer[..<min(pieceBytes, size - offset)])
        try entry.fill(offset, piece)
        try wrap { () throws(FileError) in try output.write(UnsafeRawBufferPointer(piece)) }
        offset += piece.count
      }
    }
    try beforeCommit()
    try wrap { () throws(FileError) in try output.commit() }
  }

  /// The header including its length field, padded to a multiple of eight bytes, and the size of
  /// each tensor.
  private static func header(
    _ path: String, _ metadata: [(key: String, value: String)], _ tensors: [Entry]
  ) throws(CheckpointError) -> ([UInt8], [Int]) {
    var object = JSONObject()
    if !metadata.isEmpty {
      var values = JSONObject()
      for (key, value) in metadata where !values.insert(key, .string(value)) {
        throw CheckpointError(path: path, place: "__metadata__", problem: .duplicateMetadata(key))
      }
      object.set("__metadata__", .object(values))
    }
    var offset = 0
    var sizes: [Int] = []
    for tensor in tensors {
      guard let size = tensor.dtype.byteCount(shape: tensor.shape),
        size >= 0, !offset.addingReportingOverflow(size).overflow
      else {
        throw CheckpointError(
          path: path, place: tensor.name, problem: .sizeOverflow(tensor.shape))
      }
      let fields: JSONValue = [
        "dtype": .string(tensor.dtype.rawValue), "shape": .array(tensor.shape.map { .int($0) }),
        "data_offsets": [.int(offset), .int(offset + size)],
      ]
      guard object.insert(tensor.name, fields) else {
        throw CheckpointError(path: path, place: tensor.name, problem: .duplicateName)
      }
      sizes.append(size)
      offset += size
    }
    var text = Array(JSONValue.object(object).serialized().utf8)
    while text.count % 8 != 0 { text.append(0x20) }
    let limit = SafetensorsFile.maximumHeaderBytes
    guard text.count <= limit else {
      throw CheckpointError(
        path: path, problem: .headerLengthBeyondLimit(UInt64(text.count), limit: limit))
    }
    return (withUnsafeBytes(of: UInt64(text.count).littleEndian) { Array($0) } + text, sizes)
  }

  private static func wrap<R>(_ body: () throws(FileError) -> R) throws(CheckpointError) -> R {
    do throws(FileError) {
      return try body()
    } catch {
      throw CheckpointError(error)
    }
  }
}
