import VLMFoundation

extension Evaluation {
  /// The evaluation as one JSON object, `schema` 1; docs/cli.md lists its members. Members that do not
  /// apply are left out.
  public var json: String { JSONValue.object(object).serialized() }

  /// The same as a value.
  package var object: JSONObject {
    var object = JSONObject()
    object.set("schema", 1)
    object.set("model", .string(model))
    object.set("reference", reference.map { .string($0) } ?? .null)
    object.set("architecture", .string(architecture))
    object.set("loss", Self.number(loss))
    if let classes { object.set("classes", .object(classes.object)) }
    if let embeddings { object.set("embeddings", .object(embeddings.object)) }
    if let visualTokens { object.set("visual_token_cosine", visualTokens.json) }
    if let text { object.set("text", .object(text.object)) }
    if let answers { object.set("answers", .object(answers.object)) }
    if let ownAnswers { object.set("own_answers", .object(ownAnswers.object)) }
    object.set("skipped", .array(skipped.map { .string($0.message) }))
    object.set("notes", .array(notes.map { .string($0) }))
    if diskByteCount > 0 { object.set("disk_bytes", .int(diskByteCount)) }
    return object
  }

  /// Null for none, and for what JSON has no number for.
  fileprivate static func number(_ value: Double?) -> JSONValue {
    value.flatMap { $0.isFinite ? .double($0) : nil } ?? .null
  }
}

extension Evaluation.Spread {
  fileprivate var json: JSONValue {
    [
      "count": .int(values.count), "mean": .double(mean), "median": .double(median),
      "percentile_99": .double(percentile99), "least": .double(least), "largest": .double(largest),
    ]
  }
}

extension JSONObject {
  fileprivate mutating func set(_ name: String, number: Double?) {
    if number != nil { set(name, Evaluation.number(number)) }
  }

  fileprivate mutating func set(_ name: String, spread: Evaluation.Spread?) {
    if let spread { set(name, spread.json) }
  }
}

extension Evaluation.Classes {
  fileprivate var object: JSONObject {
    var object = JSONObject()
    object.set("pictures", .int(pictureCount))
    object.set("scores", .string(scores.rawValue))
    object.set(scores == .sigmoid ? "same_above_half" : "same_top", number: agreement)
    object.set("divergence", spread: divergence)
    object.set("cosine", spread: cosine)
    object.set("pictures_of_known_class", .int(knownCount))
    if let reliability { object.set("accuracy", .object(pair(reliability, \.accuracy))) }
    if let reliability {
      object.set("calibration_error", .object(pair(reliability, \.calibrationError)))
    }
    return object
  }

  private func pair(
    _ reliability: Reliability, _ value: (Reliability) -> Double
  ) -> JSONObject {
    var object = JSONObject()
    object.set("model", number: value(reliability))
    object.set("reference", number: referenceReliability.map(value))
    return object
  }
}

extension Evaluation.Embeddings {
  fileprivate var object: JSONObject {
    var object = JSONObject()
    object.set("picture_cosine", spread: pictures)
    object.set("text_cosine", spread: texts)
    object.set("same_best_text", number: sameBestText)
    object.set("five_best_texts", number: fiveBestTexts)
    return object
  }
}

extension Evaluation.Predictions {
  fileprivate var object: JSONObject {
    var object = JSONObject()
    object.set("sequences", .int(sequenceCount))
    object.set("tokens", .int(tokenCount))
    var perplexities = JSONObject()
    perplexities.set("model", number: perplexity)
    perplexities.set("reference", number: referencePerplexity)
    object.set("perplexity", .object(perplexities))
    object.set("divergence", spread: divergence)
    object.set("same_best_token", number: sameBestToken)
    return object
  }
}

extension Evaluation.Answers {
  fileprivate var object: JSONObject {
    var object = JSONObject()
    object.set("count", .int(count))
    object.set("changed", .int(changed.count))
    let examples = changed.map { answer -> JSONValue in
      [
        "images": .array(answer.pictures.map { .string($0) }),
        "question": .string(answer.question), "reference": .string(answer.referenceText),
        "model": .string(answer.text),
      ]
    }
    object.set("answers", .array(examples))
    return object
  }
}
