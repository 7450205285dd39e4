/// How large a container will be, before it is written.
package enum ContainerSize {
  /// Bytes that a tensor takes, with what lies between it and the next.
  package static func padded(_ byteCount: Int) -> Int {
    Format.aligned(byteCount, to: Format.alignment) ?? byteCount
  }

  /// Bytes of a file beside its tensors, or a few more: what an index takes when it is compressed
  /// is taken for what it takes as it is.
  ///
  /// - Parameters:
  ///   - sections: those that are added, with their contents.
  ///   - tensors: names and ranks.
  ///   - container: the one whose sections of unknown kinds are copied.
  package static func overhead(
    sections: [[UInt8]], tensors: [(name: String, rank: Int)], container: Container?
  ) -> Int {
    var bytes = Format.dataAlignment + Format.indexHeaderSize
    for (name, rank) in tensors {
      bytes += Format.indexEntrySize + 8 * rank + name.utf8.count + 7
    }
    for content in sections {
      var stored = content.count
      if content.count >= Format.smallestCompressed, let frame = ZstdFrame.compress(content) {
        stored = min(stored, frame.count)
      }
      bytes += stored + Format.alignment
    }
    let unknown = container?.sections.filter { !$0.kind.isKnown } ?? []
    bytes += unknown.reduce(0) { $0 + $1.range.count + Format.alignment }
    // The table, with an entry for the tensors and one for their index.
    return bytes + Format.tableEntrySize * (sections.count + unknown.count + 2) + Format.alignment
  }
}
