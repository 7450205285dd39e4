/// Says which tokens may come next in a text, token after token.
package protocol TokenConstraint: Sendable {
  /// Puts into `mask`, whose members are replaced, the tokens that may follow. None when nothing may.
  mutating func allowed(into mask: inout TokenMask)

  /// Goes on behind a token, one of those that were allowed; behind any other nothing may follow.
  mutating func accept(_ token: Int)

  /// Whether the text is whole, so that nothing may follow but its end.
  var isComplete: Bool { get }
}
