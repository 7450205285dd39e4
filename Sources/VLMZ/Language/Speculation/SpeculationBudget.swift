/// Limits what proposals that fail may cost, in passes without proposals: to a part of 100 of all passes,
/// and one more. Proposals that hold pay for others, some of them.
package struct SpeculationBudget: Sendable, Equatable {
  /// What is lost at most before anything is won.
  private static let beginning = 1.0
  private static let perPass = 0.01
  /// What is won counts up to here: what was repeated long ago says nothing of now.
  private static let most = 4.0

  /// What may be lost now.
  package private(set) var balance = Self.beginning

  package init() {}

  /// Notes a pass.
  ///
  /// - Parameter extra: what its proposals cost.
  mutating func spend(_ extra: Double) { earn(Self.perPass - extra) }

  /// Notes what proposals saved.
  mutating func earn(_ saved: Double) { balance = min(Self.most, balance + saved) }
}
