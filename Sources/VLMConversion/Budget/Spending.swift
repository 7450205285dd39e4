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
    package let loss: Double
  }

  package let budget: Budget
  package let unit: LossUnit
  package let basis: Basis
  package let items: [MixtureItem]
  package let mixture: Mixture
  /// The loss for each number of bytes, from the smallest mixture to the best; bytes of all
  /// tensors.
  package let curve: [(byteCount: Int, loss: Double)]
  /// Bytes of the tensors that no choice is made for.
  package let fixedByteCount: Int
  /// What the losses of the matrices were multiplied by, because a conversion before lost so much
  /// more than was expected.
  package let correction: Double
  /// What the written model was found to lose on data that were held back; nil where it was not
  /// run.
  package var measuredLoss: Double?

  /// What the model is expected to lose.
  package var loss: Double { mixture.loss * correction }

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
        loss: choices.reduce(0) { $0 + $1.loss } * correction)
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
    object.set("predicted_loss", ConversionReport.rounded(loss))
    if correction != 1 { object.set("correction", ConversionReport.rounded(correction)) }
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
            "predicted_loss": ConversionReport.rounded(kind.loss),
          ]
        }))
    return .object(object)
  }

  /// The predicted curve as JSON, with the mixture that was chosen.
  package var curveJSON: JSONValue {
    var chosen = JSONObject()
    chosen.set("tensor_bytes", .int(byteCount))
    chosen.set("predicted_loss", ConversionReport.rounded(loss))
    if let measuredLoss { chosen.set("measured_loss", ConversionReport.rounded(measuredLoss)) }
    return [
      "schema": 1, "loss_unit": .string(unit.rawValue), "basis": .string(basis.rawValue),
      "chosen": .object(chosen),
      "curve": .array(
        curve.map { point in
          [
            "tensor_bytes": .int(point.byteCount),
            "predicted_loss": ConversionReport.rounded(point.loss * correction),
          ]
        }),
    ]
  }
}
