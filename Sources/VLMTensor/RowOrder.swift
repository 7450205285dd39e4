/// In which order a checkpoint stores the rows of a matrix.
package enum RowOrder: Sendable, Equatable {
  /// As the model has them.
  case stored
  /// Rows of queries or keys, reordered within each head for a rotary embedding that turns
  /// neighbours: row j of a head's first half is stored at 2j, row j of its second half at 2j + 1.
  /// GGUF stores LLaMA's so, whereas the model pairs row j with row j + half.
  case interleavedRotary(heads: Int)

  /// Whether a matrix of `rows` rows can have this order.
  package func fits(rows: Int) -> Bool {
    switch self {
    case .stored: true
    case .interleavedRotary(let heads):
      heads > 0 && rows > 0 && rows % heads == 0 && rows / heads % 2 == 0
    }
  }

  /// Where the model's row `row` is stored.
  ///
  /// - Precondition: `fits(rows:)`, and `row` is one of `rows`.
  package func storedRow(_ row: Int, rows: Int) -> Int {
    switch self {
    case .stored: return row
    case .interleavedRotary(let heads):
      let headRows = rows / heads
      let half = headRows / 2
      let (head, within) = (row / headRows, row % headRows)
      return head * headRows + within % half * 2 + within / half
    }
  }
}
