import VLMModels

extension CalibrationData {
  /// Refuses data without a kind that says something of the model, before anything is run.
  ///
  /// - Parameter hasReference: without one, only what has a right answer says something.
  /// - Throws: `EvaluationError`.
  func require(
    by description: ModelDescription, hasReference: Bool
  ) throws(EvaluationError) {
    func require(_ isThere: Bool, _ kind: String) throws(EvaluationError) {
      if !isThere { throw EvaluationError(.lacks(kind, given: summary)) }
    }
    let pictured = dialogues.contains { !$0.pictures.isEmpty }
    if description.language != nil {
      guard description.seesPictures else {
        return try require(
          !texts.isEmpty || dialogues.contains { $0.pictures.isEmpty }, "text or conversations")
      }
      try require(
        !texts.isEmpty || !dialogues.isEmpty || !pictures.isEmpty,
        "pictures, conversations or text")
      let hasAnswers = !texts.isEmpty || !dialogues.isEmpty
      guard hasReference || hasAnswers else { throw EvaluationError(.needsReference) }
      return
    }
    if description.config.text != nil, hasReference {
      try require(
        pictured || !pictures.isEmpty || !texts.isEmpty || !dialogues.isEmpty,
        "pictures or texts")
      return
    }
    try require(pictured || !pictures.isEmpty, "pictures")
    if description.classCount == nil, !hasReference { throw EvaluationError(.needsReference) }
  }
}
