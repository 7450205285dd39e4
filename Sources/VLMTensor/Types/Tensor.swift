import VLMFoundation

/// A tensor of a model: where its bytes lie in a mapped file and what they mean.
///
/// It never changes, and keeps the mapping alive. Layers hold dozens of them: as references, which are
/// copied and released in a few instructions.
package final class Tensor: Sendable {
  package let name: String
  /// The shape as the model states it, whatever order the bytes are in.
  package let shape: [Int]
  package let format: TensorFormat
  private let file: MappedFile?
  private let range: Range<Int>
  /// Its part of a model whose weights are read as they are used; nil where they all stay in memory.
  let place: WeightPlace?

  /// - Precondition: `range` lies in `file` and has the byte count of `format` and `shape`.
  package init(
    name: String, shape: [Int], format: TensorFormat, file: MappedFile, range: Range<Int>,
    place: WeightPlace? = nil
  ) {
    precondition(format.byteCount(shape: shape) == range.count, "byte count of the format")
    precondition(range.upperBound <= file.count, "range inside the file")
    self.name = name
    self.shape = shape
    self.format = format
    self.file = file
    self.range = range
    self.place = place
  }

  /// A tensor without bytes, for building a model only to learn what it asks for.
  package init(placeholder spec: TensorSpec) {
    name = spec.path
    shape = spec.shape
    format = TensorFormat(scheme: .f32)
    file = nil
    range = 0..<0
    place = nil
  }

  package var elementCount: Int { shape.reduce(1, *) }

  /// The stored bytes; empty for a placeholder. Valid while the tensor lives.
  package var bytes: UnsafeRawBufferPointer {
    guard let file else { return UnsafeRawBufferPointer(start: nil, count: 0) }
    return file.bytes(range)
  }
}

/// What a model asks of a checkpoint: a tensor by name, shape and purpose.
package struct TensorSpec: Sendable, Equatable {
  package let path: String
  package let shape: [Int]
  package let role: TensorRole

  package init(path: String, shape: [Int], role: TensorRole) {
    self.path = path
    self.shape = shape
    self.role = role
  }
}
