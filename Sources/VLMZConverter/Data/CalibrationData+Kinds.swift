import VLMModels

/// Which kinds of data a model is calibrated on.
extension CalibrationData {
  /// Refuses data that lack a kind which the model needs, before anything is run.
  ///
  /// - Parameter path: the model's, for errors.
  func requireKinds(
    of description: ModelDescription, path: String
  ) throws(CalibrationError) {
    func require(_ isThere: Bool, _ kind: String) throws(CalibrationError) {
      if !isThere { throw CalibrationError(path: path, .lacks(kind, given: summary)) }
    }
    let hasPictured = dialogues.contains { !$0.pictures.isEmpty }
    if description.seesPictures {
      return try require(
        hasPictured || !pictures.isEmpty, "pictures, or conversations about pictures, too")
    }
    if description.language != nil {
      let hasTalk = dialogues.contains { $0.pictures.isEmpty }
      return try require(hasTalk || !texts.isEmpty, "text")
    }
    let readsTexts = description.config.text != nil
    try require(hasPictured || !pictures.isEmpty, readsTexts ? "pictures too" : "pictures")
    guard readsTexts else { return }
    try require(!texts.isEmpty || !dialogues.isEmpty, "texts too, such as captions")
  }

  /// What the model does not read and why, in words; nil where it reads all.
  func leftOut(by description: ModelDescription) -> String? {
    var left = CalibrationData()
    let seesPictures = description.seesPictures || description.language == nil
    if !seesPictures {
      left.pictures = pictures
      left.dialogues = dialogues.filter { !$0.pictures.isEmpty }
    } else if description.language == nil, description.config.text == nil {
      left.texts = texts
      left.dialogues = dialogues.filter { $0.pictures.isEmpty }
    }
    let reason = seesPictures ? "reads no texts" : "sees no pictures"
    return left.summary == "nothing" ? nil : "\(left.summary) left out: the model \(reason)"
  }
}
