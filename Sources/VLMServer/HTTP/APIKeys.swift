import VLMContainer
import VLMFoundation

/// The keys that callers may have. Only their hashes are kept.
package struct APIKeys: Sendable {
  private let digests: [[UInt8]]

  /// - Parameter keys: one or more; white space around them is no part of them.
  package init(_ keys: [String]) {
    digests = keys.map { SHA256.hash(Array($0.utf8)) }
  }

  /// Whether an `Authorization` header holds one of the keys.
  package func accept(authorization: String?) -> Bool {
    number(authorization: authorization) != nil
  }

  /// The number, from 1 on, of the key that an `Authorization` header holds; nil where it holds none.
  ///
  /// Hashes of one length are compared in full, with each key: the time that it takes tells nothing of
  /// the keys, not even which one it was.
  package func number(authorization: String?) -> Int? {
    var given = ""
    if let authorization, authorization.utf8.count <= 4096 {
      let parts = authorization.split(separator: " ", maxSplits: 1)
      if parts.count == 2, parts[0].lowercased() == "bearer" { given = parts[1].trimmingWhitespace() }
    }
    let digest = SHA256.hash(Array(given.utf8))
    var number = 0
    for (index, known) in digests.enumerated() {
      var difference: UInt8 = 0
      for (a, b) in zip(known, digest) { difference |= a ^ b }
      // All bits where there is no difference, without a branch.
      number |= (index + 1) & -Int((UInt16(difference) &- 1) >> 8 & 1)
    }
    return number > 0 && !given.isEmpty ? number : nil
  }

  /// The keys of a file: one a line, with comments behind '#' at a line's beginning.
  package static func keys(in text: String) -> [String] {
    text.split(whereSeparator: \.isNewline).map { $0.trimmingWhitespace() }
      .filter { !$0.isEmpty && !$0.hasPrefix("#") }
  }
}

extension Substring {
  fileprivate func trimmingWhitespace() -> String {
    let front = drop(while: \.isWhitespace)
    let end = front.lastIndex { !$0.isWhitespace }
    return end.map { String(front[...$0]) } ?? ""
  }
}
