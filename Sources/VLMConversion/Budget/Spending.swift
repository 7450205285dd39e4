import VLMFoundation
import VLMTensor

/// What a budget was spent on, and what the model is expected to lose.
package struct Spending: Sendable {
  /// How the losses were found.
  package enum Basis: String, Sendable {
    /// The model was run with errors in each matrix.
    case measured
    /// The errors of products by statistics of their inputs, times constants for what they cost.
    case products
    /// The errors of weights, times constants.
    case weights
  }

  /// Matrices that differ in the number of their layer alone.
  package struct Kind: Sendable {
    /// The name, with `*` for numbers.
    package let name: String
    /// How many have which scheme, those of the fewest bits first.
    package let schemes: [(scheme: Scheme, count: Int)]
    package let byteCount: Int
    /// Part of what the model is expected to lose.
    package let share: Double
  }

  package let budget: Budget
  package let unit: LossUnit
  package let basis: Basis
  package var items: [MixtureItem] { solver.items }
  package let mixture: Mixture
  /// Bytes of the tensors that no choice is made for.
  package let fixedByteCount: Int
  private let solver: MixtureSolver
  /// What conversions were found to lose, before this one and by this one.
  private var losses: MeasuredLosses

  /// What the model was expected to lose before it was run: by what conversions before it have lost,
  /// where some were measured, else by the sum over its matrices. Nil where what matrices cost was
  /// not found out: sums of guesses tell matrices apart, and say nothing of the model.
  package let predictedLoss: Double?
  /// Whether conversions before have shown by how much the sums are wrong.
  package let isCorrected: Bool
  /// What the written model was found to lose on data that were held back; nil where it was not
  /// run.
  package private(set) var measuredLoss: Double?

  /// - Parameter losses: what conversions before were found to lose.
  init(
    budget: Budget, unit: LossUnit, basis: Basis, solver: MixtureSolver, mixture: Mixture,
    fixedByteCount: Int, losses: MeasuredLosses
  ) {
    self.budget = budget
    self.unit = unit
    self.basis = basis
    self.solver = solver
    self.mixture = mixture
    self.fixedByteCount = fixedByteCount
    self.losses = losses
    isCorrected = !losses.isEmpty
    predictedLoss =
      basis == .measured || isCorrected ? losses.loss(expecting: mixture.loss) : nil
  }

  /// Takes note of what the written model was found to lose.
  ///
  /// - Returns: what is known of losses now.
  @discardableResult
  package mutating func measure(_ loss: Double) -> MeasuredLosses {
    measuredLoss = loss
    losses.add(.init(expected: mixture.loss, measured: loss))
    return losses
  }

  /// Whether losses are numbers in `unit`; otherwise shares of that of the mixture.
  package var hasUnit: Bool { predictedLoss != nil || measuredLoss != nil }

  /// What is expected by all that is known now, for a sum over matrices: in `unit`, or in shares of the
  /// mixture's.
  private func expected(_ sum: Double) -> Double {
    hasUnit ? losses.loss(expecting: sum) : mixture.loss > 0 ? sum / mixture.loss : 0
  }

  /// The loss for each number of bytes, from the smallest mixture to the best; bytes of all tensors.
  package var curve: [(byteCount: Int, loss: Double)] {
    solver.curve(points: Self.curvePoints).map {
      ($0.byteCount + fixedByteCount, expected($0.loss))
    }
  }

  private static let curvePoints = 100

  /// What a curve has on its axis of losses.
  package var curveUnit: String { hasUnit ? unit.text : "1: the mixture that was chosen" }

  /// Bytes of all tensors.
  package var byteCount: Int { fixedByteCount + mixture.byteCount }

  package var kinds: [Kind] {
    var order: [String] = []
    var members: [String: [MixtureItem.Choice]] = [:]
    for (item, place) in zip(items, mixture.places) {
      let name = Self.kind(of: item.name)
      if members[name] == nil { order.append(name) }
      members[name, default: []].append(item.choices[place])
    }
    return order.map { name in
      let choices = members[name] ?? []
      let schemes = Set(choices.map(\.scheme)).sorted {
        ($0.codeBits, $0.code) < ($1.codeBits, $1.code)
      }
      return Kind(
        name: name,
        schemes: schemes.map { scheme in
          (scheme, choices.filter { $0.scheme.code == scheme.code }.count)
        },
        byteCount: choices.reduce(0) { $0 + $1.byteCount },
        share: mixture.loss > 0 ? choices.reduce(0) { $0 + $1.loss } / mixture.loss : 0)
    }
  }

  /// "layers.3.mlp.up_proj.weight" → "layers.*.mlp.up_proj.weight".
  package static func kind(of name: String) -> String {
    name.split(separator: ".", omittingEmptySubsequences: false)
      .map { $0.allSatisfy(\.isNumber) && !$0.isEmpty ? "*" : String($0) }.joined(separator: ".")
  }

  /// The member `budget` of a report.
  package var json: JSONValue {
    var object = budget.json.objectValue ?? JSONObject()
    object.set("loss_unit", .string(unit.rawValue))
    object.set("basis", .string(basis.rawValue))
    if let predictedLoss { object.set("predicted_loss", ConversionReport.rounded(predictedLoss)) }
    if let measuredLoss { object.set("measured_loss", ConversionReport.rounded(measuredLoss)) }
    object.set(
      "spent",
      .array(
        kinds.map { kind in
          var schemes = JSONObject()
          for (scheme, count) in kind.schemes { schemes.set(scheme.name, .int(count)) }
          return [
            "tensors": .string(kind.name), "schemes": .object(schemes),
            "bytes": .int(kind.byteCount),
            "loss_share": .double((kind.share * 10_000).rounded() / 10_000),
          ]
        }))
    return .object(object)
  }

  /// The predicted curve as JSON, with the mixture that was chosen.
  package var curveJSON: JSONValue {
    let key = hasUnit ? "predicted_loss" : "relative_loss"
    var chosen = JSONObject()
    chosen.set("tensor_bytes", .int(byteCount))
    if let predictedLoss { chosen.set(key, ConversionReport.rounded(predictedLoss)) }
    if let measuredLoss { chosen.set("measured_loss", ConversionReport.rounded(measuredLoss)) }
    return [
      "schema": 1, "loss_unit": .string(unit.rawValue), "basis": .string(basis.rawValue),
      "chosen": .object(chosen),
      "curve": .array(
        curve.map { point in
          var object = JSONObject()
          object.set("tensor_bytes", .int(point.byteCount))
          object.set(key, ConversionReport.rounded(point.loss))
          return .object(object)
        }),
    ]
  }
}
