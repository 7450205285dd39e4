import VLMFoundation
import VLMTensor

/// What is shown of a classifier's outputs.
package enum Scores: String, Sendable, Equatable, CaseIterable {
  /// Classes that exclude each other: probabilities that add up to 1.
  case softmax
  /// Classes of which each may hold or not: a probability each, by itself.
  case sigmoid
  /// The outputs themselves, such as the quantities of a regression.
  case raw
}

/// What the outputs of a classifier stand for: the content of the container's `labels`.
package struct Labels: Sendable, Equatable {
  /// One for each output, where they have names.
  package let names: [String]?
  package let scores: Scores

  package init(names: [String]?, scores: Scores = .softmax) {
    self.names = names
    self.scores = scores
  }

  /// The names alone, as an array, where the scores are a softmax, which is what earlier versions
  /// take all outputs for; else `{"scores": …, "names": […]}`, which they refuse. Nil when there is
  /// nothing to say.
  package var json: JSONValue? {
    let list = names.map { names in JSONValue.array(names.map { .string($0) }) }
    guard scores != .softmax else { return list }
    var object = JSONObject()
    object.set("scores", .string(scores.rawValue))
    if let list { object.set("names", list) }
    return .object(object)
  }

  /// Reads what `json` wrote.
  ///
  /// - Parameter count: the model's classes; nil for a model that has none.
  package init(json: JSONValue, count: Int?) throws(ModelError) {
    func failure(_ found: String, _ expected: String) -> ModelError {
      ModelError(.configuration(field: "labels", found: found, expected: expected))
    }
    var (list, scores) = (Optional(json), Scores.softmax)
    if json.objectValue != nil {
      let stated = json["scores"] ?? .null
      guard let kind = stated.stringValue.flatMap(Scores.init(rawValue:)) else {
        throw failure(
          "scores \(stated.serialized())", Scores.allCases.map(\.rawValue).joined(separator: ", "))
      }
      guard count != nil else { throw failure("scores", "none, the model has no classes") }
      (list, scores) = (json["names"], kind)
    }
    self.scores = scores
    guard let list, !list.isNull else {
      names = nil
      return
    }
    let names = (list.arrayValue ?? []).compactMap(\.stringValue)
    guard names.count == count, names.count == list.arrayValue?.count else {
      throw failure(counted(names.count, "name"), "\(count ?? 0), one per class")
    }
    self.names = names
  }
}
