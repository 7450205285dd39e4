import VLMTensor

/// How large a container will be, before it is written.
package enum ContainerSize {
  /// A tensor as the index will list it.
  package struct Tensor: Sendable {
    package let name: String
    package let format: TensorFormat
    package let role: TensorRole
    package let shape: [Int]

    package init(name: String, format: TensorFormat, role: TensorRole, shape: [Int]) {
      self.name = name
      self.format = format
      self.role = role
      self.shape = shape
    }
  }

  /// Bytes that a tensor takes, with what lies between it and the next.
  package static func padded(_ byteCount: Int) -> Int {
    Format.aligned(byteCount, to: Format.alignment) ?? byteCount
  }

  /// Bytes of a section as it is stored, with the zeros behind it.
  package static func section(_ content: [UInt8]) -> Int { padded(stored(content)) }

  /// Bytes of the index of `tensors`, with the zeros behind it. It is never compressed.
  package static func index(_ tensors: [Tensor]) -> Int {
    var offset = 0
    let entries = tensors.sorted { TensorIndex.ascends($0.name, $1.name) }.map { tensor in
      let byteCount = tensor.format.byteCount(shape: tensor.shape) ?? 0
      defer { offset += padded(byteCount) }
      return TensorIndex.Entry(
        name: tensor.name, format: tensor.format, role: tensor.role, shape: tensor.shape,
        offset: offset, byteCount: byteCount, hash: 0)
    }
    return padded(TensorIndex.encode(entries).count)
  }

  /// Bytes of a file beside its padded tensors and its sections: the header and the table.
  ///
  /// - Parameters:
  ///   - sectionCount: those that are counted by `section`.
  ///   - container: the one whose sections of unknown kinds are copied.
  package static func frame(sectionCount: Int, copying container: Container?) -> Int {
    let unknown = container?.sections.filter { !$0.kind.isKnown } ?? []
    // The table has an entry for the tensors and one for their index.
    return Format.dataAlignment + Format.tableEntrySize * (sectionCount + unknown.count + 2)
      + unknown.reduce(0) { $0 + padded($1.range.count) }
  }

  /// As `ContainerWriter` stores it.
  private static func stored(_ content: [UInt8]) -> Int {
    guard content.count >= Format.smallestCompressed, let frame = ZstdFrame.compress(content)
    else { return content.count }
    return min(content.count, frame.count)
  }
}
